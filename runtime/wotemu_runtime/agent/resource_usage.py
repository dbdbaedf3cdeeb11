"""Samples the CPU time and memory of a node's app, from its control groups or from its processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from wotemu.records import System
from wotemu_runtime.agent import process_tree
from wotemu_runtime.agent.process_tree import Process

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


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
        processes: the app's processes that are there now, by their id.
    """

    def __init__(
        self,
        replica: str,
        cgroups: tuple[str, ...],
        cpu_limit: float | None,
        mem_limit_bytes: int | None,
        processes: Callable[[], Mapping[int, Process]],
    ) -> None:
        self._processes = processes
        self._replica = replica
        self._cgroups = cgroups
        self._cpu_limit_percent = None if cpu_limit is None else cpu_limit * 100
        self._mem_limit_bytes = mem_limit_bytes
        self._by_process: dict[int, float] = {}
        self._cpu_s = 0.0
        self._last: tuple[float, float] | None = None

    def limit(self, cpu: float | None, mem_bytes: int | None) -> None:
        """Other limits hold from now on; None is no limit."""
        self._cpu_limit_percent = None if cpu is None else cpu * 100
        self._mem_limit_bytes = mem_bytes

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
        processes = self._processes()
        for pid, process in processes.items():
            self._cpu_s += max(0.0, process.cpu_s - self._by_process.get(pid, 0.0))
        self._by_process = {pid: process.cpu_s for pid, process in processes.items()}
        memory = sum(map(resident_bytes, processes))
        return Usage(self._cpu_s, memory, len(processes))


def resident_bytes(pid: int) -> int:
    """Memory of a process that is resident now; 0 where it has ended."""
    try:
        # `stat` has it too, but there the kernel leaves out what each processor has not added up yet.
        return int(process_tree.read_file(f"/proc/{pid}/statm").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


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


def app_processes() -> dict[int, Process]:
    """The app's processes, for an agent that runs in the app's PID namespace."""
    processes = process_tree.snapshot()
    return {pid: processes[pid] for pid in process_tree.of_app(processes, {1, os.getpid()})}


def out_of_memory_kills(cgroups: tuple[str, ...]) -> int:
    """How many processes of these control groups the kernel killed for lack of memory, version 1 or 2."""
    names = ("memory.events", "memory.oom_control")
    return max(
        (_keyed(Path(group, name)).get("oom_kill", 0) for group in cgroups for name in names), default=0
    )
