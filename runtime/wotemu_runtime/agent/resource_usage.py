"""Samples the CPU time and memory of a node's app, from its control groups or from its processes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import psutil

from wotemu.records import System


@attrs.frozen
class Usage:
    """CPU time used so far and memory resident now, of a number of processes."""

    cpu_s: float
    mem_bytes: int
    processes: int


class Sampler:
    """Turns successive usages into samples.

    Args:
        replica: the replica's name.
        cgroups: directories of the control groups that the app is in.
        cpu_limit: the enforced limit in cores; None without one.
        mem_limit_bytes: the enforced limit of memory; None without one.
        processes: lists the app's processes.
    """

    def __init__(
        self,
        replica: str,
        cgroups: tuple[str, ...],
        cpu_limit: float | None,
        mem_limit_bytes: int | None,
        processes: Callable[[], list[psutil.Process]],
    ) -> None:
        self._processes = processes
        self._replica = replica
        self._cgroups = cgroups
        self._cpu_limit_percent = None if cpu_limit is None else cpu_limit * 100
        self._mem_limit_bytes = mem_limit_bytes
        self._by_process: dict[int, float] = {}
        self._cpu_s = 0.0
        self._last: tuple[float, float] | None = None

    def sample(self, t: float) -> System | None:
        """The sample of the time since the last one, stamped `t`; None the first time."""
        now_s, usage = time.monotonic(), self._usage()
        last, self._last = self._last, (now_s, usage.cpu_s)
        if last is None or now_s <= last[0]:
            return None
        cpu_percent = max(0.0, 100 * (usage.cpu_s - last[1]) / (now_s - last[0]))
        return System(
            t,
            self._replica,
            cpu_percent,
            self._cpu_limit_percent,
            usage.mem_bytes,
            self._mem_limit_bytes,
            usage.processes,
        )

    def _usage(self) -> Usage:
        """The usage of the control groups, which counts ended processes; without any, of the processes."""
        summed = self._sum_processes()
        cpu_s, mem_bytes = group_cpu_s(self._cgroups), group_mem_bytes(self._cgroups)
        return Usage(
            summed.cpu_s if cpu_s is None else cpu_s,
            summed.mem_bytes if mem_bytes is None else mem_bytes,
            summed.processes,
        )

    def _sum_processes(self) -> Usage:
        memory = 0
        seen: dict[int, float] = {}
        for process in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
            seen[process.pid] = times.user + times.system
            self._cpu_s += max(0.0, seen[process.pid] - self._by_process.get(process.pid, 0.0))
        self._by_process = seen
        return Usage(self._cpu_s, memory, len(seen))


def group_cpu_s(cgroups: tuple[str, ...]) -> float | None:
    """CPU time of control groups, version 1 or 2; None without one."""
    for directory in cgroups:
        if used_us := _keyed(Path(directory, "cpu.stat")).get("usage_usec"):
            return used_us / 1e6
        accounted = Path(directory, "cpuacct.usage")
        if accounted.exists():
            return int(accounted.read_text()) / 1e9
    return None


def group_mem_bytes(cgroups: tuple[str, ...]) -> int | None:
    """Memory of control groups without the page cache, version 1 or 2; None without one."""
    for directory in cgroups:
        stat = _keyed(Path(directory, "memory.stat"))
        for key in ("anon", "total_rss"):  # version 2, version 1
            if key in stat:
                return stat[key]
    return None


def _keyed(path: Path) -> dict[str, int]:
    """A file of ``key number`` lines; empty where there is none."""
    if not path.exists():
        return {}
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def app_processes() -> list[psutil.Process]:
    """Every process of this PID namespace but its first one and this one."""
    found = []
    for pid in psutil.pids():
        if pid not in (1, os.getpid()):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                found.append(psutil.Process(pid))
    return found


def out_of_memory_kills(cgroups: tuple[str, ...]) -> int:
    """How many processes of these control groups the kernel killed for lack of memory, version 1 or 2."""
    names = ("memory.events", "memory.oom_control")
    return max(
        (_keyed(Path(group, name)).get("oom_kill", 0) for group in cgroups for name in names), default=0
    )
