"""The clock of a gateway in user space, and a fake one for tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time; all deadlines in a gateway are on one clock."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""
        ...


class MonotonicClock:
    """The kernel's CLOCK_MONOTONIC, which timerfd deadlines are on too."""

    now = staticmethod(time.monotonic)


class FakeClock:
    """A clock that moves only by `advance`."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def __repr__(self) -> str:
        return f"<FakeClock {self._now_s:.6f}>"

    def now(self) -> float:
        """The current time in seconds."""
        return self._now_s

    def advance(self, seconds: float) -> float:
        """Move on by some seconds, never back; the new time."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        self._now_s += seconds
        return self._now_s
