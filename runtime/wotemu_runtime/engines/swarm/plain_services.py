"""Plain services, such as a database: containers of somebody else's image, without an agent.

One on no emulated network is on an overlay with the nodes that name it, and is not shaped. One on emulated
networks is alone on its overlay with its door, a container of WoTemu's that forwards connections from those
networks to it, so that its traffic passes the gateways both ways. Its overlay has no other way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wotemu.topology.service import service_network
from wotemu_runtime.engines.swarm import object_names, specs
from wotemu_runtime.engines.swarm.object_names import CONTROL
from wotemu_runtime.engines.swarm.requirements import placement, resources
from wotemu_runtime.engines.swarm.specs import SwarmService
from wotemu_runtime.planning.models import Plan, Replica
from wotemu_runtime.planning.probe_schedule import rounds_of

CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETUID",
)
"""For images that start as root, take ownership of their data and go on as another user."""
DOOR_CAPABILITIES = ("CAP_NET_ADMIN",)
"""The door sets routes and DNAT rules."""


def server_alias(service: str) -> str:
    """The alias of a plain service that has a door: its own name is the door's."""
    return f"server-of-{service}"


def services(plan: Plan, replica: Replica, subnets: Mapping[str, str]) -> Iterator[SwarmService]:
    """The service of the image itself, and of its door where it is on emulated networks."""
    has_door = any(name in subnets for name in replica.networks)
    yield _server(plan, replica, server_alias(replica.node) if has_door else replica.node)
    if has_door:
        yield _door(plan, replica, subnets)


def _server(plan: Plan, replica: Replica, alias: str) -> SwarmService:
    spec = specs.service_spec(
        plan,
        object_names.node_service(replica.node),
        f"service:{replica.node}",
        specs.image_of(replica.image),
        list(replica.command),
        networks=[(service_network(replica.node), [alias])],
        capabilities=CAPABILITIES,
    )
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    # Replaces the environment of roles: nothing in this image reads an assignment.
    own = {service.name: service.env for service in plan.topology.services}[replica.node]
    container["Env"] = [f"{name}={value}" for name, value in own.items()]
    # Absent fields leave what the image says.
    del container["User"], container["Healthcheck"]
    if replica.image is None:  # a program of WoTemu's image, which is no role to be started or asked as
        container["Command"] = container.pop("Args")
        container["Healthcheck"] = {"Test": ["NONE"]}
    template["Resources"] = resources(replica.resources)
    template["Placement"] = placement(replica.placement)
    return SwarmService(name=spec["Name"], role=f"service:{replica.node}", spec=spec, files={})


def _door(plan: Plan, replica: Replica, subnets: Mapping[str, str]) -> SwarmService:
    role = f"agent:{replica.node}"
    spec = specs.service_spec(
        plan,
        object_names.door_service(replica.node),
        role,
        specs.image_of(None),
        ["ingress"],
        networks=[
            (CONTROL, []),
            (service_network(replica.node), []),
            *((object_names.emulated_network(name), []) for name in replica.networks),
        ],
        capabilities=DOOR_CAPABILITIES,
    )
    template = spec["TaskTemplate"]
    template["ContainerSpec"]["Sysctls"] = dict(
        specs.CLOSED
    )  # the door forwards by itself what it has rules for
    template["Placement"] = placement(replica.placement)
    data = {
        "replica": replica.name,
        "server": server_alias(replica.node),
        "subnets": {name: subnets[name] for name in replica.networks},
        "nodes": {other.name: other.node for other in plan.replicas},
        "probes": rounds_of(plan, [replica.name]),
    }
    files = {specs.ASSIGNMENT_FILE: specs.assignment(plan, role, data)}
    return SwarmService(name=spec["Name"], role=role, spec=spec, files=files)
