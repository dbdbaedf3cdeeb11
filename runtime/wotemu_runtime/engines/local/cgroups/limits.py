"""The limits that a plan asks for, and which of them control groups can enforce."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Self

import attrs

from wotemu.topology.node import Node
from wotemu.topology.resources import DEFAULT_PIDS, NodeResources
from wotemu.topology.service import Service
from wotemu.topology.topology import Topology
from wotemu_runtime.calibration import wanted_limits as wanted
from wotemu_runtime.calibration.rating import Rating
from wotemu_runtime.engines.local.nproc_limit import nproc_limit_holds
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import unplaced

CPU, MEMORY, PIDS = "cpu", "memory", "pids"
"""The kernel's names of the controllers that enforce limits."""
NO_PIDS = "its limit of processes: no control group with the pids controller is available here"


@attrs.frozen
class Limits:
    """The cores, bytes of memory, and processes and threads that a replica may use; None is no limit."""

    cpu: float | None = None
    mem_bytes: int | None = None
    later: frozenset[str] = frozenset()
    """The controllers of limits that the scenario sets later."""
    pids: int | None = None

    def __bool__(self) -> bool:
        return bool(self.controllers)

    @property
    def is_asked_for(self) -> bool:
        """Whether the deployment asks for one of them, and not only the default holds."""
        return bool(self.controllers - {PIDS}) or self.pids not in (None, DEFAULT_PIDS)

    @property
    def controllers(self) -> set[str]:
        """The controllers that enforce these limits."""
        limits = ((CPU, self.cpu), (MEMORY, self.mem_bytes), (PIDS, self.pids))
        now = {name for name, value in limits if value is not None}
        return now | self.later


@attrs.frozen
class Machine(wanted.Machine):
    """This machine as the local engine needs to know it.

    `rlimit_holds`: whether the kernel can limit an app's processes by RLIMIT_NPROC, without a control group.
    """

    rlimit_holds: bool = True

    @classmethod
    def here(cls, rating: Rating | None = None) -> Self:
        """This machine."""
        return attrs.evolve(super().here(rating), rlimit_holds=nproc_limit_holds())


@attrs.frozen
class PlanLimits:
    """The limits of a plan's replicas.

    Attributes:
        by_replica: Without the replicas that have none.
        unenforced: What the plan asks for that this machine can't enforce, one sentence each.
        devices: The share of each node that is a device, one sentence each.
        rlimits: Processes and threads by replica, where RLIMIT_NPROC limits them.
    """

    by_replica: dict[str, Limits]
    unenforced: tuple[str, ...]
    devices: tuple[str, ...]
    rlimits: Mapping[str, int] = attrs.field(factory=dict)


def has_devices(topology: Topology) -> bool:
    """Whether a node or service is to be as fast as a device."""
    members: tuple[Node | Service, ...] = (*topology.nodes, *topology.services)
    return any(each.resources is not None and each.resources.device is not None for each in members)


def plan_limits(plan: Plan, machine: Machine) -> PlanLimits:
    """The limits of a plan's replicas on a machine."""
    asked: dict[str, Limits] = {}
    # By node: its replicas have the same.
    unenforced: dict[str, None] = dict.fromkeys(unplaced(plan))
    devices: dict[str, None] = {}
    of_devices = 0.0
    pids = {
        each.name: DEFAULT_PIDS if each.resources is None else each.resources.most_pids
        for each in plan.replicas
    }
    later = controllers_of_changes(plan)
    for replica in plan.replicas:
        limits, missing = wanted_limits(replica.resources, machine)
        unenforced |= {f"{replica.node}: {what}": None for what in missing}
        by_group = None if machine.rlimit_holds else pids[replica.name]
        limits = attrs.evolve(limits, later=later.get(replica.name, frozenset()), pids=by_group)
        if limits:
            asked[replica.name] = limits
        if replica.resources is not None and (share := wanted.device_share(replica.resources, machine)):
            devices[f"{replica.node}: {share.says}"] = None
            of_devices += share.cores
    if crowded := wanted.oversubscribed(of_devices, machine.cores):
        unenforced[crowded] = None
    rlimits = pids if machine.rlimit_holds else {}
    return PlanLimits(asked, tuple(unenforced), tuple(devices), rlimits)


def controllers_of_changes(plan: Plan) -> dict[str, frozenset[str]]:
    """The controllers of the limits that the scenario changes, by replica."""
    found: dict[str, set[str]] = {}
    for change in plan.timeline.all_changes:
        if change.action == "limit":
            of = {
                name
                for name, field in ((CPU, "cpu"), (MEMORY, "mem_bytes"))
                if change.after[field] is not None
            }
            found.setdefault(str(change.node), set()).update(of)
    return {replica: frozenset(names) for replica, names in found.items()}


def wanted_limits(resources: NodeResources | None, machine: Machine) -> tuple[Limits, list[str]]:
    """One node's limits on a machine.

    Returns:
        The limits, and what can't be enforced of `resources`, one phrase each.
    """
    if resources is None:
        return Limits(), []
    found = wanted.wanted_limits(resources, machine)
    missing = list(found.missing)
    for what, value in (("cpu", resources.cpu_reservation), ("mem", resources.mem_reservation)):
        if value is not None:
            missing.append(f"{what}_reservation {value}: one machine has nothing to reserve for its nodes")
    return Limits(found.cpu, found.mem_bytes), missing


def enforceable(limits: Limits, available: Collection[str]) -> tuple[Limits, list[str]]:
    """Split limits by the controllers that are `available`.

    Returns:
        The limits that those controllers enforce, and for each other one a phrase that says why not.
    """
    missing = [
        f"{what}: no control group with the {controller} controller is available here"
        for what, controller in (("its limit of CPU", CPU), ("its limit of memory", MEMORY))
        if controller in limits.controllers and controller not in available
    ]
    if limits.pids not in (None, DEFAULT_PIDS) and PIDS not in available:
        missing.append(NO_PIDS)
    cpu = limits.cpu if CPU in available else None
    mem_bytes = limits.mem_bytes if MEMORY in available else None
    pids = limits.pids if PIDS in available else None
    return Limits(cpu, mem_bytes, limits.later.intersection(available), pids), missing
