"""The limiters: a service with one task on each machine, which sets the limits of the nodes there. Pure.

Swarm gives a service one limit, whatever machine a task of it comes to, and starts its tasks again where that
is changed. Limiters are there where a node is to be as fast as a device, or by a clock rate, and where the
scenario changes limits. They then set all nodes' limits of CPU, with the short periods of the local engine.
"""

from __future__ import annotations

import os

from wotemu.topology.resources import NodeResources
from wotemu_runtime.engines.swarm import object_names, specs
from wotemu_runtime.engines.swarm.object_names import CONTROL, LIMITS
from wotemu_runtime.engines.swarm.specs import ASSIGNMENT_FILE, Json, SwarmService
from wotemu_runtime.planning.models import Plan, Replica
from wotemu_runtime.roles.container_environment import DOCKER_SOCKET, DOCKER_SOCKET_VARIABLE, QUICK_VARIABLE

RATINGS_VOLUME = "wotemu-calibration"
"""The volume of each machine that has its rating. It is no stack's, and lasts."""
CACHE = "/var/cache"
_CACHE_VARIABLE = f"XDG_CACHE_HOME={CACHE}"


def has_limiters(plan: Plan) -> bool:
    """Whether a plan needs limiters."""
    is_changed = any(change.action == "limit" for change in plan.timeline.all_changes)
    return is_changed or any(_depends_on_machine(each.resources) for each in _limited(plan))


def _depends_on_machine(resources: NodeResources | None) -> bool:
    return resources is not None and (resources.device is not None or resources.target_cpu_speed is not None)


def _limited(plan: Plan) -> list[Replica]:
    """The replicas that limiters limit: those that have an agent, which waits for it."""
    return [replica for replica in plan.replicas if replica.kind in ("node", "broker")]


def limiters(plan: Plan) -> SwarmService:
    """The service of all limiters."""
    spec = specs.service_spec(plan, LIMITS, LIMITS, specs.image_of(None), [LIMITS], networks=[(CONTROL, [])])
    spec["Mode"] = {"Global": {}}
    container = spec["TaskTemplate"]["ContainerSpec"]
    container["User"] = "0"  # Docker's socket is root's
    container["ReadOnly"] = True
    container["Env"].append(_CACHE_VARIABLE)
    container["Mounts"] = [
        {"Type": "bind", "Source": machines_socket(), "Target": DOCKER_SOCKET},
        ratings_mount(),
    ]
    files = {ASSIGNMENT_FILE: specs.assignment(plan, LIMITS, {"nodes": _nodes(plan)})}
    return SwarmService(name=spec["Name"], role=LIMITS, spec=spec, files=files)


def machines_socket() -> str:
    """The path of Docker's socket on the machines."""
    return os.environ.get(DOCKER_SOCKET_VARIABLE) or DOCKER_SOCKET


def ratings_mount() -> Json:
    """The mount of the volume with a machine's rating, at the user's cache directory."""
    return {"Type": "volume", "Source": RATINGS_VOLUME, "Target": f"{CACHE}/wotemu"}


def calibration_spec(name: str, *, is_quick: bool) -> Json:
    """The service that rates every machine once, and prints the rating."""
    return {
        "Name": name,
        "Labels": {specs.STACK_LABEL: name, specs.ROLE_LABEL: "calibrate"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": specs.image_of(None),
                "Args": ["calibrate"],
                "Env": [_CACHE_VARIABLE, *([f"{QUICK_VARIABLE}=1"] if is_quick else [])],
                "Labels": {specs.STACK_LABEL: name, specs.ROLE_LABEL: "calibrate"},
                "User": "0",  # a new volume is root's
                "CapabilityDrop": ["ALL"],
                "ReadOnly": True,
                "Healthcheck": {"Test": ["NONE"]},
                "Mounts": [ratings_mount()],
            },
            "RestartPolicy": {"Condition": "none"},
        },
        "Mode": {"Global": {}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def _nodes(plan: Plan) -> Json:
    """Of each node its service without the stack's name, the replicas by slot, and what it asks for."""
    found: Json = {}
    for replica in _limited(plan):
        name = specs.object_name(plan, object_names.node_service(replica.node))
        node = found.setdefault(
            replica.node,
            {
                "service": name.removeprefix(specs.object_name(plan, "")),
                "replicas": [],
                "resources": _asked(replica.resources),
            },
        )
        node["replicas"].append(replica.name)
    return found


def _asked(resources: NodeResources | None) -> Json | None:
    """What `NodeResources` is made with again, as JSON."""
    if resources is None:
        return None
    speed, memory = resources.target_cpu_speed, resources.mem_limit
    asked = {
        "device": None if resources.device is None else resources.device.name,
        "device_cores": resources.device_cores,
        "cpu_limit": resources.cpu_limit,
        "mem_limit": None if memory is None else f"{int(memory)}B",
        "target_cpu_speed": None if speed is None else f"{float(speed):.0f}Hz",
    }
    return {name: value for name, value in asked.items() if value is not None}
