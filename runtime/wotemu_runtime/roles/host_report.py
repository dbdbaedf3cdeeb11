"""The load and the clock of the machines that roles run on; one role reports for each machine."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from wotemu.records import Event, Host
from wotemu_runtime.bus import BusClock, WallClock
from wotemu_runtime.roles.container_environment import HOST_VARIABLE

SAMPLE_EVERY_S = 1.0
CLAIM_RETRY_S = 3.0
CLAIM_EXPIRY_S = 5
"""A claim that is not renewed for so long is free: its holder has gone, or has lost the bus."""
MIN_CLOCK_STEP_S = 0.001
"""Smaller steps of a wall clock are not reported: NTP makes them all the time."""


def host_name() -> str:
    """This machine's name."""
    return os.environ.get(HOST_VARIABLE) or platform.node()


def shares_coordinators_host() -> bool:
    """Whether this role runs on the coordinator's machine, which the coordinator reports itself.

    Engines of several machines name the machine of each container in its environment.
    """
    return not os.environ.get(HOST_VARIABLE)


class HostClaim:
    """The right to report a machine: a lock on the bus that expires unless its holder renews it."""

    def __init__(self, client: Redis, key: str, holder: str) -> None:
        self._key = key
        self._holder = holder
        self._lock = Lock(client, key, timeout=CLAIM_EXPIRY_S, thread_local=False)
        # The token is the holder's name: a role that was restarted renews the claim that it had before.
        self._lock.local.token = holder.encode()

    def __repr__(self) -> str:
        return f"HostClaim({self._key!r}, {self._holder!r})"

    async def renew(self) -> bool:
        """Renew the claim, or acquire it where it is free; False where another role holds it."""
        with suppress(OSError, RedisError):
            try:
                return bool(await self._lock.reacquire())
            except LockError:
                return bool(await self._lock.acquire(blocking=False, token=self._holder))
        return False


async def report_host(
    name: str, source: str, claim: HostClaim, clock: BusClock, publish: Callable[[Host | Event], None]
) -> None:
    """Publish what the machine is, and each second a sample of its load, and steps of its clock.

    This goes on until it is cancelled. Nothing is published while another role holds the claim.

    Args:
        name: The machine's name.
        source: Source of the events.
        claim: The claim to report this machine.
        clock: The bus's clock on this machine.
        publish: Takes each record.
    """
    import psutil  # one role a machine needs it

    wall = WallClock()
    while True:
        while not await claim.renew():  # noqa: ASYNC110  # Redis sends no message when a key expires
            await asyncio.sleep(CLAIM_RETRY_S)
        publish(_found(name, source, clock))
        psutil.cpu_times_percent()  # the first call starts the interval that the next one measures
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            publish(_sample(name, clock))
            if abs(step_s := wall.look()) > MIN_CLOCK_STEP_S:
                publish(_clock_step(name, source, clock, step_s))
            if not await claim.renew():
                break


def _found(name: str, source: str, clock: BusClock) -> Event:
    import psutil

    from wotemu_runtime.calibration.store import cpu_model

    facts = {
        "cpu": cpu_model(),
        "cpus": psutil.cpu_count(),
        "mem_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
    }
    return Event(clock.now(), "host.found", source, f"{name} has {facts['cpu']}", {"host": name, **facts})


def _clock_step(name: str, source: str, clock: BusClock, step_s: float) -> Event:
    text = f"the wall clock of {name} was set by {step_s:+.3f} s; the run does not depend on it"
    return Event(clock.now(), "clock.stepped", source, text, {"host": name, "step_s": step_s})


def _sample(name: str, clock: BusClock) -> Host:
    import psutil

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


__all__ = ["HostClaim", "host_name", "report_host", "shares_coordinators_host"]
