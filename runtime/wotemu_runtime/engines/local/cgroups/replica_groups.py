"""Makes and limits the control groups of replicas: version 2 ones in a delegated group, or version 1."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import attrs

from wotemu_runtime.engines.local.cgroups.delegation import ROOT, DelegatedGroup
from wotemu_runtime.engines.local.cgroups.limits import CPU, MEMORY, Limits, enforceable
from wotemu_runtime.engines.local.cgroups.own_groups import version_1_groups

_PERIOD_US = 10_000
"""The period of CFS bandwidth control.

A limited node computes in bursts, one a period, so what is shorter than a period takes as long as on a
fast processor, or a whole period. The kernel's default is 100 ms: a node with 0.3 cores then stands still for
up to 72 ms, with 10 ms for up to 20 ms. With 5 ms it gets a tenth less than its share where the kernel's tick
is 4 ms. All three were measured on a machine with such a tick.
"""
_LEAST_QUOTA_US = 1000
"""The kernel refuses smaller quotas (min_cfs_quota_period); smaller shares have longer periods, up to 1 s."""
_MEMORY_1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
_MEMORY_2 = ("memory.max", "memory.swap.max")


@attrs.frozen
class LimitedReplica:
    """A replica's control groups, and the limits that they enforce."""

    directories: tuple[str, ...] = ()
    limits: Limits = attrs.field(factory=Limits)


@attrs.define
class ReplicaGroups:
    """Makes control groups named after `name` and a replica: below `parent`, or version 1 where that is None.

    `available` are the controllers that groups in `parent` have.
    """

    name: str
    parent: DelegatedGroup | None = None
    available: frozenset[str] = frozenset()

    def planned(self, replica: str, limits: Limits) -> list[str]:
        """The directories that `make` will make."""
        return [str(directory) for directory in self._directories(replica, limits)]

    def make_all(self, wanted: Mapping[str, Limits]) -> tuple[dict[str, LimitedReplica], list[str]]:
        """Make the groups of several replicas.

        Returns:
            What was made by replica, and which limits can't be enforced, one sentence each.
        """
        groups: dict[str, LimitedReplica] = {}
        unenforced: list[str] = []
        for name, limits in wanted.items():
            try:
                groups[name], missing = self.make(name, limits)
            except OSError as error:
                missing = [f"its limits: no control group can be made: {error.strerror or error}"]
            unenforced += [f"{name}: {what}" for what in missing]
        return groups, unenforced

    def make(self, replica: str, limits: Limits) -> tuple[LimitedReplica, list[str]]:
        """Make and limit a replica's groups.

        Returns:
            The groups, and for each limit that they can't enforce a phrase that says why.

        Raises:
            OSError: This user can't make them, or can't move processes into them.
        """
        if self.parent is not None:
            enforced, missing = enforceable(limits, self.available)
        else:
            enforced, missing = limits, []
        made = []
        for directory, controllers in self._directories(replica, enforced).items():
            directory.mkdir()
            _limit(directory, controllers, enforced)
            # A delegated version 1 hierarchy may allow mkdir and still keep others' processes out.
            if not os.access(directory / "cgroup.procs", os.W_OK):
                raise PermissionError(1, "may not add processes", str(directory))
            made.append(str(directory))
        return LimitedReplica(tuple(made), enforced), missing

    def _directories(self, replica: str, limits: Limits) -> dict[Path, set[str]]:
        """The controllers by directory: one of a version 2 tree, or one per version 1 controller."""
        wanted = limits.controllers
        if self.parent is not None:
            return {self.parent.path / replica: wanted} if wanted else {}
        if CPU in wanted:
            wanted.add("cpuacct")  # it limits nothing, but accounts for the CPU time that agents report
        own = version_1_groups(Path("/proc/self/cgroup").read_text())
        if wanted and os.access(ROOT / "freezer" / own.get("freezer", "/").lstrip("/"), os.W_OK):
            wanted.add("freezer")  # for pauses of the scenario
        return {
            ROOT / name / own.get(name, "/").lstrip("/") / f"{self.name}-{replica}": {name}
            for name in sorted(wanted)
        }


def bandwidth_us(cores: float) -> tuple[int, int]:
    """The quota and period of a limit of cores, in microseconds."""
    quota = round(cores * _PERIOD_US)
    if quota >= _LEAST_QUOTA_US:
        return quota, _PERIOD_US
    return _LEAST_QUOTA_US, min(1_000_000, round(_LEAST_QUOTA_US / cores))


def _limit(directory: Path, controllers: Collection[str], limits: Limits) -> None:
    is_version_2 = (directory / "cgroup.controllers").exists()
    if CPU in controllers and limits.cpu is not None:
        quota, period = bandwidth_us(limits.cpu)
        if is_version_2:
            (directory / "cpu.max").write_text(f"{quota} {period}")
        else:
            (directory / "cpu.cfs_period_us").write_text(str(period))
            (directory / "cpu.cfs_quota_us").write_text(str(quota))
    if MEMORY in controllers and limits.mem_bytes is not None:
        limit, swap = _MEMORY_2 if is_version_2 else _MEMORY_1
        (directory / limit).write_text(str(limits.mem_bytes))
        # Kernels without CONFIG_MEMCG_SWAP, or booted with swapaccount=0, lack the file. Version 1 counts
        # memory and swap together there, version 2 swap alone.
        if (directory / swap).exists():
            (directory / swap).write_text("0" if is_version_2 else str(limits.mem_bytes))
