"""What consumers of a run measured, by phase and block of time: small, whatever the size of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from wotemu_report.axis import PhaseSpan
from wotemu_report.queries.availability import available_intervals
from wotemu_report.queries.requests import consumers_or_producers, requests
from wotemu_report.recorded.run_data import RunData

MAX_BLOCKS = 20
LEAST_BLOCK_S = 1.0
"""A phase is divided into at most `MAX_BLOCKS` blocks, which last at least `LEAST_BLOCK_S`."""
BIN_GROWTH = 1.001
"""Durations are counted in bins, each larger than the one before by this factor."""
LEAST_MS = 1e-3
SUBJECT = ("phase", "group", "name", "op", "binding")
"""What a comparison has a row for."""


@attrs.frozen(eq=False)
class RunSamples:
    """The samples of one run.

    Attributes:
        role: ``consumer``, or ``producer`` where no consumer was measured.
        blocks_s: The lengths in seconds of each phase's blocks, by the phase's name.
        counts: `SUBJECT`, `block` (its number in the phase), `ok` and `failed`.
        durations: `SUBJECT`, `block`, `bin` and `count`, of the requests that were answered.
        availability: `phase`, `group`, `block`, and the seconds `up` and `known`.
    """

    role: str
    blocks_s: dict[str, list[float]]
    counts: pl.DataFrame
    durations: pl.DataFrame
    availability: pl.DataFrame


def samples(run: RunData) -> RunSamples:
    """The samples of a run."""
    blocks = _blocks(run.axis.phases)
    measured, role = consumers_or_producers(requests(run))
    placed = _in_blocks(measured.lazy().filter(pl.col("ok") | pl.col("failed")), blocks)
    key = [*(name for name in SUBJECT if name != "phase"), "number"]
    counts = placed.group_by(key).agg(ok=pl.col("ok").sum(), failed=pl.col("failed").sum())
    answered = placed.filter("ok").with_columns(bin=_bin(pl.col("ms")))
    durations = answered.group_by([*key, "bin"]).agg(count=pl.len())
    blocks_s: dict[str, list[float]] = {}
    for row in blocks.iter_rows(named=True):
        blocks_s.setdefault(row["phase"], []).append(row["stop"] - row["start"])
    return RunSamples(
        role,
        blocks_s,
        _of_blocks(counts, blocks).select(*SUBJECT, "block", "ok", "failed"),
        _of_blocks(durations, blocks).select(*SUBJECT, "block", "bin", "count"),
        _availability(measured, blocks, run.axis.end_s),
    )


def middle_ms(number: int) -> float:
    """The geometric middle of a bin of durations."""
    return float(LEAST_MS * BIN_GROWTH ** (number + 0.5))


def _bin(ms: pl.Expr) -> pl.Expr:
    return ((ms.clip(LEAST_MS) / LEAST_MS).log() / math.log(BIN_GROWTH)).floor().cast(pl.Int64)


def _blocks(phases: Sequence[PhaseSpan]) -> pl.DataFrame:
    """Every block: `phase`, `block`, `start` and `stop` in seconds since T0; phases of one name go on."""
    rows = []
    known: dict[str, int] = {}
    for span in phases:
        for start, stop in _divided(span):
            rows.append((span.name, known.get(span.name, 0), start, stop))
            known[span.name] = known.get(span.name, 0) + 1
    schema = {"phase": pl.String, "block": pl.Int64, "start": pl.Float64, "stop": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _divided(span: PhaseSpan) -> Iterator[tuple[float, float]]:
    lasts = span.end_s - span.start_s
    count = max(1, min(MAX_BLOCKS, int(lasts / LEAST_BLOCK_S)))
    for number in range(count):
        yield span.start_s + lasts * number / count, span.start_s + lasts * (number + 1) / count


def _in_blocks(frame: pl.LazyFrame, blocks: pl.DataFrame) -> pl.LazyFrame:
    """The rows from T0 on, with the `number`, in order of time, of the block in which each began."""
    first = blocks["start"].sort()
    number = pl.lit(first).search_sorted(pl.col("s"), side="right").cast(pl.Int64) - 1
    return frame.filter(pl.col("s") >= 0).with_columns(number=number).filter(pl.col("number") >= 0)


def _of_blocks(counted: pl.LazyFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """What was counted by `number`, with the `phase` and `block` that it stands for."""
    numbered = blocks.sort("start").select("phase", "block").with_row_index("number")
    by_number = numbered.with_columns(pl.col("number").cast(pl.Int64))
    return _with_texts(counted.collect()).join(by_number, on="number")


def _availability(measured: pl.DataFrame, blocks: pl.DataFrame, end_s: float) -> pl.DataFrame:
    columns = ("node", "thing", "name", "op", "binding", "owner", "s", "ms")
    ended = ("ok", "failed", "cancelled", "unfinished")
    asked = measured.lazy().filter(pl.col("s") >= 0).select(*columns, *ended).collect()
    intervals = pl.concat(available_intervals(asked, end_s)).select("owner", "up", "start", "stop").collect()
    edges = blocks.sort("start").with_row_index("number")
    first = pl.Series(edges["start"])
    spread = (
        intervals.lazy()
        .with_columns(
            number=pl.int_ranges(
                pl.Series(first.search_sorted(intervals["start"], side="right")).cast(pl.Int64) - 1,
                pl.Series(first.search_sorted(intervals["stop"], side="left")).cast(pl.Int64),
            )
        )
        .explode("number")
        .filter(pl.col("number") >= 0)
        .join(
            edges.lazy().select(
                "phase", "block", from_s="start", to_s="stop", number=pl.col("number").cast(pl.Int64)
            ),
            on="number",
        )
    )
    lasts = (pl.min_horizontal("stop", "to_s") - pl.max_horizontal("start", "from_s")).clip(0)
    figures = {"up": pl.col("lasts").filter("up").sum(), "known": pl.col("lasts").sum()}
    grouped = spread.with_columns(lasts=lasts).group_by("phase", "block", group="owner").agg(**figures)
    return _with_texts(grouped.collect())


def _with_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """The names as texts: two runs' categories are not the same."""
    return frame.with_columns(pl.selectors.categorical().cast(pl.String))
