"""What consumers of a run measured, by phase and block of time: small, whatever the size of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from wotemu_report.axis import PhaseSpan
from wotemu_report.comparison.histograms import FAILED_BIN
from wotemu_report.queries.availability import app_ends, available_intervals
from wotemu_report.queries.packed_keys import packed_key
from wotemu_report.queries.requests import measured_role, requests
from wotemu_report.recorded.run_data import RunData

MAX_BLOCKS = 20
LEAST_BLOCK_S = 1.0
"""A phase is divided into at most `MAX_BLOCKS` blocks, which last at least `LEAST_BLOCK_S`."""
BIN_GROWTH = 1.001
"""Durations are counted in bins, each larger than the one before by this factor."""
LEAST_MS = 1e-3
_BIN_BITS = 16
SUBJECT = ("phase", "group", "name", "op", "binding")
"""What a comparison has a row for."""


@attrs.frozen(eq=False)
class RunSamples:
    """The samples of one run.

    Attributes:
        role: ``consumer``, or ``producer`` where no consumer was measured.
        blocks_s: The lengths in seconds of each phase's blocks, by the phase's name.
        counts: `SUBJECT`, `block` (its number in the phase), `ok` and `failed`.
        durations: Of the requests that were answered: `row`, the one of `counts` that they are of, `bin` and
            `count`; in order of both.
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
    role = measured_role(requests(run))
    measured = requests(run).lazy().filter(pl.col("role") == role)
    counts, durations = _counted(measured.filter(pl.col("ok") | pl.col("failed")), blocks)
    blocks_s: dict[str, list[float]] = {}
    for row in blocks.iter_rows(named=True):
        blocks_s.setdefault(row["phase"], []).append(row["stop"] - row["start"])
    return RunSamples(role, blocks_s, counts, durations, _availability(run, measured, blocks))


def middles_ms(bins: pl.Expr) -> pl.Expr:
    """The geometric middles of bins of durations."""
    return LEAST_MS * BIN_GROWTH ** (bins.cast(pl.Float64) + 0.5)


def _bin(ms: pl.Expr) -> pl.Expr:
    number = ((ms.clip(LEAST_MS) / LEAST_MS).log() / math.log(BIN_GROWTH)).floor()
    return number.clip(0, FAILED_BIN - 1).cast(pl.UInt64)


def _counted(ended: pl.LazyFrame, blocks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`counts` and `durations` of requests: each is made one number, and all are sorted once."""
    named = [name for name in SUBJECT if name != "phase"]
    begun = _in_blocks(ended, blocks).select(*named, "number", "ms", "ok").collect()
    key = packed_key(begun, [*named, "number"])
    number = key.expr * 2**_BIN_BITS + pl.when("ok").then(_bin(pl.col("ms"))).otherwise(FAILED_BIN)
    # By one thread it takes half the CPU time.
    packed = key.frame.select(packed=number).to_series().sort(multithreaded=False)
    found = packed.rle().struct.unnest()
    cells = found.select(
        key=pl.col("value") // 2**_BIN_BITS,
        bin=(pl.col("value") % 2**_BIN_BITS).cast(pl.UInt16),
        count=pl.col("len"),
    ).with_columns(row=pl.col("key").rle_id())
    is_failed, count = pl.col("bin") == FAILED_BIN, pl.col("count").cast(pl.Int64)
    totals = cells.group_by("key", maintain_order=True).agg(
        ok=count.filter(~is_failed).sum(), failed=count.filter(is_failed).sum()
    )
    numbered = blocks.sort("start").select("phase", "block")
    columns = {series.name: series for series in key.columns(totals["key"])}
    place = columns.pop("number")
    counts = pl.DataFrame(
        [
            numbered["phase"].gather(place),
            *columns.values(),
            numbered["block"].gather(place),
            totals["ok"],
            totals["failed"],
        ]
    )
    texts = counts.with_columns(pl.selectors.categorical().cast(pl.String))
    return texts.select(*SUBJECT, "block", "ok", "failed"), cells.filter(~is_failed).select(
        "row", "bin", "count"
    )


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


def _availability(run: RunData, measured: pl.LazyFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    intervals = available_intervals(measured.filter(pl.col("s") >= 0), app_ends(run), run.axis.end_s)
    by_nodes = pl.concat(_in_each_block(some, blocks) for some in intervals)
    # As texts: two runs' categories are not the same.
    named = by_nodes.with_columns(pl.selectors.categorical().cast(pl.String))
    return named.group_by("phase", "block", "group").agg(pl.col("up", "known").sum())


def _in_each_block(intervals: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """How long each group's things were available, and how long that is known, in seconds of each block."""
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
    return spread.with_columns(lasts=lasts).group_by("phase", "block", group="owner").agg(**figures).collect()
