"""Samples of a node's app: CPU and memory, from its control groups or from its processes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import attrs
import psutil

from wotemu.records import System


@attrs.frozen
class Usage:
    """CPU time used so far and memory held now, by so many processes."""

    cpu_s: float
    mem_bytes: int
    processes: int


class Sampler:
    """Turns successive usages into samples; `limits` are what is enforced, None where nothing is."""

    def __init__(self, replica: str, cpu_limit: float | None, mem_limit_bytes: int | None) -> None:
        self._replica = replica
        self._cpu_limit_percent = None if cpu_limit is None else cpu_limit * 100
        self._mem_limit_bytes = mem_limit_bytes
        self._by_process: dict[int, float] = {}
        self._last_s = time.monotonic()

    def sample(self, t: float) -> System:
        """The sample of the time since the last one, stamped `t`."""
        now_s = time.monotonic()
        elapsed_s, self._last_s = now_s - self._last_s, now_s
        used_s, memory, processes = 0.0, 0, app_processes()
        seen: dict[int, float] = {}
        for process in processes:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except psutil.Error:  # it ended while we looked
                continue
            seen[process.pid] = times.user + times.system
            used_s += max(0.0, seen[process.pid] - self._by_process.get(process.pid, 0.0))
        self._by_process = seen
        cpu_percent = 100 * used_s / elapsed_s if elapsed_s > 0 else 0.0
        return System(
            t, self._replica, cpu_percent, self._cpu_limit_percent, memory, self._mem_limit_bytes, len(seen)
        )


def app_processes() -> list[psutil.Process]:
    """Every process of this node but its first one and the agent."""
    return [
        psutil.Process(pid) for pid in psutil.pids() if pid not in (1, os.getpid()) and psutil.pid_exists(pid)
    ]


def memory_pressure(cgroups: tuple[str, ...]) -> dict[str, Any]:
    """How often the kernel killed for want of memory in these control groups, version 1 or 2."""
    for directory in cgroups:
        for name in ("memory.events", "memory.oom_control"):
            path = Path(directory, name)
            if path.exists():
                lines = (line.split() for line in path.read_text().splitlines())
                return {key: int(value) for key, value in lines if key == "oom_kill"}
    return {}


def interface_drops() -> dict[str, int]:
    """Frames that this node's kernel dropped because a gateway did not take them in time, by interface."""
    counters = psutil.net_io_counters(pernic=True)
    return {name: counter.dropout for name, counter in counters.items() if counter.dropout and name != "lo"}
