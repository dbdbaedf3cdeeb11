"""The limits that a plan asks for, and which of them control groups can enforce."""

from __future__ import annotations

from collections.abc import Collection

import attrs
import psutil

from wotemu.topology.resources import NodeResources
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import unplaced

CPU, MEMORY = "cpu", "memory"
"""The kernel's names of the controllers that enforce limits."""


@attrs.frozen
class Limits:
    """The cores and bytes of memory that a replica may use; None is no limit."""

    cpu: float | None = None
    mem_bytes: int | None = None

    def __bool__(self) -> bool:
        return self.cpu is not None or self.mem_bytes is not None

    @property
    def controllers(self) -> set[str]:
        """The controllers that enforce these limits."""
        return {name for name, value in ((CPU, self.cpu), (MEMORY, self.mem_bytes)) if value is not None}


def plan_limits(plan: Plan) -> tuple[dict[str, Limits], list[str]]:
    """The limits of a plan's replicas.

    Returns:
        The limits by replica, without the replicas that have none; and what the plan asks for that no single
        machine can enforce, one sentence each.
    """
    speed_hz = machine_cpu_speed_hz()
    wanted: dict[str, Limits] = {}
    unenforced = unplaced(plan)
    for replica in plan.replicas:
        limits, missing = wanted_limits(replica.resources, speed_hz)
        unenforced += [f"{replica.name}: {what}" for what in missing]
        if limits:
            wanted[replica.name] = limits
    return wanted, unenforced


def wanted_limits(resources: NodeResources | None, cpu_speed_hz: float | None) -> tuple[Limits, list[str]]:
    """One node's limits on a machine whose CPU runs at `cpu_speed_hz` (None: unknown).

    Returns:
        The limits, and what can't be enforced of `resources`, one phrase each.
    """
    if resources is None:
        return Limits(), []
    missing: list[str] = []
    cpu = resources.cpu_limit
    if resources.target_cpu_speed is not None:
        if cpu_speed_hz:
            cpu = float(resources.target_cpu_speed) / cpu_speed_hz
        else:
            missing.append(
                f"target_cpu_speed {resources.target_cpu_speed}: this machine does not report its own"
            )
    for what, value in (("cpu", resources.cpu_reservation), ("mem", resources.mem_reservation)):
        if value is not None:
            missing.append(f"{what}_reservation {value}: one machine has nothing to reserve for its nodes")
    return Limits(cpu, None if resources.mem_limit is None else int(resources.mem_limit)), missing


def machine_cpu_speed_hz() -> float | None:
    """This machine's nominal CPU clock as the kernel reports it; None where it does not."""
    frequency = psutil.cpu_freq()
    # Virtual machines often report a current frequency alone, and 0 as the maximum.
    if frequency is None or not (frequency.max or frequency.current):
        return None
    return float(frequency.max or frequency.current) * 1e6


def enforceable(limits: Limits, available: Collection[str]) -> tuple[Limits, list[str]]:
    """Split limits by the controllers that are `available`.

    Returns:
        The limits that those controllers enforce, and for each other one a phrase that says why not.
    """
    missing = [
        f"{what}: no control group with the {controller} controller is available here"
        for what, controller in (("cpu_limit", CPU), ("mem_limit", MEMORY))
        if controller in limits.controllers and controller not in available
    ]
    cpu = limits.cpu if CPU in available else None
    return Limits(cpu, limits.mem_bytes if MEMORY in available else None), missing
