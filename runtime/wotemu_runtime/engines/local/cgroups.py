"""Limits of CPU and memory through control groups, version 1 and 2, as far as this user may make them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import ClassVar

import attrs
import psutil

from wotemu.topology.models import NodeResources

ROOT = Path("/sys/fs/cgroup")
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


@attrs.define
class Groups:
    """Makes control groups below this process's own; `made` are the directories, for whoever removes them."""

    name: str
    made: list[str] = attrs.field(factory=list)

    CPU: ClassVar[str] = "cpu"
    MEMORY: ClassVar[str] = "memory"

    def planned(self, replica: str, limits: Limits) -> list[str]:
        """The directories that `make` will make, deepest first."""
        return [str(self._directory(base, replica)) for base in self._bases(limits)]

    def make(self, replica: str, limits: Limits) -> list[str]:
        """Make and limit the groups; their directories. `OSError` where this user may not."""
        made = []
        for base, controllers in self._bases(limits).items():
            directory = self._directory(base, replica)
            directory.mkdir()
            self.made.append(str(directory))
            self._limit(directory, controllers, limits)
            if not os.access(directory / "cgroup.procs", os.W_OK):
                raise PermissionError(1, "may not add processes", str(directory))
            made.append(str(directory))
        return made

    def remove(self) -> None:
        """Remove what is empty."""
        for directory in self.made:
            with contextlib.suppress(OSError):
                Path(directory).rmdir()

    def _directory(self, base: Path, replica: str) -> Path:
        return base / f"{self.name}-{replica}"

    def _bases(self, limits: Limits) -> dict[Path, set[str]]:
        """Where groups go: one directory of a version 2 tree, or one for each version 1 controller."""
        wanted = {self.CPU} if limits.cpu is not None else set()
        wanted |= {self.MEMORY} if limits.mem_bytes is not None else set()
        own = _own_groups()
        if (ROOT / "cgroup.controllers").exists():
            return {ROOT / own.get("", "/").lstrip("/"): wanted} if wanted else {}
        if self.CPU in wanted:
            wanted.add("cpuacct")  # limits nothing, but keeps the account
        return {ROOT / name / own.get(name, "/").lstrip("/"): {name} for name in sorted(wanted)}

    @staticmethod
    def _limit(directory: Path, controllers: set[str], limits: Limits) -> None:
        version2 = (directory / "cgroup.controllers").exists()
        if version2:
            (directory.parent / "cgroup.subtree_control").write_text(
                " ".join(f"+{name}" for name in controllers)
            )
        if Groups.CPU in controllers and limits.cpu is not None:
            quota = max(1000, round(limits.cpu * _PERIOD_US))
            if version2:
                (directory / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
            else:
                (directory / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (directory / "cpu.cfs_quota_us").write_text(str(quota))
        if Groups.MEMORY in controllers and limits.mem_bytes is not None:
            name = "memory.max" if version2 else "memory.limit_in_bytes"
            (directory / name).write_text(str(limits.mem_bytes))


def _own_groups() -> dict[str, str]:
    """This process's group by controller; version 2's under ""."""
    groups: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups
