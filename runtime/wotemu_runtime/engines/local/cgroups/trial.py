"""Tries which limits control groups of this user can have, and removes what it made."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from wotemu.topology.resources import LEAST_PIDS
from wotemu_runtime.calibration import store
from wotemu_runtime.engines.local.cgroups import delegation
from wotemu_runtime.engines.local.cgroups.limits import (
    CPU,
    MEMORY,
    PIDS,
    Limits,
    Machine,
    PlanLimits,
    enforceable,
    has_devices,
    plan_limits,
)
from wotemu_runtime.engines.local.cgroups.replica_groups import ReplicaGroups
from wotemu_runtime.planning.models import Plan


@attrs.frozen
class Usable:
    """The version of control groups, the controllers that limit here, and why others don't, if known."""

    version: int
    controllers: frozenset[str]
    refused: str = ""


def known_machine() -> Machine:
    """This machine with what was measured of it before, if anything was."""
    return Machine.here(store.load(store.cpu_model()))


def foreseen(plan: Plan, machine: Machine) -> tuple[PlanLimits, dict[str, Limits]]:
    """What a run of the plan would say about its limits. Measures nothing, and leaves nothing.

    Args:
        plan: The plan.
        machine: This machine, as `known_machine` gives it.

    Returns:
        The limits with all that would not be enforced, and those that would be, by replica.
    """
    limits = plan_limits(plan, machine)
    devices, unenforced = limits.devices, list(limits.unenforced)
    enforced: dict[str, Limits] = {}
    if machine.rating is None and has_devices(plan.topology):
        unenforced = [text for text in unenforced if "wotemu calibrate" not in text]
        devices = (
            "devices: this machine is not measured yet; a run does so first, in a few seconds, and wotemu"
            " calibrate better, with 7-zip",
        )
    if any(wanted.is_asked_for for wanted in limits.by_replica.values()):
        available = usable().controllers
        for name, wanted in limits.by_replica.items():
            enforced[name], missing = enforceable(wanted, available)
            unenforced += [f"{name}: {what}" for what in missing]
    return attrs.evolve(limits, unenforced=tuple(unenforced), devices=devices), enforced


def usable() -> Usable:
    """Make groups that limit nothing, and remove them."""
    name = f"wotemu-trial-{os.getpid()}"
    if not delegation.is_version_2():
        return _version_1(ReplicaGroups(name))
    group = delegation.find(name, {CPU, MEMORY, PIDS})
    if group is None:
        return Usable(2, frozenset())
    delegation.remove(group)
    return Usable(2, group.controllers)


def _version_1(groups: ReplicaGroups) -> Usable:
    refused = ""
    allowed: list[str] = []
    for controller, limits in (
        (CPU, Limits(cpu=1.0)),
        (MEMORY, Limits(mem_bytes=1 << 30)),
        (PIDS, Limits(pids=LEAST_PIDS)),
    ):
        try:
            made, _ = groups.make(controller, limits)
            allowed += made.limits.controllers
        except OSError as error:
            refused = error.strerror or str(error)
        for directory in groups.planned(controller, limits):
            if Path(directory).is_dir():
                Path(directory).rmdir()
    return Usable(1, frozenset(allowed), refused)
