"""Refuses a plan that this machine can't impose, without starting anything of it."""

from __future__ import annotations

from wotemu_runtime.engines.local.cgroups.limits import PlanLimits
from wotemu_runtime.engines.local.cgroups.trial import foreseen, known_machine
from wotemu_runtime.engines.local.fault_check import check_faults, check_later_limits, check_shaper
from wotemu_runtime.engines.local.plan_demand import Demand
from wotemu_runtime.planning.models import Plan


def check_plan(plan: Plan, shaper: str) -> PlanLimits:
    """Check that a run here would impose the faults of the scenario; its engine makes the same checks.

    Args:
        plan: The plan.
        shaper: ``tun``, ``netem`` or ``auto``.

    Returns:
        The limits of nodes, with what would not be enforced of them.

    Raises:
        HostError: This machine can't impose one.
    """
    check_shaper(plan, shaper)
    machine = known_machine()
    limits, enforced = foreseen(plan, machine)
    check_faults(plan, limits, machine, Demand.of_plan(plan))
    check_later_limits(limits.by_replica, enforced)
    return limits
