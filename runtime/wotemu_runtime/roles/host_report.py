"""The machines that roles run on: their names, their load and their clocks, told by one role on each."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from contextlib import suppress

import psutil
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from wotemu.records import Event, Host
from wotemu_runtime.bus import BusClock, WallClock
from wotemu_runtime.roles.container_environment import HOST_VARIABLE

SAMPLE_EVERY_S = 1.0
ASK_EVERY_S = 3.0
CLAIM_S = 5
TOLD_STEP_S = 0.001
"""Smaller steps of a wall clock are not told."""


def host_name() -> str:
    """What this machine is called."""
    return os.environ.get(HOST_VARIABLE) or platform.node()


def is_told_its_host() -> bool:
    """Whether this role may be alone on its machine; else all are on the coordinator's."""
    return bool(os.environ.get(HOST_VARIABLE))


class HostClaim:
    """The right to speak for a machine: a key on the bus that one role holds for a while, and renews."""

    def __init__(self, client: Redis, key: str, holder: str) -> None:
        self._key = key
        self._holder = holder
        self._lock = Lock(client, key, timeout=CLAIM_S, thread_local=False)
        self._lock.local.token = holder.encode()

    def __repr__(self) -> str:
        return f"HostClaim({self._key!r}, {self._holder!r})"

    async def held(self) -> bool:
        """Whether it is ours: renewed where it was ours, taken now where it is free."""
        with suppress(OSError, RedisError):
            try:
                return bool(await self._lock.reacquire())
            except LockError:
                return bool(await self._lock.acquire(blocking=False, token=self._holder))
        return False


async def report_host(
    name: str, source: str, claim: HostClaim, clock: BusClock, take: Callable[[Host | Event], None]
) -> None:
    """Give a sample a second to `take`, each of the time since the one before, until cancelled.

    And an event of `source` for each step of the machine's wall clock, which changes nothing of the run.

    While another role holds the machine's claim it does so, and none is taken here.
    """
    wall = WallClock()
    while True:
        while not await claim.held():  # noqa: ASYNC110
            await asyncio.sleep(ASK_EVERY_S)  # a claim that runs out tells nobody
        psutil.cpu_times_percent()
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            take(_sample(name, clock))
            if abs(step_s := wall.look()) > TOLD_STEP_S:
                take(_stepped(name, source, clock, step_s))
            if not await claim.held():
                break


def _stepped(name: str, source: str, clock: BusClock, step_s: float) -> Event:
    text = f"the wall clock of {name} was set by {step_s:+.3f} s; nothing of the run follows it"
    return Event(clock.now(), "clock.stepped", source, text, {"host": name, "step_s": step_s})


def _sample(name: str, clock: BusClock) -> Host:
    cpu, memory = psutil.cpu_times_percent(), psutil.virtual_memory()
    return Host(
        t=clock.now(),
        host=name,
        cpu_percent=100 - cpu.idle,
        steal_percent=getattr(cpu, "steal", 0.0),
        mem_used_bytes=memory.used,
        mem_total_bytes=memory.total,
        clock_offset=clock.offset.offset_s,
        clock_error=clock.offset.error_s,
    )


__all__ = ["HostClaim", "host_name", "is_told_its_host", "report_host"]
