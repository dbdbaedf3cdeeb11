"""The time axis that all figures of a report share: seconds since T0, phases, and bins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs
import polars as pl

from wotemu.records.schemas import Frame
from wotemu.scenario.timeline import Phase

BEFORE_T0 = "before T0"
WHOLE_RUN = "whole run"
# A chart is about 1000 pixels wide: narrower bins than 8 pixels would not be seen.
_MAX_BINS = 120
_BINS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@attrs.frozen
class PhaseSpan:
    """One phase with its start and its end, in seconds since T0."""

    name: str
    start_s: float
    end_s: float


@attrs.frozen
class Axis:
    """The time axis of one report.

    Attributes:
        origin: Zero of the axis, in epoch seconds: T0, or the start of a run that failed before T0.
        end_s: Where the axis ends, in seconds.
        bin_s: Width of one bin, in seconds.
        phases: The phases, in order; together they cover the axis.
        marks: When the timeline changes something, in seconds.
        crashes: When an app crashed, in seconds, and its replica.
    """

    origin: float
    end_s: float
    bin_s: int
    phases: tuple[PhaseSpan, ...]
    marks: tuple[float, ...] = ()
    crashes: tuple[tuple[float, str], ...] = ()

    def coarser(self, count: float) -> Axis:
        """The axis with wider bins (never narrower ones), so that at most `count` cover the run."""
        return attrs.evolve(self, bin_s=max(self.bin_s, bin_width(self.end_s, max(count, 1.0))))

    @property
    def bins(self) -> list[float]:
        """The start of every bin, in seconds; there is at least one."""
        bin_count = max(1, -int(-self.end_s // self.bin_s))
        return [float(number * self.bin_s) for number in range(bin_count)]

    def place(self, frame: Frame, time: str = "t") -> Frame:
        """Add `s` (seconds since T0), `phase_no` (-1 before T0) and `phase`.

        Args:
            frame: Rows with a time, lazy or not.
            time: The column with that time, in epoch seconds.
        """
        placed = frame.with_columns(s=(pl.col(time) - self.origin).cast(pl.Float64))
        numbered = placed.with_columns(phase_no=self.phase_number("s"))
        return numbered.with_columns(phase=self.phase_name("phase_no"))

    def phase_number(self, seconds: str, *, before: bool = False) -> pl.Expr:
        """The number of the phase that an instant belongs to; -1 before T0.

        Args:
            seconds: The column with the instant, in seconds since T0.
            before: Whether an instant exactly at a phase's start belongs to the phase before, as an end does.
        """
        starts = pl.Series([span.start_s for span in self.phases], dtype=pl.Float64)
        side: Literal["left", "right"] = "left" if before else "right"

        def numbers(instants: pl.Series) -> pl.Series:
            return starts.search_sorted(instants, side=side).cast(pl.Int64) - 1

        return pl.col(seconds).map_batches(numbers, return_dtype=pl.Int64, is_elementwise=True)

    def phase_name(self, number: str) -> pl.Expr:
        """The name of the phase whose number the column `number` has."""
        names = pl.Series([BEFORE_T0, *(span.name for span in self.phases)], dtype=pl.String)
        return pl.col(number).map_batches(
            lambda numbers: names.gather(numbers + 1), return_dtype=pl.String, is_elementwise=True
        )

    def binned(self) -> pl.Expr:
        """The start in seconds of the bin that `s` falls into."""
        return (pl.col("s") // self.bin_s) * self.bin_s

    def shown(self) -> pl.Expr:
        """Whether `s` lies on the axis."""
        return (pl.col("s") >= 0) & (pl.col("s") <= self.end_s)


def bin_width(end_s: float, count: float = _MAX_BINS) -> int:
    """The smallest round number of seconds of which at most `count` cover `end_s`."""
    return next((width for width in _BINS_S if end_s / width <= count), _BINS_S[-1])


def make_axis(
    phases: Iterable[Phase],
    *,
    origin: float,
    end_s: float,
    marks: Iterable[float] = (),
    crashes: Iterable[tuple[float, str]] = (),
) -> Axis:
    """The axis of a run, or of a plan.

    Args:
        phases: The timeline's phases, in order.
        origin: Zero of the axis, in epoch seconds.
        end_s: When the run ended, in seconds since `origin`.
        marks: When the timeline changes something, in seconds since `origin`.
        crashes: When apps crashed, in epoch seconds, and their replicas.
    """
    # A run that ended at once still needs an axis of some length: scales and bins divide by it.
    end = max(end_s, 1.0)
    instants = sorted({at_s for at_s in marks if at_s <= end})
    placed = [(time - origin, replica) for time, replica in crashes]
    crashed = sorted((at_s, replica) for at_s, replica in placed if 0 <= at_s <= end)
    return Axis(origin, end, bin_width(end), _spans(phases, end), tuple(instants), tuple(crashed))


def _spans(phases: Iterable[Phase], end: float) -> tuple[PhaseSpan, ...]:
    """The phases that began before the end; the time before the first one gets a name of its own."""
    begun = [phase for phase in phases if phase.start_s < end]
    if not begun:
        return (PhaseSpan(WHOLE_RUN, 0.0, end),)
    if begun[0].start_s > 0:
        begun.insert(0, Phase(f"before {begun[0].name}", 0.0))
    ends = [*(phase.start_s for phase in begun[1:]), end]
    return tuple(PhaseSpan(phase.name, phase.start_s, stop) for phase, stop in zip(begun, ends, strict=True))
