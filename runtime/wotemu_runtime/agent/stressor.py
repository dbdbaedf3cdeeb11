"""A process that uses a share of a core and holds memory: what ``.stress`` runs in a node."""

from __future__ import annotations

import mmap
import signal
import time
from typing import NoReturn

import attrs

PERIOD_S = 0.02
"""How long a share of a core takes to come around: shorter than what most apps notice."""
_MOST_BEHIND_S = 0.2
"""Computing time that was missed longer ago, while the process was paused or had no core, is not made up."""


@attrs.define
class DutyCycle:
    """When to compute and when to sleep, so that a process uses `share` of a core.

    Attributes:
        share: From 0 to 1.
        until_s: The end of the present period, on a clock that does not jump.
        cpu_until_s: The CPU time at which the process has used its share of all periods so far.
    """

    share: float
    until_s: float
    cpu_until_s: float

    def next_period(self, now_s: float, cpu_s: float) -> None:
        """Begin the next period.

        Args:
            now_s: The time now.
            cpu_s: CPU time of the process so far.
        """
        self.until_s += PERIOD_S
        self.cpu_until_s += self.share * PERIOD_S
        if now_s > self.until_s + _MOST_BEHIND_S:
            self.until_s = now_s + PERIOD_S
            self.cpu_until_s = min(self.cpu_until_s, cpu_s + self.share * _MOST_BEHIND_S)


def run(share: float, mem_bytes: int) -> NoReturn:
    """Hold so much memory, written to, and use a share of a core, until this process is killed."""
    _held = _hold(mem_bytes)  # until this process ends
    if not share:
        while True:
            signal.pause()
    cycle = DutyCycle(share, time.monotonic(), time.process_time())
    while True:
        cycle.next_period(time.monotonic(), time.process_time())
        while time.process_time() < cycle.cpu_until_s:
            pass
        if (left_s := cycle.until_s - time.monotonic()) > 0:
            time.sleep(left_s)


def _hold(mem_bytes: int) -> mmap.mmap | None:
    """Memory that is resident: the kernel writes to each page as it maps it."""
    if not mem_bytes:
        return None
    return mmap.mmap(-1, mem_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
