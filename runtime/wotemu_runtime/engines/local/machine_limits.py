"""This machine's limits of what nodes need, and the check of a plan against them before anything starts.

Not here, since they bound nothing: WoTemu watches no files (inotify); a machine's number of interfaces has no
limit; addresses are checked where they are assigned.
"""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import psutil

from wotemu.errors import HostError
from wotemu.wording import counted
from wotemu_runtime.engines.local.cgroups import own_groups
from wotemu_runtime.engines.local.cgroups.delegation import ROOT
from wotemu_runtime.engines.local.nproc_limit import is_root_of_machine
from wotemu_runtime.engines.local.plan_demand import (
    FILES,
    MEMORY,
    NAMESPACES,
    NEIGHBOURS,
    TASKS,
    Demand,
    Resource,
)
from wotemu_runtime.planning.models import Plan, PlannedNetwork

BRIDGE_PORTS = 1023
"""Ports of a Linux bridge (BR_MAX_PORTS, of which number 0 is not used): members of a network under NetEm."""

_PROC = Path("/proc")
_SYSCTL = "sudo sysctl -w "
_EXEMPT_FROM_NPROC = 1 << 21 | 1 << 24
"""CAP_SYS_ADMIN and CAP_SYS_RESOURCE (fork(2))."""
_PERMANENT_NEIGHBOURS_UNLIMITED = (5, 0)
"""The first kernel that does not count permanent entries against net.ipv4.neigh.default.gc_thresh3."""
_NO_LIMIT_V1 = 1 << 60
"""Version 1 reports "no limit" of memory as the largest multiple of a page in 63 bits."""


@attrs.frozen
class Limit:
    """One limit of this machine.

    Attributes:
        resource: What it is a limit of.
        name: What its owner knows it as.
        maximum: Its value.
        used: How much of that is taken.
        remedy: How to raise it, with ``{}`` in place of the new value.
    """

    resource: Resource
    name: str
    maximum: int
    used: int
    remedy: str

    @property
    def room(self) -> int:
        """How much is free."""
        return max(0, self.maximum - self.used)

    def __str__(self) -> str:
        used = f", and {_amount(self.resource, self.used)} are in use" if self.used else ""
        return f"{self.name} is {_amount(self.resource, self.maximum)}{used}"


def check(demand: Demand, limits: Iterable[Limit]) -> None:
    """Check that some nodes have room within the limits.

    Raises:
        HostError: They have not; it names every limit that is too low, and how to raise it.
    """
    short = [limit for limit in limits if demand.total(limit.resource) > limit.room]
    if not short:
        return
    short.sort(key=lambda limit: demand.nodes_within(limit.resource, limit.room))
    tightest = short[0]
    message = f"{demand.nodes} nodes need at least {_needed(demand, tightest)}, but {tightest}"
    if len(short) > 1:
        message += f"; {counted(len(short) - 1, 'more limit is', 'more limits are')} too low"
    fitting = demand.nodes_within(tightest.resource, tightest.room)
    fewer = f"use at most {fitting} nodes" if fitting else "there is room for no node at all"
    raise HostError(message, where="local engine", hint="; ".join([*_remedies(demand, short), f"or {fewer}"]))


def _remedies(demand: Demand, short: Iterable[Limit]) -> list[str]:
    """What to do about the limits that are too low, with one command for all sysctls."""
    remedies = [limit.remedy.format(limit.used + demand.total(limit.resource)) for limit in short]
    settings = [each.removeprefix(_SYSCTL) for each in remedies if each.startswith(_SYSCTL)]
    others = [each for each in remedies if not each.startswith(_SYSCTL)]
    return [*others, *([_SYSCTL + " ".join(settings)] if settings else [])]


def check_bridges(plan: Plan) -> None:
    """Check that every network's members have a port of its bridge each, as NetEm needs them.

    Raises:
        HostError: A network has more members than a bridge has ports.
    """
    for network in crowded(plan):
        raise HostError(
            f"it has {len(network.members)} members; a bridge of this kernel has {BRIDGE_PORTS} ports",
            where=f"--shaper netem, network {network.name!r}",
            hint="use --shaper tun, which needs no bridge, or split the network",
        )


def crowded(plan: Plan) -> list[PlannedNetwork]:
    """The networks with more members than a bridge has ports."""
    return [network for network in plan.networks if len(network.members) > BRIDGE_PORTS]


def in_use(resources: Iterable[Resource], limits: Iterable[Limit]) -> str:
    """The present values of the limits of some resources, for an error that one of them has caused."""
    wanted = set(resources)
    return "; ".join(str(limit) for limit in limits if limit.resource in wanted)


def read_limits(proc: Path = _PROC, groups: Path = ROOT) -> list[Limit]:
    """Read all limits of this machine that are not infinite.

    Args:
        proc: Where the kernel's figures are mounted.
        groups: Where control groups are mounted.
    """
    return [
        _memory(),
        *_group_memory(proc / "self/cgroup", groups),
        *_nproc(proc),
        *_group_pids(proc / "self/cgroup", groups),
        *_kernel_tasks(proc),
        *_files(),
        *_namespaces(proc / "sys/user"),
        *_neighbours(proc),
    ]


def _amount(resource: Resource, number: int) -> str:
    return f"{number / 1e9:.2f} GB" if resource == MEMORY else str(number)


def _needed(demand: Demand, limit: Limit) -> str:
    amount = _amount(limit.resource, demand.total(limit.resource))
    return f"{amount} of memory" if limit.resource == MEMORY else f"{amount} {limit.resource}"


def _memory() -> Limit:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    total, free = memory.total + swap.total, memory.available + swap.free
    name = "memory of this machine, with swap,"
    return Limit(MEMORY, name, total, total - free, "use a machine with more, or a cluster: --engine swarm")


def _group_memory(listing: Path, groups: Path) -> Iterator[Limit]:
    """The limits of this process's control groups; pages of files that can be dropped count as free."""
    for directory in own_groups.directories("memory", listing, groups):
        for file, usage, dropped in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            maximum = _number(directory / file)
            if maximum is not None and maximum < _NO_LIMIT_V1:
                statistics = _fields(directory / "memory.stat")
                used = max(0, (_number(directory / usage) or 0) - statistics.get(dropped, 0))
                remedy = f"raise {directory / file} to {{}} (of a container: docker run --memory)"
                yield Limit(MEMORY, str(directory / file), maximum, used, remedy)


def _nproc(proc: Path) -> Iterator[Limit]:
    """RLIMIT_NPROC, which counts all tasks of this user, and holds for any but privileged ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft == resource.RLIM_INFINITY or _exempt_from_nproc(proc):
        return
    remedy = "allow more in this shell: ulimit -u {}"
    if hard != resource.RLIM_INFINITY:
        remedy += f"; above {hard} as root in /etc/security/limits.conf (nproc)"
    yield Limit(TASKS, "RLIMIT_NPROC (ulimit -u)", soft, _tasks_of(os.getuid(), proc), remedy)


def _exempt_from_nproc(proc: Path) -> bool:
    """Whether the kernel exempts this process, as the machine's root or for its capabilities."""
    uid_map = (proc / "self/uid_map").read_text()
    is_root = is_root_of_machine(uid_map, os.getuid())
    privileged = int(_status(proc / "self/status").get("CapEff", "0"), 16) & _EXEMPT_FROM_NPROC
    return is_root or bool(privileged and uid_map.split() == ["0", "0", "4294967295"])


def _tasks_of(uid: int, proc: Path) -> int:
    """How many tasks the processes of a user have, by real user id."""
    count = 0
    for directory in proc.iterdir():
        if directory.name.isdigit():
            status = _status(directory / "status")
            if status.get("Uid", "").split()[:1] == [str(uid)]:
                count += int(status["Threads"])
    return count


def _group_pids(listing: Path, groups: Path) -> Iterator[Limit]:
    for directory in own_groups.directories("pids", listing, groups):
        file = directory / "pids.max"
        if (maximum := _number(file)) is not None:
            remedy = f"sudo sh -c 'echo {{}} > {file}' (of a container: docker run --pids-limit; of a"
            remedy += " service of systemd: TasksMax=)"
            yield Limit(TASKS, str(file), maximum, _number(directory / "pids.current") or 0, remedy)


def _kernel_tasks(proc: Path) -> Iterator[Limit]:
    """The limits of all tasks of the machine: each has a process id."""
    used = int((proc / "loadavg").read_text().split()[3].split("/")[1])
    for name in ("pid_max", "threads-max"):
        if (maximum := _number(proc / "sys/kernel" / name)) is not None:
            yield Limit(TASKS, f"kernel.{name}", maximum, used, f"{_SYSCTL}kernel.{name}={{}}")


def _files() -> Iterator[Limit]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        remedy = "allow more in this shell: ulimit -n {}; if that is refused, as root in"
        remedy += " /etc/security/limits.conf (nofile)"
        yield Limit(FILES, "RLIMIT_NOFILE (ulimit -Hn)", hard, 0, remedy)


def _namespaces(directory: Path) -> Iterator[Limit]:
    """The limits of this user's namespaces; the kernel does not say how many there are already."""
    for kind, counted_as in NAMESPACES.items():
        name = f"max_{kind}_namespaces"
        if (maximum := _number(directory / name)) is not None:
            yield Limit(counted_as, f"user.{name}", maximum, 0, f"{_SYSCTL}user.{name}={{}}")


def _neighbours(proc: Path) -> Iterator[Limit]:
    """The neighbour table that all namespaces share, where the kernel counts permanent entries in it."""
    if _release(platform.release()) >= _PERMANENT_NEIGHBOURS_UNLIMITED:
        return
    name = "net.ipv4.neigh.default.gc_thresh3"
    if (maximum := _number(proc / "sys" / name.replace(".", "/"))) is not None:
        yield Limit(NEIGHBOURS, name, maximum, 0, f"{_SYSCTL}{name}={{}}")


def _release(text: str) -> tuple[int, int]:
    major, minor = text.split("-")[0].split(".")[:2]
    return int(major), int(minor)


def _number(path: Path) -> int | None:
    """The number in a file; None for "max", or where there is no such file."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _fields(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        return {name: int(number) for name, number in map(str.split, path.read_text().splitlines())}
    except (OSError, ValueError):
        return {}


def _status(path: Path) -> dict[str, str]:
    """The lines of /proc/PID/status; none where the process has ended."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
