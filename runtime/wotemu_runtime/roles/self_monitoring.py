"""What a role reports of its own process and interfaces: stalls, CPU time, frames that the kernel dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs

from wotemu.records import Stall
from wotemu_gateways.netlink import link
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_runtime.roles.role import Role

CHECK_EVERY_S = 0.05
"""Period of the timer that detects stalls. A stall that is shorter may pass unnoticed."""

MIN_STALL_S = 0.02
"""Shorter stalls are not recorded: a timer may be late by as much on a busy machine."""


@attrs.define
class CpuMeter:
    """CPU time of this process between one sample and the next.

    Args:
        now: The clock of the samples, in seconds.
        cpu_s: The CPU time used so far, in seconds: of all threads, to the nanosecond.
    """

    _now: Callable[[], float]
    _cpu_s: Callable[[], float] = time.process_time
    _last: tuple[float, float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last = self._now(), self._cpu_s()

    def sample(self) -> tuple[float, float, float]:
        """The time of the sample, the seconds since the one before, and the CPU seconds used in them."""
        t, cpu_s = self._now(), self._cpu_s()
        then, cpu_then_s = self._last
        self._last = t, cpu_s
        return t, t - then, round(cpu_s - cpu_then_s, 6)


async def record_stalls(role: Role) -> None:
    """Record when this process did not run although its timer was due, until cancelled.

    It was stopped or starved, or its event loop was busy with one callback.
    """
    while True:
        due_s = time.monotonic() + CHECK_EVERY_S
        await asyncio.sleep(CHECK_EVERY_S)
        late_s = time.monotonic() - due_s
        if late_s > MIN_STALL_S:
            role.publisher.put(Stall(role.now(), role.assignment.name, late_s))


def report_interface_drops(role: Role, *, prefix: str = "") -> None:
    """Report how many frames the kernel dropped because their reader's queue was full.

    Args:
        role: The role that reports them.
        prefix: Only interfaces whose names begin so; never ``lo``.
    """
    # What the kernel transmits at a TAP is what a gateway reads, or drops.
    with Netlink() as netlink:
        drops = link.tx_drops(netlink, prefix)
    for name, count in drops.items():
        if name != "lo" and count:
            text = f"{count} frames were dropped at {name} before a gateway took them"
            role.event("interface.dropped", text, count=count, interface=name)


__all__ = ["CpuMeter", "record_stalls", "report_interface_drops"]
