"""Checks before anything starts that this machine can impose what a plan asks for."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from wotemu.errors import HostError
from wotemu.units import Bytes
from wotemu_runtime.engines.local import machine_limits
from wotemu_runtime.engines.local.cgroups.limits import Limits, Machine, PlanLimits
from wotemu_runtime.engines.local.node_namespace import APP_SCRATCH_SIZE
from wotemu_runtime.engines.local.plan_demand import MEMORY, Demand
from wotemu_runtime.gateway.shaper_choice import check_duty_cycles, netem_without_uplinks
from wotemu_runtime.planning.clock_skew import INSTALL, find_library, skewed_replicas
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.stress_check import MEMORY_LEFT_BYTES, Room, check_stress


def check_shaper(plan: Plan, shaper: str) -> None:
    """Check that the plan's networks and uplinks can be had under the shaper that is asked for.

    Raises:
        HostError: Under NetEm they can't.
    """
    if shaper == "netem":
        if plan.topology.uplinks:
            raise netem_without_uplinks()
        check_duty_cycles(plan)
        machine_limits.check_bridges(plan)


def check_later_limits(wanted: Mapping[str, Limits], made: Mapping[str, Limits]) -> None:
    """Check that the limits can be set that the scenario sets later.

    Args:
        wanted: The limits of replicas.
        made: Those that control groups enforce.

    Raises:
        HostError: One can't.
    """
    for replica, limits in wanted.items():
        if missing := limits.later - made.get(replica, Limits()).later:
            raise HostError(
                f"{replica} can't be limited here: there is no control group of {sorted(missing)[0]}",
                where="limit in the scenario",
                hint="wotemu doctor says what this machine lacks",
            )


def check_faults(plan: Plan, limits: PlanLimits, machine: Machine, demand: Demand) -> None:
    """Check stress against limits and this machine, full disks against scratch folders, and for libfaketime.

    Raises:
        HostError: This machine can't impose one of them.
    """
    actions = {change.action for change in plan.timeline.all_changes}
    if "stress" in actions:
        of_replicas = {name: Room(each.cpu, each.mem_bytes) for name, each in limits.by_replica.items()}
        check_stress(plan, of_replicas, Room(machine.cores, _spare_bytes(demand)))
    if "fill_disk" in actions:
        _check_disks(plan)
    if "skew_clock" in actions and find_library() is None:
        skewed = ", ".join(sorted(skewed_replicas(plan)))
        raise HostError(
            f"the wall clock of {skewed} can't be skewed here: libfaketime is not installed",
            where="skew_clock in the scenario",
            hint=INSTALL,
        )


def _spare_bytes(demand: Demand) -> int:
    """Memory of this machine that nodes do not need; swap is none."""
    rooms = [each.room for each in machine_limits.read_limits() if each.resource == MEMORY]
    free = min([psutil.virtual_memory().available, *rooms])
    return free - demand.total(MEMORY) - MEMORY_LEFT_BYTES


def _check_disks(plan: Plan) -> None:
    size = Bytes.of(APP_SCRATCH_SIZE)
    for change in plan.timeline.all_changes:
        if change.action == "fill_disk" and (change.after["leave_bytes"] or 0) >= size:
            raise HostError(
                f"{Bytes(change.after['leave_bytes'])} can't be left in the scratch folder of {change.node}: "
                f"it has {size}",
                where=f"fill_disk at {change.at_s:g} s",
                hint="leave less",
            )
