"""Makes and limits the control groups of replicas: version 2 ones in a delegated group, or version 1."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from wotemu.topology.resources import DEFAULT_PIDS
from wotemu_runtime.agent.control_group import set_limits
from wotemu_runtime.engines.local.cgroups.delegation import ROOT, DelegatedGroup
from wotemu_runtime.engines.local.cgroups.limits import CPU, MEMORY, NO_PIDS, PIDS, Limits, enforceable
from wotemu_runtime.engines.local.cgroups.own_groups import version_1_groups


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
    _own: dict[str, str] = attrs.field(init=False, repr=False)
    """The version 1 groups of this process, by controller."""

    @_own.default
    def _read_own(self) -> dict[str, str]:
        return version_1_groups(Path("/proc/self/cgroup").read_text())

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
                refused = f"its limits: no control group can be made: {error.strerror or error}"
                missing = [refused] if limits.is_asked_for else []
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
            try:
                _make(directory, controllers, enforced)
            except OSError:
                if controllers != {PIDS}:
                    raise
                # Of version 1. Nobody has asked for the default limit, so the others hold without it.
                missing = [*missing, NO_PIDS] if enforced.pids != DEFAULT_PIDS else missing
                enforced = attrs.evolve(enforced, pids=None)
            else:
                made.append(str(directory))
        return LimitedReplica(tuple(made), enforced), missing

    def _directories(self, replica: str, limits: Limits) -> dict[Path, set[str]]:
        """The controllers by directory: one of a version 2 tree, or one per version 1 controller."""
        wanted = limits.controllers
        if self.parent is not None:
            return {self.parent.path / replica: wanted} if wanted else {}
        if CPU in wanted:
            wanted.add("cpuacct")  # it limits nothing, but accounts for the CPU time that agents report
        own = self._own
        if limits.is_asked_for and os.access(ROOT / "freezer" / own.get("freezer", "/").lstrip("/"), os.W_OK):
            wanted.add("freezer")  # for pauses of the scenario
        return {
            ROOT / name / own.get(name, "/").lstrip("/") / f"{self.name}-{replica}": {name}
            for name in sorted(wanted)
        }


def _make(directory: Path, controllers: set[str], limits: Limits) -> None:
    """Make one group, and set those limits that its controllers enforce."""
    directory.mkdir()
    set_limits(
        directory,
        cpu=limits.cpu if CPU in controllers else None,
        mem_bytes=limits.mem_bytes if MEMORY in controllers else None,
        pids=limits.pids if PIDS in controllers else None,
    )
    # A delegated version 1 hierarchy may allow mkdir and still keep others' processes out.
    if not os.access(directory / "cgroup.procs", os.W_OK):
        raise PermissionError(1, "may not add processes", str(directory))
