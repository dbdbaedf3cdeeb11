"""All services of an emulation on a swarm, and the roles that their tasks are."""

from __future__ import annotations

from collections.abc import Mapping

from wotemu_runtime.engines.swarm import object_names, plain_services, specs
from wotemu_runtime.engines.swarm.specs import SwarmService
from wotemu_runtime.planning.models import Plan


def services(
    plan: Plan, subnets: Mapping[str, str], manager_id: str, *, shaper: str = "auto"
) -> list[SwarmService]:
    """Every service. `subnets` are the emulated networks' by name, which may be unknown yet ("")."""
    return [
        *specs.services(plan, subnets, manager_id, shaper=shaper),
        *(
            service
            for replica in plan.replicas
            if replica.kind == "service"
            for service in plain_services.services(plan, replica, subnets)
        ),
    ]


def roles(plan: Plan) -> dict[str, list[str]]:
    """The roles of each service's replicas, in the order of their slots.

    By the service's name without the stack's, as `compose` writes it, whatever the stack is called later.
    """
    short = {replica.node: object_names.node_service(replica.node) for replica in plan.replicas}
    short |= {service.name: object_names.door_service(service.name) for service in plan.topology.services}
    found: dict[str, list[str]] = {
        object_names.gateway_service(network.name): [f"gateway:{network.name}"] for network in plan.emulated
    }
    for replica in plan.agents:
        found.setdefault(short[replica.node], []).append(f"agent:{replica.name}")
    return {object_names.fitted(name, object_names.room("")): tasks for name, tasks in found.items()}
