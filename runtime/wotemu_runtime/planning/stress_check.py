"""Checks that nodes can be stressed as the scenario says, before anything starts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from wotemu.errors import HostError
from wotemu.scenario.timeline import Change
from wotemu.units import Bytes
from wotemu_runtime.planning.models import Plan

MEMORY_LEFT_BYTES = 256 * 1024**2
"""Memory of the machine that stressed nodes leave free, beyond what all nodes need."""


@attrs.frozen
class Room:
    """Cores and bytes of memory that there are; None: not known, or no limit."""

    cores: float | None = None
    mem_bytes: int | None = None


def check_stress(plan: Plan, limits: Mapping[str, Room], machine: Room) -> None:
    """Check every stress of the scenario against its node's limits and the machine.

    Args:
        plan: The nodes and the timeline.
        limits: The limits of replicas at T0; of one that is missing there are none.
        machine: The cores of a machine, and its memory that the nodes do not need.

    Raises:
        HostError: A stress can't be.
    """
    _check(plan.timeline.changes, limits, machine)
    for guard in plan.timeline.guards:
        _check(guard.changes, limits, machine)


def _check(changes: Iterable[Change], at_start: Mapping[str, Room], machine: Room) -> None:
    """Check changes in their order, as those of limits take hold among those of stress."""
    limits, stress = dict(at_start), dict[str, Mapping[str, Any]]()
    for change in changes:
        replica = str(change.node)
        if change.action == "limit":
            base, now = at_start.get(replica, Room()), change.after
            cores = base.cores if now["cpu"] is None else now["cpu"]
            limits[replica] = Room(cores, base.mem_bytes if now["mem_bytes"] is None else now["mem_bytes"])
        elif change.action == "stress":
            stress[replica] = change.after
        else:
            continue
        if replica in stress:
            _check_node(change, stress[replica], limits.get(replica, Room()), machine)
        held = sum(each["mem_bytes"] or 0 for each in stress.values())
        if machine.mem_bytes is not None and held > machine.mem_bytes:
            raise HostError(
                f"stressed nodes would hold {Bytes(held)}: this machine has "
                f"{Bytes(max(0, machine.mem_bytes))} to spare",
                where=_place(change),
                hint="take less memory",
            )


def _check_node(change: Change, stress: Mapping[str, Any], limit: Room, machine: Room) -> None:
    cpu, mem_bytes = stress["cpu"], stress["mem_bytes"]
    for what, cores in ((f"{change.node} has", limit.cores), ("this machine has", machine.cores)):
        if cpu is not None and cores is not None and cpu > cores:
            raise HostError(
                f"{change.node} can't be stressed by {cpu:g} cores: {what} {cores:g}",
                where=_place(change),
                hint=f"write cpu={cores:g} or less",
            )
    if mem_bytes is not None and limit.mem_bytes is not None and mem_bytes >= limit.mem_bytes:
        raise HostError(
            f"{change.node} can't hold {Bytes(mem_bytes)} more: the kernel kills what needs more than its "
            f"limit of {Bytes(limit.mem_bytes)}",
            where=_place(change),
            hint="take less memory, or raise the limit",
        )


def _place(change: Change) -> str:
    return f"{change.action} at {change.at_s:g} s"
