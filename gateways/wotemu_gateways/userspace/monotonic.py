"""The seam to time: what tells it, and what wakes the gateway at an instant."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time; every deadline in a gateway is on one clock."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""
        ...


class MonotonicClock:
    """The kernel's CLOCK_MONOTONIC, which timerfd deadlines are on too."""

    now = staticmethod(time.monotonic)


class FakeClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def __repr__(self) -> str:
        return f"<FakeClock {self._now_s:.6f}>"

    def now(self) -> float:
        """Where the hands point."""
        return self._now_s

    def advance(self, seconds: float) -> float:
        """Move on, never back; the new time."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        self._now_s += seconds
        return self._now_s
