"""How far two clocks are apart, and how surely that is known. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

MAX_DRIFT = 100e-6
"""Seconds a second by which two machines' quartz clocks may drift apart (crystals have 20 to 100 ppm)."""

MIN_SLEW = 500e-6
"""Seconds a second by which a correction is made at least: what the kernel's own adjtime does."""
MAX_SLEW = 0.05
"""And at most: durations measured meanwhile are wrong by this share."""
SLEWED_IN_S = 10.0
"""Between the two, a correction takes so long."""


@attrs.frozen
class Offset:
    """Seconds to add to one clock to get another: off by at most `error_s`."""

    offset_s: float
    error_s: float

    def after(self, age_s: float) -> Offset:
        """What is left of it later."""
        return attrs.evolve(self, error_s=self.error_s + MAX_DRIFT * age_s)

    def contradicts(self, other: Offset) -> bool:
        """Whether no offset can be right for both."""
        return abs(self.offset_s - other.offset_s) > self.error_s + other.error_s


UNKNOWN = Offset(0.0, math.inf)
"""Before anything was measured."""


def best_offset(exchanges: Iterable[tuple[float, float, float]]) -> Offset:
    """The offset by exchanges of ``(sent, the other clock's answer, received)``: by the shortest one.

    The other clock was read at some moment between the two, so the middle is wrong by at most half of it
    (Cristian, "Probabilistic clock synchronization", 1989).
    """
    sent, other, received = min(exchanges, key=lambda exchange: exchange[2] - exchange[0])
    return Offset(other - (sent + received) / 2, (received - sent) / 2)


def surer(old: Offset, age_s: float, new: Offset) -> Offset:
    """Which of two that don't contradict each other to go on with: a busy moment makes no clock worse."""
    aged = old.after(age_s)
    return new if new.error_s <= aged.error_s else aged


@attrs.frozen
class Slew:
    """A correction that is made little by little: from `before_s` at `start_s` to `after_s`, then constant.

    Times are on the clock that is corrected, which so neither jumps nor runs backwards.
    """

    before_s: float
    after_s: float
    start_s: float

    @property
    def duration_s(self) -> float:
        """How long it takes."""
        size_s = abs(self.after_s - self.before_s)
        return size_s / min(max(size_s / SLEWED_IN_S, MIN_SLEW), MAX_SLEW)

    def at(self, t_s: float) -> float:
        """The correction at `t_s`."""
        return self.after_s - self.left(t_s)

    def left(self, t_s: float) -> float:
        """What is still to be corrected at `t_s`."""
        if self.before_s == self.after_s:
            return 0.0
        if t_s <= self.start_s:
            return self.after_s - self.before_s
        gone_s, duration_s = t_s - self.start_s, self.duration_s
        return 0.0 if gone_s >= duration_s else (self.after_s - self.before_s) * (1 - gone_s / duration_s)

    def when(self, corrected_s: float) -> float:
        """The time on the clock itself when it shows `corrected_s` with its correction: `at` inverted."""
        if self.before_s == self.after_s:
            return corrected_s - self.after_s
        if corrected_s <= self.start_s + self.before_s:
            return corrected_s - self.before_s
        duration_s = self.duration_s
        if corrected_s >= self.start_s + duration_s + self.after_s:
            return corrected_s - self.after_s
        rate = (self.after_s - self.before_s) / duration_s
        return self.start_s + (corrected_s - self.start_s - self.before_s) / (1 + rate)


__all__ = ["MAX_DRIFT", "UNKNOWN", "Offset", "Slew", "best_offset", "surer"]
