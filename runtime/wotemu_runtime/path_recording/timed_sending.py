"""When a packet was sent, and whether the recorder's own process makes that uncertain."""

from __future__ import annotations

import time
from collections.abc import Callable

BLUR_NS = 1_000_000
"""A process that loses its CPU while it sends is back later than this; sending takes some 10 us."""


def timed(send: Callable[[], object]) -> tuple[int, bool]:
    """Send a packet.

    Returns:
        When it began, in nanoseconds of CLOCK_REALTIME, as the kernel stamps arrivals, and whether the packet
        may have left more than `BLUR_NS` later.
    """
    begun_ns = time.time_ns()
    send()
    return begun_ns, time.time_ns() - begun_ns > BLUR_NS
