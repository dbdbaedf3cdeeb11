"""Samples CPU time, memory, storage and network of a node's app, from its control groups or processes."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from wotemu.records import Processes, System
from wotemu_runtime.agent import process_tree
from wotemu_runtime.agent.process_figures import (
    most_resident_bytes,
    open_files,
    resident_bytes,
    storage_bytes,
)
from wotemu_runtime.agent.process_tree import Process

LOOK_EVERY = 10
"""Of how many samples of an idle node one has all figures; each of a node that computes has."""
BUSY_CPU_S = 0.005
"""CPU time of a node that computes."""
_LISTED = 3
"""Processes of a node in `processes`, at most."""
_LISTED_PERCENT = 1.0
_NOBODY = Process(0, "X")


@attrs.frozen
class Usage:
    """CPU time used so far and memory resident now, of a number of processes."""

    cpu_s: float
    mem_bytes: int
    processes: int


@attrs.define
class _Growth:
    """What has been added to a counter since it was last taken; None where it is not known."""

    _last: float | None = None

    def since(self, now: float | None) -> float | None:
        last, self._last = self._last, now
        return None if now is None or last is None else max(0.0, now - last)


class Sampler:
    """Turns successive usages into samples.

    Args:
        replica: the replica's name.
        cgroups: directories of the control groups that the app is in.
        cpu_limit: the enforced limit in cores; None without one.
        mem_limit_bytes: the enforced limit of memory; None without one.
        processes: the app's processes that are there now, by their id.
        network_file: reads a file of the node's ``/proc/net``; its answer is None where that has others'
            figures, too.
        throttling: directories of the control groups that limit the app's CPU, where they are others.
    """

    def __init__(
        self,
        replica: str,
        cgroups: tuple[str, ...],
        cpu_limit: float | None,
        mem_limit_bytes: int | None,
        processes: Callable[[], Mapping[int, Process]],
        network_file: Callable[[str], str | None] = lambda _: None,
        throttling: tuple[str, ...] = (),
    ) -> None:
        self._processes = processes
        self._replica = replica
        self._cgroups = cgroups
        self._throttling = cgroups or throttling
        self._cpu_limit_percent = None if cpu_limit is None else cpu_limit * 100
        self._mem_limit_bytes = mem_limit_bytes
        self._network_file = network_file
        self._now: Mapping[int, Process] = {}
        self._before: Mapping[int, Process] = {}
        self._storage: dict[int, tuple[int, int]] = {}
        self._read_written = [0, 0]
        self._cpu_s = 0.0
        self._most_bytes = 0
        self._samples = 0
        self._last: tuple[float, float] | None = None
        self._growth = {name: _Growth() for name in _COUNTED}

    def limit(self, cpu: float | None, mem_bytes: int | None) -> None:
        """Other limits hold from now on; None is no limit."""
        self._cpu_limit_percent = None if cpu is None else cpu * 100
        self._mem_limit_bytes = mem_bytes

    @property
    def cpu_s(self) -> float:
        """CPU time by the last sample, since the first one."""
        return 0.0 if self._last is None else self._last[1]

    @property
    def threads(self) -> int:
        """Threads of all processes by the last sample."""
        return sum(process.threads for process in self._now.values())

    def sample(self, t: float, *, is_last: bool = False) -> list[System | Processes]:
        """The samples of the time since the last one, stamped `t`: none the first time.

        Args:
            t: When they are taken.
            is_last: No other follows, so this one has all figures.

        Returns:
            The node's sample, and the processes that used most CPU where it has several.
        """
        now_s, usage = time.monotonic(), self._usage()
        last, self._last = self._last, (now_s, usage.cpu_s)
        self._samples += 1
        if last is None or now_s <= last[0]:
            self._look()  # what counters have by now is no sample's
            return []
        cpu_s, elapsed_s = max(0.0, usage.cpu_s - last[1]), now_s - last[0]
        looks = is_last or cpu_s > BUSY_CPU_S or self._samples % LOOK_EVERY == 0
        self._most_bytes = max(self._most_bytes, usage.mem_bytes)
        figures = self._look() if looks else {}
        system = System(
            t,
            self._replica,
            100 * cpu_s / elapsed_s,
            self._cpu_limit_percent,
            usage.mem_bytes,
            self._mem_limit_bytes,
            usage.processes,
            mem_peak_bytes=self._most_bytes,
            threads=self.threads,
            **figures,
        )
        return [system, *self._busiest(t, elapsed_s)]

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
        self._before, self._now = self._now, self._processes()
        for pid, process in self._now.items():
            self._cpu_s += max(0.0, process.cpu_s - self._before.get(pid, _NOBODY).cpu_s)
        memory = sum(map(resident_bytes, self._now))
        return Usage(self._cpu_s, memory, len(self._now))

    def _look(self) -> dict[str, Any]:
        """The figures that cost more: what grew since the last look, open files, and the peak of memory."""
        counted = {**throttled(self._throttling), **self._storage_figures(), **self._network_figures()}
        grown = {name: each.since(counted.get(name)) for name, each in self._growth.items()}
        by_kernel = group_peak_bytes(self._cgroups)
        if by_kernel is None:
            by_kernel = max(map(most_resident_bytes, self._now), default=0)
        self._most_bytes = max(self._most_bytes, by_kernel)
        whole = {name: int(grown[name]) for name in grown.keys() - {"throttled"} if grown[name] is not None}  # type: ignore[arg-type]
        return {**whole, "throttled": grown["throttled"], "open_files": sum(map(open_files, self._now))}

    def _storage_figures(self) -> dict[str, float]:
        """Bytes read from and written to storage so far; none where this user may not know."""
        found = {pid: figures for pid in self._now if (figures := storage_bytes(pid)) is not None}
        if self._now and not found:
            return {}
        for pid, figures in found.items():
            before = self._storage.get(pid, (0, 0))
            for each in (0, 1):
                self._read_written[each] += max(0, figures[each] - before[each])
        self._storage = found
        return {"read_bytes": self._read_written[0], "written_bytes": self._read_written[1]}

    def _network_figures(self) -> dict[str, float]:
        """Bytes and retransmitted segments of all the node's interfaces and connections so far."""
        try:
            interfaces, protocols = self._network_file("dev"), self._network_file("snmp")
        except OSError:  # the node has ended
            return {}
        if interfaces is None or protocols is None:
            return {}
        received, sent = interface_bytes(interfaces)
        again = retransmitted(protocols)
        return {"received_bytes": received, "sent_bytes": sent, "retransmitted": again}

    def _busiest(self, t: float, elapsed_s: float) -> Iterator[Processes]:
        """The processes that used most CPU, where there are several."""
        if len(self._now) < 2:
            return
        used = [
            (100 * max(0.0, process.cpu_s - self._before.get(pid, _NOBODY).cpu_s) / elapsed_s, pid)
            for pid, process in self._now.items()
        ]
        for percent, pid in heapq.nlargest(_LISTED, used):
            if percent >= _LISTED_PERCENT:
                process = self._now[pid]
                name = "".join(each if each.isprintable() else "?" for each in process.name)
                yield Processes(t, self._replica, pid, name, percent, resident_bytes(pid), process.threads)


_COUNTED = (
    *("throttled_periods", "throttled"),
    *("read_bytes", "written_bytes", "received_bytes", "sent_bytes", "retransmitted"),
)
"""Fields of a sample that are what was added to counters."""


def throttled(cgroups: tuple[str, ...]) -> dict[str, float]:
    """How many periods control groups were throttled in so far, and for how long (s), version 1 or 2."""
    for directory in cgroups:
        stat = _keyed(Path(directory, "cpu.stat"))
        if "nr_throttled" in stat:
            seconds = (
                stat["throttled_time"] / 1e9 if "throttled_time" in stat else stat["throttled_usec"] / 1e6
            )
            return {"throttled_periods": stat["nr_throttled"], "throttled": seconds}
    return {}


def interface_bytes(text: str) -> tuple[int, int]:
    """Bytes received and sent at all interfaces but the loopback one, of the text of ``/proc/net/dev``."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, counters = line.partition(":")
        if name.strip() != "lo":
            fields = counters.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def retransmitted(text: str) -> int:
    """TCP segments sent again, of the text of ``/proc/net/snmp``; 0 where it has no such counter."""
    names, values = ([line.split() for line in text.splitlines() if line.startswith("Tcp:")] + [[], []])[:2]
    return int(dict(zip(names, values, strict=False)).get("RetransSegs", 0))


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


def group_peak_bytes(cgroups: tuple[str, ...]) -> int | None:
    """The most memory of control groups so far, with page cache, as the limit counts; None without one."""
    for directory in cgroups:
        for name in ("memory.peak", "memory.max_usage_in_bytes"):  # version 2 since Linux 5.19, version 1
            if (peak := Path(directory, name)).exists():
                return int(peak.read_text())
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
