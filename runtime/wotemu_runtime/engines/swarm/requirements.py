"""What a service asks of the machines of a swarm: how much of them, and which ones; in Docker's terms."""

from __future__ import annotations

from typing import Any

from wotemu.topology.placement import Placement
from wotemu.topology.resources import NodeResources
from wotemu_runtime.planning.models import Plan

Json = dict[str, Any]


def resources(wanted: NodeResources | None) -> Json:
    """Limits and reservations; what is not asked for is not there."""
    if wanted is None:
        return {}
    limits = {"NanoCPUs": _nano(wanted.cpu_limit), "MemoryBytes": _whole(wanted.mem_limit)}
    reservations = {"NanoCPUs": _nano(wanted.cpu_reservation), "MemoryBytes": _whole(wanted.mem_reservation)}
    return {
        "Limits": {key: value for key, value in limits.items() if value},
        "Reservations": {key: value for key, value in reservations.items() if value},
    }


def placement(wanted: Placement) -> Json:
    """Constraints and preferences. No platform is asked for: images may have several."""
    asked: Json = {}
    if wanted.constraints:
        asked["Constraints"] = list(wanted.constraints)
    if wanted.preferences:
        asked["Preferences"] = [{"Spread": {"SpreadDescriptor": label}} for label in wanted.spread_over]
    if wanted.max_per_machine is not None:
        asked["MaxReplicas"] = wanted.max_per_machine
    return asked


def unmet(plan: Plan) -> list[str]:
    """What a topology asks for that a swarm can't give, a sentence each."""
    speeds = [
        f"{node.name}: target_cpu_speed {node.resources.target_cpu_speed}: Swarm chooses the machine, whose "
        "speed is not known before; give cpu_limit"
        for node in plan.topology.nodes
        if node.resources is not None and node.resources.target_cpu_speed is not None
    ]
    doors = [
        f"{service.name}: it sees all its clients at one address, its door's, and connections that it "
        "opens itself reach nobody"
        for service in plan.topology.services
        if service.networks
    ]
    return speeds + doors


def _nano(cores: float | None) -> int:
    return round((cores or 0) * 1e9)


def _whole(size: float | None) -> int:
    return int(size or 0)
