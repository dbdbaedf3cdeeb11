"""The wall clock against the monotonic one: their difference changes only when somebody sets the wall clock.

On Linux both run at the same rate, NTP's corrections of the rate included; only a step (settimeofday, a leap
second, the resume of a virtual machine) changes CLOCK_REALTIME - CLOCK_MONOTONIC.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from wotemu_runtime.bus.offset import Offset, best_offset

_READINGS = 3
RESOLUTION_S = 1e-6
"""A float near the epoch holds 0.24 us: differences are not known better than this."""
QUICK_S = 2e-6
"""One reading of both clocks that takes no longer than twice this is as good as the best of several."""
STEP_KNOWN_S = 1.0
"""For so long after a step, times from before it may still come."""
_AHEAD_S = 1e-4
"""A time may be so far in the future before it must be of another setting of the clock."""

Read = Callable[[], float]


def wall_minus_monotonic(wall: Read = time.time, monotonic: Read = time.monotonic) -> Offset:
    """What is to be added to the monotonic clock to get the wall clock, now."""
    found = best_offset((monotonic(), wall(), monotonic()) for _ in range(_READINGS))
    return Offset(found.offset_s, max(found.error_s, RESOLUTION_S))


@functools.cache
def epoch_s() -> float:
    """What this process adds to CLOCK_MONOTONIC for times since the epoch. Read once: no step changes it."""
    return wall_minus_monotonic().offset_s


def steady_time() -> float:
    """Seconds since the epoch on a monotonic clock: the wall clock as of this process's first call."""
    return time.monotonic() + epoch_s()


class WallClock:
    """Turns recent readings of the wall clock, as the kernel stamps packets, into monotonic time.

    `look` has to be called now and then, so that a step of the clock is noticed soon after it.
    """

    def __init__(self, wall: Read = time.time, monotonic: Read = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._now = self._before = wall_minus_monotonic(wall, monotonic)
        self._stepped_at_s = float("-inf")

    def __repr__(self) -> str:
        return f"WallClock({self._now.offset_s:.6f} s ahead of the monotonic clock)"

    def look(self) -> float:
        """Compare the clocks; by how many seconds the wall clock was set since the last look, mostly 0."""
        if self._is_as_before():
            return 0.0
        new = wall_minus_monotonic(self._wall, self._monotonic)
        if not new.contradicts(self._now):
            if new.error_s < self._now.error_s:
                self._now = new
            return 0.0
        self._before, self._now = self._now, new
        self._stepped_at_s = self._monotonic()
        return self._now.offset_s - self._before.offset_s

    def _is_as_before(self) -> bool:
        """Whether one reading, which is all that it takes mostly, says surely that no clock was set."""
        before_s, wall_s, after_s = self._monotonic(), self._wall(), self._monotonic()
        error_s = max((after_s - before_s) / 2, RESOLUTION_S)
        if max(error_s, self._now.error_s) > QUICK_S:
            return False
        return abs(wall_s - (before_s + after_s) / 2 - self._now.offset_s) <= error_s + self._now.error_s

    def monotonic(self, wall_s: float) -> float:
        """The monotonic time when the wall clock showed `wall_s`, a moment ago.

        Shortly after a step it may be a reading from before it or from after it. The latest that is not in
        the future is right: readings are a moment old, and steps are longer.
        """
        self.look()
        now_s = self._monotonic()
        found = [wall_s - self._now.offset_s]
        if now_s - self._stepped_at_s < STEP_KNOWN_S:
            found.append(wall_s - self._before.offset_s)
        return min(now_s, max((each for each in found if each <= now_s + _AHEAD_S), default=now_s))


__all__ = ["WallClock", "epoch_s", "steady_time", "wall_minus_monotonic"]
