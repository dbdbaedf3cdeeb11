"""The services of an emulation on a swarm: bus, gateways, nodes, brokers and plain services. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from wotemu.errors import InputError
from wotemu.topology.builtin_apps import BuiltinApps
from wotemu.topology.resources import DEFAULT_PIDS
from wotemu.topology.service import service_network
from wotemu_runtime.engines.swarm import object_names, plain_services
from wotemu_runtime.engines.swarm.limiters import has_limiters, limiters
from wotemu_runtime.engines.swarm.object_names import CONTROL, OUTSIDE
from wotemu_runtime.engines.swarm.requirements import placement, resources
from wotemu_runtime.engines.swarm.specs import (
    ASSIGNMENT_FILE,
    BUS_ALIAS,
    BUS_DIRECTORY,
    BUS_VOLUME,
    CLOSED,
    CODE_FILE,
    Config,
    Json,
    SwarmService,
    assignment,
    code_config,
    image_of,
    labels,
    object_name,
    service_spec,
)
from wotemu_runtime.gateway.shaper_choice import effective_shaper
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.planning.agent_data import agent_data
from wotemu_runtime.planning.clock_skew import skewed_replicas
from wotemu_runtime.planning.models import Plan, PlannedNetwork, Replica
from wotemu_runtime.planning.probe_schedule import rounds_of
from wotemu_runtime.roles.container_environment import (
    BUS_DIRECTORY_VARIABLE,
    BUS_PORT,
    SLOT_VARIABLE,
)

BUS_RUN_DIRECTORY = f"{BUS_DIRECTORY}/{{{{.Service.ID}}}}"
"""A volume outlives a stack that Docker removed: what another of its name left there is another service's."""
BUS_PORT_VARIABLE = "WOTEMU_BUS_PORT"
"""The variable with the port at which the manager's host publishes the bus."""

AGENT_CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SETUID", "CAP_SETGID", "CAP_KILL")
"""The agent sets routes, sees packets, and starts the app as an ordinary user without any of these."""
GATEWAY_CAPABILITIES = {
    "tun": ("CAP_NET_ADMIN", "CAP_SYS_NICE", "CAP_MKNOD"),
    "netem": ("CAP_NET_ADMIN", "CAP_SYS_NICE", "CAP_NET_RAW"),
    "auto": ("CAP_NET_ADMIN", "CAP_SYS_NICE", "CAP_NET_RAW", "CAP_MKNOD"),
}
"""By shaper: all shape, in the real-time class; netem reads headers from a packet socket, tun makes its own
/dev/net/tun."""
GATEWAY_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
}
"""Settings of all interfaces override their own, and in a container /proc/sys is read-only."""


def services(
    plan: Plan,
    subnets: Mapping[str, str],
    manager_id: str,
    *,
    shaper: str = "auto",
    has_start_interval: bool = False,
) -> list[SwarmService]:
    """Every service of an emulation.

    Args:
        plan: The nodes and networks.
        subnets: The emulated networks' subnets by name; "" where Docker has not chosen one yet.
        manager_id: The machine of the bus.
        shaper: ``tun``, ``netem``, or ``auto``: then each gateway takes netem where its host's kernel has it.
        has_start_interval: Whether the bus's manager can check a container's health more often at its start.

    Raises:
        InputError: The topology's folder is too large for a Swarm config, or WOTEMU_BUS_PORT is no port.
    """
    shaper = effective_shaper(shaper, plan)
    code = code_config(plan) if any(map(needs_code, plan.replicas)) else None
    # Reversed, so that the first replica stands for its node: a service has one spec for all its tasks.
    nodes = {replica.node: replica for replica in reversed(plan.replicas)}
    return [
        bus_service(plan, manager_id, has_start_interval=has_start_interval),
        *(gateway_service(plan, network, subnets, shaper) for network in plan.emulated),
        *([limiters(plan)] if has_limiters(plan) else ()),
        *(
            agent_service(plan, replica, subnets, code)
            for replica in nodes.values()
            if replica.kind != "service"
        ),
        *(
            service
            for replica in plan.replicas
            if replica.kind == "service"
            for service in plain_services.services(plan, replica, subnets)
        ),
    ]


def roles(plan: Plan) -> dict[str, list[str]]:
    """The roles of each service's tasks, in the order of their slots.

    Returns:
        The roles by the service's name in the compose file, which lacks the stack's name.
    """
    short = {replica.node: object_names.node_service(replica.node) for replica in plan.replicas}
    short |= {service.name: object_names.door_service(service.name) for service in plan.topology.services}
    found: dict[str, list[str]] = {
        object_names.gateway_service(network.name): [f"gateway:{network.name}"] for network in plan.emulated
    }
    for replica in plan.agents:
        found.setdefault(short[replica.node], []).append(f"agent:{replica.name}")
    return {object_names.fitted(name, object_names.room("")): tasks for name, tasks in found.items()}


def needs_code(replica: Replica) -> bool:
    """Whether a node needs the topology's folder: not with an image of its own, nor for a built-in app."""
    is_builtin = replica.app is not None and replica.app.target in set(BuiltinApps)
    return replica.kind == "node" and replica.image is None and not is_builtin


def bus_service(plan: Plan, manager_id: str, *, has_start_interval: bool = False) -> SwarmService:
    """The bus, on one manager. Its port is published there alone, and asks for the password.

    Its data is in a volume, where a task that replaces it finds it.
    """
    networks: list[tuple[str, list[str]]] = [(CONTROL, [BUS_ALIAS]), (OUTSIDE, [])]
    spec = service_spec(plan, "bus", "bus", image_of(None), ["bus"], networks=networks)
    template = spec["TaskTemplate"]
    template["Placement"] = {"Constraints": [f"node.id=={manager_id}"]}
    container = template["ContainerSpec"]
    container["Healthcheck"] = _bus_healthcheck(has_start_interval)
    container["Env"].append(f"{BUS_DIRECTORY_VARIABLE}={BUS_RUN_DIRECTORY}")
    container["Mounts"] = [
        {
            "Type": "volume",
            "Source": object_name(plan, BUS_VOLUME),
            "Target": BUS_DIRECTORY,
            "VolumeOptions": {"Labels": labels(plan, "bus")},
        }
    ]
    port = {"Protocol": "tcp", "TargetPort": BUS_PORT, "PublishMode": "host", **_published_port()}
    # "host" mode: the routing mesh would publish it on every machine of the swarm.
    spec["EndpointSpec"] = {"Mode": "dnsrr", "Ports": [port]}
    return SwarmService(name=spec["Name"], role="bus", spec=spec, files={})


def _bus_healthcheck(has_start_interval: bool) -> Json:
    """How often Docker checks the bus, which has its name from the first success on, in nanoseconds.

    An engine with a start interval must get one: it would wait 5 s, the default, before its first check.
    """
    if not has_start_interval:
        return {"Interval": 10**9}
    return {"StartPeriod": 60 * 10**9, "StartInterval": 5 * 10**8, "Interval": 30 * 10**9}


def bus_port() -> int | None:
    """The port of the environment for the bus, for clusters behind a firewall; None: Docker takes a free one.

    Raises:
        InputError: It is no port.
    """
    given = os.environ.get(BUS_PORT_VARIABLE, "")
    if not given:
        return None
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise InputError(f"{given!r} is no port", where=BUS_PORT_VARIABLE, hint="name one from 1 to 65535")
    return int(given)


def _published_port() -> Json:
    port = bus_port()
    return {} if port is None else {"PublishedPort": port}


def gateway_service(
    plan: Plan, network: PlannedNetwork, subnets: Mapping[str, str], shaper: str
) -> SwarmService:
    """One network's gateway."""
    spec = service_spec(
        plan,
        object_names.gateway_service(network.name),
        f"gateway:{network.name}",
        image_of(None),
        ["gateway"],
        networks=[(CONTROL, []), (object_names.emulated_network(network.name), [])],
        capabilities=GATEWAY_CAPABILITIES[shaper],
    )
    spec["TaskTemplate"]["Placement"] = placement(network.placement)
    container = spec["TaskTemplate"]["ContainerSpec"]
    container["Sysctls"] = {**GATEWAY_SYSCTLS, **CLOSED}  # the gateway enables forwarding once it shapes
    data = {
        "network": network.name,
        "subnet": subnets[network.name],
        "shared": network.shared,
        "hops": list(network.hops),
        "members": [{"replica": name, "node": plan.replica(name).node} for name in network.members],
        "ports": attrs.asdict(plan.topology.ports),
        "seed": plan.seed,
        "shaper": shaper,
    }
    files = {ASSIGNMENT_FILE: assignment(plan, f"gateway:{network.name}", data)}
    return SwarmService(name=spec["Name"], role=f"gateway:{network.name}", spec=spec, files=files)


def agent_service(
    plan: Plan, replica: Replica, subnets: Mapping[str, str], code: Config | None
) -> SwarmService:
    """One node (or broker) with all its replicas."""
    copies = [other.name for other in plan.replicas if other.node == replica.node]
    direct = {service_network(service.name): service.name for service in plan.topology.services}
    services = {name: service for name, service in direct.items() if name in replica.networks}
    networks = [
        (name if name in services else object_names.emulated_network(name), [replica.node])
        for name in replica.networks
    ]
    spec = service_spec(
        plan,
        object_names.node_service(replica.node),
        f"agent:{replica.node}",
        image_of(replica.image),
        ["broker" if replica.kind == "broker" else "agent"],
        networks=[(CONTROL, []), *networks],
        replicas=len(copies),
        capabilities=AGENT_CAPABILITIES,
    )
    template = spec["TaskTemplate"]
    # Docker fills templates in when it creates a task.
    slot = "-{{.Task.Slot}}" if len(copies) > 1 else ""
    template["ContainerSpec"]["Sysctls"] = dict(CLOSED)
    template["ContainerSpec"]["Hostname"] = replica.node + slot
    template["ContainerSpec"]["Env"] += [f"{SLOT_VARIABLE}={{{{.Task.Slot}}}}"]
    is_limited = has_limiters(plan)
    template["Resources"] = resources(replica.resources, has_cpu_limit=not is_limited)
    template["Placement"] = placement(replica.placement)
    data = {
        **agent_data(plan, replica),
        "replicas": copies,
        "node": replica.node,
        "has_limiter": is_limited,
        "cgroups": [],
        "cpu_limit": replica.resources.cpu_limit if replica.resources else None,
        "mem_limit_bytes": int(replica.resources.mem_limit)
        if replica.resources and replica.resources.mem_limit
        else None,
        "pids_limit": replica.resources.most_pids if replica.resources else DEFAULT_PIDS,
        "subnets": {name: subnets[name] for name in replica.networks if name in subnets},
        "services": services,
        "nodes": {other.name: other.node for other in plan.replicas},
        "program": {
            **_program(replica),
            "skews_clock": not skewed_replicas(plan).isdisjoint(copies),
        },
        "probes": rounds_of(plan, copies),
        "takes_part_in": ["disconnect"],  # the other ends of its interfaces are Docker's
    }
    files = {}
    if code is not None and needs_code(replica):
        data["bundle"] = {"path": CODE_FILE, "digest": code_bundle.digest(code.data)}
        files[CODE_FILE] = code
    files[ASSIGNMENT_FILE] = assignment(plan, f"agent:{replica.node}", data)
    return SwarmService(name=spec["Name"], role=f"agent:{replica.node}", spec=spec, files=files)


def _program(replica: Replica) -> Json:
    """The program of a node's replicas; each container adds its own name and the code's directory."""
    # The root is the coordinator's path of the code, which containers do not have.
    app = None if replica.app is None else attrs.evolve(replica.app, root="").to_dict()
    return {"app": app, "command": list(replica.command), "env": dict(replica.env), "cwd": ""}
