"""The load of the machine that this process runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psutil

from wotemu.records import Host

SAMPLE_EVERY_S = 1.0


async def sample_host(name: str, now: Callable[[], float], take: Callable[[Host], None]) -> None:
    """Give a sample a second to `take`, each of the time since the one before, until cancelled."""
    psutil.cpu_times_percent()
    while True:
        await asyncio.sleep(SAMPLE_EVERY_S)
        cpu, memory = psutil.cpu_times_percent(), psutil.virtual_memory()
        steal = getattr(cpu, "steal", 0.0)
        take(Host(now(), name, 100 - cpu.idle, steal, memory.used, memory.total))
