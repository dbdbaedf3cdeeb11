"""The figures that are compared, of one design: each with its standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Literal

import attrs
import polars as pl

from wotemu_report.comparison import FIGURES
from wotemu_report.comparison.bootstrap import RESAMPLES, ratios, weights, with_errors
from wotemu_report.comparison.histograms import FAILED_BIN, cliffs_deltas, percentiles
from wotemu_report.comparison.samples import SUBJECT, RunSamples, middles_ms

LEAST_RUNS = 3
"""From so many runs on, runs are resampled; blocks of time within them otherwise."""
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
LEAST_BEYOND = 10
"""A percentile needs so many samples beyond it; fewer say nothing of it."""
POINTS = ("errors", "availability")
"""Figures whose differences are those of shares; those of the others are ratios."""


@attrs.frozen
class BlockFigure:
    """One figure of one design.

    Attributes:
        name: One of `FIGURES`.
        subject: The phase, node group, affordance, operation and binding; the last three are "" where it is
            of all.
        blocks: How many blocks, or runs, it is estimated from.
        samples: How many requests.
        value: The figure; None where there is none.
        error: Its standard error, or where differences are ratios that of its logarithm; None: unknown.
    """

    name: str
    subject: tuple[str, ...]
    blocks: int
    samples: int
    value: float | None
    error: float | None

    @property
    def scale(self) -> Literal["ratio", "points"]:
        """Whether differences are ratios, or differences of shares."""
        return "points" if self.name in POINTS else "ratio"

    @property
    def is_better_if_more(self) -> bool:
        """Whether a larger value is the better one."""
        return self.name in ("availability", "throughput")

    @property
    def has_enough(self) -> bool:
        """Whether there are enough requests for it."""
        share = PERCENTILES.get(self.name)
        return self.samples > 0 if share is None else self.samples * (1 - share) >= LEAST_BEYOND * 0.999


@attrs.frozen(eq=False, slots=False)
class Design:
    """Runs of one design, whose samples are pooled.

    Attributes:
        by_runs: Whether its blocks are whole runs.
    """

    runs: Sequence[RunSamples]
    by_runs: bool

    def blocks_s(self, phase: str) -> list[float]:
        """The lengths of a phase's blocks, in seconds."""
        lengths = [run.blocks_s.get(phase, []) for run in self.runs]
        return [sum(each) for each in lengths] if self.by_runs else [one for each in lengths for one in each]

    def _pooled(self, part: Callable[[RunSamples], pl.DataFrame]) -> pl.DataFrame:
        """The rows of all runs, with `block` numbered through them."""
        frames, offsets = [], dict[str, int]()
        for number, run in enumerate(self.runs):
            shift = pl.col("phase").replace_strict(offsets, default=0, return_dtype=pl.Int64)
            block = pl.lit(number, pl.Int64) if self.by_runs else pl.col("block") + shift
            frames.append(part(run).with_columns(block=block))
            for phase, lengths in run.blocks_s.items():
                offsets[phase] = offsets.get(phase, 0) + len(lengths)
        return pl.concat(frames)

    @cached_property
    def _counts(self) -> pl.DataFrame:
        """`RunSamples.counts` of all runs, with the number of each `subject`, in order of the phases."""
        counts = self._pooled(lambda run: run.counts)
        subjects = counts.select(SUBJECT).unique().sort(SUBJECT).with_row_index("subject")
        return counts.join(subjects, on=SUBJECT, how="left", maintain_order="left")

    @cached_property
    def cells(self) -> pl.DataFrame:
        """`subject`, `bin`, `block` and `count` of the durations, in order of the first two."""
        starts = accumulate((run.counts.height for run in self.runs), initial=0)
        rows = pl.concat(
            [
                run.durations.with_columns(row=pl.col("row").cast(pl.Int64) + start)
                for run, start in zip(self.runs, starts, strict=False)
            ]
        )
        subject, block = (pl.lit(self._counts[name]).gather("row") for name in ("subject", "block"))
        placed = rows.select(subject=subject, bin="bin", block=block.cast(pl.UInt32), count="count")
        # One sort by a number of both takes half the time of one by two columns.
        return placed.sort(pl.col("subject").cast(pl.UInt64) * 2**16 + pl.col("bin"), multithreaded=False)

    @property
    def subjects(self) -> pl.DataFrame:
        """The number of each `subject`, and what it is of: `SUBJECT`."""
        return self._counts.select("subject", *SUBJECT).unique()

    def durations(self) -> pl.DataFrame:
        """`subject`, `bin` and `count` of all requests: those that failed are in `FAILED_BIN`."""
        count = pl.col("count").cast(pl.Int64)
        answered = self.cells.group_by("subject", "bin").agg(count.sum())
        failed = self._counts.group_by("subject").agg(
            bin=pl.lit(FAILED_BIN, pl.UInt16), count=pl.col("failed").sum()
        )
        return pl.concat([answered, failed.filter(pl.col("count") > 0)])

    def figures(self, names: Sequence[str] = FIGURES, seed: int | None = None) -> list[BlockFigure]:
        """The figures of the design, in order of the phases and their subjects.

        Args:
            names: Which figures.
            seed: Of the resampling; None: without errors.
        """
        resamples = 0 if seed is None else RESAMPLES
        found: list[BlockFigure] = []
        for part, of_phase in ((self._counts, self._of_requests), (self._available, self._of_time)):
            for (phase,), rows in part.group_by("phase", maintain_order=True):
                drawn = weights(len(self.blocks_s(str(phase))), seed or 0, resamples)
                found += of_phase(rows, drawn, names)
        order = {phase: number for number, phase in enumerate(self.runs[0].blocks_s)}
        return sorted(found, key=lambda each: (order.get(each.subject[0], -1), each.subject[1:]))

    def _of_requests(
        self, counts: pl.DataFrame, drawn: pl.DataFrame, names: Sequence[str]
    ) -> Iterator[BlockFigure]:
        """Those of a phase that are of requests."""
        ok, failed = pl.col("ok"), pl.col("failed")
        totals = (
            counts.group_by("subject", *SUBJECT).agg(ok=ok.sum(), asked=(ok + failed).sum()).sort("subject")
        )
        yield from self._percentiles(totals, drawn, [name for name in PERCENTILES if name in names])
        asked = totals["asked"].to_list()
        if "errors" in names:
            wide = _by_block(counts, ("subject", *SUBJECT), drawn.width, a=failed, b=ok + failed)
            yield from _figures("errors", wide, asked, ratios(wide, drawn), drawn)
        if "throughput" in names:
            wide = _by_block(counts, ("subject", *SUBJECT), drawn.width, a=ok)
            lengths = self.blocks_s(str(counts["phase"][0]))
            timed = wide.with_columns(pl.lit(each).alias(f"b{block}") for block, each in enumerate(lengths))
            yield from _figures("throughput", wide, asked, ratios(timed, drawn), drawn)

    def _percentiles(
        self, totals: pl.DataFrame, drawn: pl.DataFrame, names: Sequence[str]
    ) -> Iterator[BlockFigure]:
        first, last = totals["subject"][0], totals["subject"][-1]  # a phase's subjects follow each other
        bounds = [self.cells["subject"].search_sorted(each) for each in (first, last + 1)]
        cells = self.cells[bounds[0] : bounds[1]].with_columns(pl.col("subject") - first)
        shares = {name: PERCENTILES[name] for name in names}
        for name, bins in percentiles(cells, totals.height, shares, drawn).items():
            estimates = pl.select(middles_ms(pl.lit(bins))).to_series()
            yield from _figures(name, totals, totals["ok"].to_list(), estimates, drawn)

    @cached_property
    def _available(self) -> pl.DataFrame:
        """`RunSamples.availability` of all runs, with all columns of `SUBJECT`, and what was `asked`."""
        asked = self._counts.group_by("phase", "group").agg(asked=(pl.col("ok") + pl.col("failed")).sum())
        pooled = self._pooled(lambda run: run.availability)
        of_all = (pl.lit("").alias(name) for name in SUBJECT if name not in pooled.columns)
        return pooled.join(asked, on=["phase", "group"], how="left").with_columns(
            *of_all, pl.col("asked").fill_null(0)
        )

    def _of_time(
        self, rows: pl.DataFrame, drawn: pl.DataFrame, names: Sequence[str]
    ) -> Iterator[BlockFigure]:
        """Those of a phase that are of time."""
        if "availability" in names:
            wide = _by_block(rows, (*SUBJECT, "asked"), drawn.width, a=pl.col("up"), b=pl.col("known"))
            yield from _figures("availability", wide, wide["asked"].to_list(), ratios(wide, drawn), drawn)


def _figures(
    name: str, subjects: pl.DataFrame, samples: Sequence[int], estimates: pl.Series, drawn: pl.DataFrame
) -> Iterator[BlockFigure]:
    """The figures of subjects, of their estimates with all `drawn` weights."""
    estimated = with_errors(estimates, drawn, is_ratio=name not in POINTS).iter_rows()
    rows = zip(subjects.select(SUBJECT).iter_rows(), samples, estimated, strict=True)
    return (BlockFigure(name, subject, drawn.width, count, *each) for subject, count, each in rows)


def _by_block(rows: pl.DataFrame, by: Sequence[str], blocks: int, **values: pl.Expr) -> pl.DataFrame:
    """The sums of values by block: ``a0`` on for `a`, and so on; a row for each combination of `by`."""
    sums = (
        value.filter(pl.col("block") == block).sum().alias(f"{name}{block}")
        for name, value in values.items()
        for block in range(blocks)
    )
    return rows.group_by(by).agg(*sums).sort(by)


def designs(runs: Mapping[str, Sequence[RunSamples]]) -> dict[str, Design]:
    """Designs by name; runs are resampled where each design has `LEAST_RUNS` of them."""
    by_runs = all(len(each) >= LEAST_RUNS for each in runs.values())
    return {name: Design(each, by_runs) for name, each in runs.items()}


def effect_sizes(before: Design, after: Design) -> dict[tuple[str, ...], float | None]:
    """Cliff's delta of the durations of each subject that both have, failed requests longest."""
    shared = before.subjects.join(after.subjects, on=SUBJECT, suffix="_after")
    number = shared.select(subject="subject_after", number="subject")
    of_after = after.durations().join(number, on="subject").select("bin", "count", subject="number")
    of_before = before.durations().join(shared.select("subject"), on="subject")
    found = shared.join(cliffs_deltas(of_before, of_after), on="subject").select(*SUBJECT, "delta")
    return {row[:-1]: row[-1] for row in found.iter_rows()}
