"""Limits of CPU and memory through control groups, version 1 and 2, as far as this user may make them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import attrs
import psutil

from wotemu.topology.models import NodeResources
from wotemu_runtime.engines.local.own_group import ROOT, OwnGroup

_PERIOD_US = 100_000


@attrs.frozen
class Limits:
    """What a replica may use: cores and bytes; None is no limit."""

    cpu: float | None = None
    mem_bytes: int | None = None

    def __bool__(self) -> bool:
        return self.cpu is not None or self.mem_bytes is not None


def wanted_limits(resources: NodeResources | None, cpu_speed_hz: float | None) -> tuple[Limits, list[str]]:
    """The limits that `resources` ask for on a machine of this speed; and what can't be had."""
    if resources is None:
        return Limits(), []
    missing: list[str] = []
    cpu = resources.cpu_limit
    if resources.target_cpu_speed is not None:
        if cpu_speed_hz:
            cpu = float(resources.target_cpu_speed) / cpu_speed_hz
        else:
            missing.append(
                f"target_cpu_speed {resources.target_cpu_speed}: this machine does not tell its own"
            )
    for what, value in (("cpu", resources.cpu_reservation), ("mem", resources.mem_reservation)):
        if value is not None:
            missing.append(f"{what}_reservation {value}: one machine has nothing to reserve for its nodes")
    return Limits(cpu, None if resources.mem_limit is None else int(resources.mem_limit)), missing


def machine_cpu_speed_hz() -> float | None:
    """This machine's nominal CPU clock, as the kernel tells it."""
    frequency = psutil.cpu_freq()
    if frequency is None or not (frequency.max or frequency.current):
        return None
    return float(frequency.max or frequency.current) * 1e6


CPU, MEMORY = "cpu", "memory"
"""The controllers that limits need."""


def controllers_for(limits: Limits) -> set[str]:
    """The controllers that enforce these limits."""
    return {name for name, value in ((CPU, limits.cpu), (MEMORY, limits.mem_bytes)) if value is not None}


@attrs.define
class Groups:
    """Makes control groups of replicas: in a version 2 group that is the emulation's `own`, or version 1."""

    name: str
    own: OwnGroup | None = None
    given: frozenset[str] = frozenset()
    """The controllers that the groups in `own` have."""

    def planned(self, replica: str, limits: Limits) -> list[str]:
        """The directories that `make` will make."""
        return [str(directory) for directory in self._directories(replica, limits)]

    def make(self, replica: str, limits: Limits) -> tuple[list[str], Limits, list[str]]:
        """Make and limit a replica's groups.

        Returns:
            Their directories, the limits that they enforce, and which of the limits they can't, with why.

        Raises:
            OSError: There are none; the reason is in it.
        """
        if self.own is not None:
            enforced, missing = enforceable(limits, self.given)
        else:
            enforced, missing = limits, []
        made = []
        for directory, controllers in self._directories(replica, enforced).items():
            directory.mkdir()
            _limit(directory, controllers, enforced)
            if not os.access(directory / "cgroup.procs", os.W_OK):
                raise PermissionError(1, "may not add processes", str(directory))
            made.append(str(directory))
        return made, enforced, missing

    def _directories(self, replica: str, limits: Limits) -> dict[Path, set[str]]:
        """Where groups go: one directory of a version 2 tree, or one for each version 1 controller."""
        wanted = controllers_for(limits)
        if self.own is not None:
            return {self.own.path / replica: wanted} if wanted else {}
        if CPU in wanted:
            wanted.add("cpuacct")  # limits nothing, but keeps the account
        own = _own_groups()
        return {
            ROOT / name / own.get(name, "/").lstrip("/") / f"{self.name}-{replica}": {name}
            for name in sorted(wanted)
        }


def enforceable(limits: Limits, given: Collection[str]) -> tuple[Limits, list[str]]:
    """What these controllers enforce of the limits; and which they can't, with why."""
    missing = [
        f"{what}: no control group with the {controller} controller can be had here"
        for what, controller in (("cpu_limit", CPU), ("mem_limit", MEMORY))
        if controller in controllers_for(limits) and controller not in given
    ]
    return Limits(
        limits.cpu if CPU in given else None, limits.mem_bytes if MEMORY in given else None
    ), missing


def _limit(directory: Path, controllers: Collection[str], limits: Limits) -> None:
    version2 = (directory / "cgroup.controllers").exists()
    if CPU in controllers and limits.cpu is not None:
        quota = max(1000, round(limits.cpu * _PERIOD_US))
        if version2:
            (directory / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        else:
            (directory / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (directory / "cpu.cfs_quota_us").write_text(str(quota))
    if MEMORY in controllers and limits.mem_bytes is not None:
        limit, swap = ("memory.max", "memory.swap.max") if version2 else _MEMORY_1
        (directory / limit).write_text(str(limits.mem_bytes))
        if (directory / swap).exists():  # not where the kernel counts no swap
            (directory / swap).write_text("0" if version2 else str(limits.mem_bytes))


_MEMORY_1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")


def _own_groups() -> dict[str, str]:
    """This process's version 1 group by controller."""
    groups: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups
