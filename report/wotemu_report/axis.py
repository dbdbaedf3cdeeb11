"""The run's time axis: seconds since T0, and the phase that each instant belongs to."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import polars as pl

from wotemu_report.recorded.manifest import Phase, Timeline

BEFORE_T0 = "before T0"
WHOLE_RUN = "whole run"
_MAX_BINS = 120
_BINS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@attrs.frozen
class Span:
    """One phase with both its ends, in seconds since T0."""

    name: str
    start_s: float
    end_s: float


@attrs.frozen
class Axis:
    """The time axis that every figure of one report shares.

    `origin` is the epoch time of its zero: T0, or the run's start where the run failed before T0.
    `end_s` is where it ends; `bin_s` is the width in seconds that figures aggregate over. `marks` are the
    instants of the timeline's changes, `crashes` those of apps' crashes with what crashed.
    """

    origin: float
    end_s: float
    bin_s: int
    phases: tuple[Span, ...]
    marks: tuple[float, ...] = ()
    crashes: tuple[tuple[float, str], ...] = ()

    def coarser(self, count: float) -> Axis:
        """The axis with the finest bins, none finer than these, of which at most `count` cover the run."""
        return attrs.evolve(self, bin_s=max(self.bin_s, bin_width(self.end_s, max(count, 1.0))))

    @property
    def bins(self) -> list[float]:
        """The start of every bin, in seconds."""
        return [
            float(start)
            for start in range(0, max(1, -int(-self.end_s // self.bin_s)) * self.bin_s, self.bin_s)
        ]

    def place(self, frame: pl.DataFrame, time: str = "t") -> pl.DataFrame:
        """Add `s` (seconds since T0), `phase_no` (-1 before T0) and `phase` by the column `time`."""
        placed = frame.with_columns(s=(pl.col(time) - self.origin).cast(pl.Float64))
        starts = pl.Series([span.start_s for span in self.phases], dtype=pl.Float64)
        numbers = starts.search_sorted(placed["s"], side="right").cast(pl.Int64) - 1
        names = pl.Series([*(span.name for span in self.phases), BEFORE_T0], dtype=pl.String)
        return placed.with_columns(phase_no=numbers).with_columns(
            phase=names.gather(numbers.replace({-1: len(self.phases)}))
        )

    def binned(self) -> pl.Expr:
        """The start in seconds of the bin that `s` falls into."""
        return (pl.col("s") // self.bin_s) * self.bin_s

    def shown(self) -> pl.Expr:
        """Whether `s` lies on the axis."""
        return (pl.col("s") >= 0) & (pl.col("s") <= self.end_s)


def bin_width(end_s: float, count: float = _MAX_BINS) -> int:
    """The least round number of seconds of which at most `count` cover `end_s`."""
    return next((width for width in _BINS_S if end_s / width <= count), _BINS_S[-1])


def axis_of(
    timeline: Timeline, *, origin: float, end_s: float, crashes: Iterable[tuple[float, str]] = ()
) -> Axis:
    """The axis of a run that lasted until `end_s` seconds after `origin`.

    `crashes` are epoch times and names.
    """
    end = max(end_s, 1.0)
    marks = sorted({change.at_s for change in timeline.changes if change.at_s <= end})
    placed = [(time - origin, name) for time, name in crashes]
    shown = sorted((at, name) for at, name in placed if 0 <= at <= end)
    return Axis(origin, end, bin_width(end), _spans(timeline.phases, end), tuple(marks), tuple(shown))


def _spans(phases: tuple[Phase, ...], end: float) -> tuple[Span, ...]:
    """The phases that began before the end; the time before the first one gets a name of its own."""
    begun = [phase for phase in phases if phase.start_s < end]
    if not begun:
        return (Span(WHOLE_RUN, 0.0, end),)
    if begun[0].start_s > 0:
        begun.insert(0, Phase(f"before {begun[0].name}", 0.0))
    ends = [*(phase.start_s for phase in begun[1:]), end]
    return tuple(Span(phase.name, phase.start_s, stop) for phase, stop in zip(begun, ends, strict=True))
