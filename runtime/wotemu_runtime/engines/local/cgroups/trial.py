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


def foreseen(plan: Plan) -> PlanLimits:
    """What a run of the plan would say about its limits. Measures nothing, and leaves nothing."""
    rating = store.load(store.cpu_model())
    limits = plan_limits(plan, Machine.here(rating))
    devices, unenforced = limits.devices, list(limits.unenforced)
    if rating is None and has_devices(plan.topology):
        unenforced = [text for text in unenforced if "wotemu calibrate" not in text]
        devices = (
            "devices: this machine is not measured yet; a run does so first, in a few seconds, and wotemu"
            " calibrate better, with 7-zip",
        )
    if any(wanted.is_asked_for for wanted in limits.by_replica.values()):
        available = usable().controllers
        for name, wanted in limits.by_replica.items():
            unenforced += [f"{name}: {what}" for what in enforceable(wanted, available)[1]]
    return attrs.evolve(limits, unenforced=tuple(unenforced), devices=devices)


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
