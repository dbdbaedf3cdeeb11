"""The figures that are compared, of one design: each an estimate that blocks with any weights give."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import attrs
import polars as pl

from wotemu_report.comparison.bootstrap import BlockHistogram, Estimate, Weights, weighted
from wotemu_report.comparison.samples import SUBJECT, RunSamples, middle_ms

LEAST_RUNS = 3
"""From so many runs on, runs are resampled; blocks of time within them otherwise."""
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
LEAST_BEYOND = 10
"""A percentile needs so many samples beyond it; fewer say nothing of it."""

Scale = Literal["ratio", "points"]
"""Whether differences of a figure are ratios, or differences of shares."""


@attrs.frozen(eq=False)
class BlockFigure:
    """One figure of one design.

    Attributes:
        name: One of `FIGURES`.
        subject: The phase, node group, affordance, operation and binding; the last three are "" where it is
            of all.
        blocks: How many blocks, or runs, it is estimated from.
        samples: How many requests.
        estimate: The figure of blocks with weights.
        durations: Milliseconds with their counts, failed requests infinite; for percentiles alone.
    """

    name: str
    subject: tuple[str, ...]
    blocks: int
    samples: int
    estimate: Estimate
    durations: Sequence[tuple[float, int]] = ()

    @property
    def scale(self) -> Scale:
        """How differences are measured."""
        return "points" if self.name in ("errors", "availability") else "ratio"

    @property
    def is_better_if_more(self) -> bool:
        """Whether a larger value is the better one."""
        return self.name in ("availability", "throughput")

    @property
    def value(self) -> float | None:
        """The figure."""
        return self.estimate([1] * self.blocks)

    @property
    def has_enough(self) -> bool:
        """Whether there are enough requests for it."""
        share = PERCENTILES.get(self.name)
        return self.samples > 0 if share is None else self.samples * (1 - share) >= LEAST_BEYOND * 0.999


@attrs.frozen(eq=False)
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

    def figures(self) -> list[BlockFigure]:
        """Every figure of the design, in order of the phases and their subjects."""
        order = {phase: number for number, phase in enumerate(self.runs[0].blocks_s)}
        return sorted(self._figures(), key=lambda each: (order.get(each.subject[0], -1), each.subject[1:]))

    def _figures(self) -> Iterator[BlockFigure]:
        histograms = self._histograms()
        counts = self._pooled(lambda run: run.counts).group_by([*SUBJECT, "block"]).agg(pl.all().sum())
        for key, rows in counts.group_by(SUBJECT):
            subject = tuple(map(str, key))
            lengths = self.blocks_s(subject[0])
            ok, failed = (_by_block(rows, name, len(lengths)) for name in ("ok", "failed"))
            yield from _percentiles(subject, len(lengths), histograms.get(subject, []), sum(failed))
            asked = [a + b for a, b in zip(ok, failed, strict=True)]
            total = int(sum(asked))
            yield BlockFigure("errors", subject, len(lengths), total, _ratio(failed, asked))
            yield BlockFigure("throughput", subject, len(lengths), total, _ratio(ok, lengths))
        yield from self._availability(counts)

    def _availability(self, counts: pl.DataFrame) -> Iterator[BlockFigure]:
        asked = {
            (str(phase), str(group)): int(number)
            for phase, group, number in counts.group_by("phase", "group")
            .agg(pl.col("ok").sum() + pl.col("failed").sum())
            .iter_rows()
        }
        pooled = self._pooled(lambda run: run.availability)
        for key, rows in (
            pooled.group_by("phase", "group", "block").agg(pl.all().sum()).group_by("phase", "group")
        ):
            phase, group = map(str, key)
            blocks = len(self.blocks_s(phase))
            up, known = (_by_block(rows, name, blocks) for name in ("up", "known"))
            subject = (phase, group, "", "", "")
            yield BlockFigure(
                "availability", subject, blocks, asked.get((phase, group), 0), _ratio(up, known)
            )

    def _histograms(self) -> dict[tuple[str, ...], list[tuple[float, list[int]]]]:
        pooled = self._pooled(lambda run: run.durations)
        counted = pooled.group_by([*SUBJECT, "bin", "block"]).agg(pl.col("count").sum()).sort("bin")
        found: dict[tuple[str, ...], list[tuple[float, list[int]]]] = {}
        for key, rows in counted.partition_by(SUBJECT, as_dict=True, include_key=False).items():
            subject = tuple(map(str, key))
            blocks = len(self.blocks_s(subject[0]))
            bins = found.setdefault(subject, [])
            last = None
            for number, block, count in rows.select("bin", "block", "count").iter_rows():
                if number != last:
                    bins.append((middle_ms(number), [0] * blocks))
                    last = number
                bins[-1][1][block] = count
        return found


def _percentiles(
    subject: tuple[str, ...], blocks: int, bins: list[tuple[float, list[int]]], failed: float
) -> Iterator[BlockFigure]:
    histogram = BlockHistogram(bins, blocks)
    totals = list(zip(histogram.values, histogram.totals, strict=True))
    durations = [*totals, (math.inf, int(failed))] if failed else totals
    for name, share in PERCENTILES.items():
        yield BlockFigure(
            name, subject, blocks, sum(histogram.totals), _percentile(histogram, share), durations
        )


def _percentile(histogram: BlockHistogram, share: float) -> Estimate:
    return lambda weights: histogram.percentile(share, weights)


def _ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """The sum of one thing by that of another."""

    def ratio(weights: Weights) -> float | None:
        total = weighted(below, weights)
        return weighted(above, weights) / total if total else None

    return ratio


def _by_block(rows: pl.DataFrame, column: str, blocks: int) -> list[float]:
    values = [0.0] * blocks
    for block, value in rows.select("block", column).iter_rows():
        values[block] = float(value)
    return values


def designs(runs: Mapping[str, Sequence[RunSamples]]) -> dict[str, Design]:
    """Designs by name; runs are resampled where each design has `LEAST_RUNS` of them."""
    by_runs = all(len(each) >= LEAST_RUNS for each in runs.values())
    return {name: Design(each, by_runs) for name, each in runs.items()}
