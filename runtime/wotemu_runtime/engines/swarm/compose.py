"""Writes a plan as a compose file for ``docker stack deploy``. Pure: the same plan gives the same bytes.

The file and the folder beside it are a whole emulation but for two things: the stack's name, which is given
when it is deployed and reaches the roles through Docker's templates, and the bus's password.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import attrs

from wotemu_runtime.docker_proxy.client import PROXY_ALIAS
from wotemu_runtime.engines.swarm import limiters, object_names, specs
from wotemu_runtime.engines.swarm.requirements import check_plan
from wotemu_runtime.engines.swarm.services import services as all_services
from wotemu_runtime.engines.swarm.specs import Config, Json, SwarmService
from wotemu_runtime.engines.swarm.yaml_text import to_yaml
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.refusal import refusal
from wotemu_runtime.roles.container_environment import (
    ASSIGNMENT_VARIABLE,
    BUS_PORT,
    DEFAULT_PASSWORD_FILE,
    DOCKER_SOCKET,
    DOCKER_SOCKET_VARIABLE,
    HOST_VARIABLE,
    STACK_VARIABLE,
    gateway_alias,
)

SECRET = "bus-password"  # noqa: S105  # its name
COORDINATOR = "coordinator"
_RATINGS = "ratings"
_STACK = '{{index .Service.Labels "com.docker.stack.namespace"}}'
_HEAD = f"""\
{code_bundle.GENERATED}; generate it again rather than edit it.
#
#   docker stack deploy -c THIS_FILE STACK
#
# WOTEMU_IMAGE and WOTEMU_DOCKER_SOCKET in the environment replace the image and the path of Docker's socket.
"""


@attrs.frozen(kw_only=True)
class Composed:
    """A compose file's text, and the files that it names by their path from it."""

    text: str
    files: Mapping[str, bytes] = attrs.field(repr=False)


def compose(plan: Plan, *, source: str, func: str, folder: str, shaper: str = "auto") -> Composed:
    """Write the compose file of a plan.

    Args:
        plan: The plan.
        source: The path of the deployment file in the topology's folder.
        func: The function of that file which returned the topology.
        folder: The path, relative to the compose file, of the folder for the files that it names.
        shaper: The gateways' shaper: ``tun``, ``netem``, or ``auto``.

    Raises:
        HostError: A swarm can't impose a condition or a fault.
        TopologyError: A node publishes a port.
    """
    check_plan(plan, shaper)
    _check_ports(plan)
    # Roles then look for their networks' subnets by the gateways' aliases.
    unknown = {network.name: "" for network in plan.emulated}  # Docker chooses them when it is deployed
    made = all_services(plan, unknown, "", shaper=shaper)
    code = specs.code_config(plan)
    services = {_short(plan, service.name): _service(plan, service) for service in made}
    if plan.topology.docker_proxy:
        services["proxy"] = _proxy()
    coordinator, orders = _coordinator(plan, code, source=source, func=func)
    services[COORDINATOR] = coordinator
    configs = {
        _short(plan, config.name): config
        for config in (code, orders, *(config for service in made for config in service.files.values()))
    }
    files = {name: f"{folder}/{name}" for name in sorted(configs)}
    document = {
        # The first that has limits of processes; without a version it is taken for a file of version 1.
        "version": "3.9",
        "services": dict(sorted(services.items())),
        "networks": dict(sorted(_network(plan, spec) for spec in specs.network_specs(plan))),
        "configs": {name: {"file": f"./{path}"} for name, path in files.items()},
        "volumes": {
            specs.BUS_VOLUME: {"labels": {specs.ROLE_LABEL: specs.BUS_VOLUME}},
            # Of all stacks of a machine: with its name as it is here, and removed with none of them.
            **({_RATINGS: {"name": limiters.RATINGS_VOLUME}} if limiters.has_limiters(plan) else {}),
        },
        "secrets": {SECRET: {"file": f"./{folder}/{SECRET}"}},
    }
    return Composed(
        text=f"{_HEAD}\n{to_yaml(document)}",
        files={path: configs[name].data for name, path in files.items()},
    )


def folder_of(target: Path) -> Path:
    """The folder for the files that the compose file `target` names. Hidden, so it is no part of the code."""
    return target.with_name(f".{target.stem}.wotemu")


def _check_ports(plan: Plan) -> None:
    for node in plan.topology.nodes:
        if node.publish:
            raise refusal(
                node,
                "publish",
                "a composed stack publishes no ports of nodes: Swarm chooses its coordinator's machine",
                hint="leave it out, or run the deployment by wotemu run --engine swarm",
            )


def _short(plan: Plan, name: str) -> str:
    """A name without the stack's, with which ``docker stack deploy`` prefixes it."""
    return name.removeprefix(specs.object_name(plan, ""))


def _network(plan: Plan, spec: Json) -> tuple[str, Json]:
    labels = _labels(spec["Labels"])
    network = {"driver": spec["Driver"], "internal": spec["Internal"], "attachable": False, "labels": labels}
    if options := spec.get("Options"):
        network["driver_opts"] = options
    return _short(plan, spec["Name"]), network


def _service(plan: Plan, service: SwarmService) -> Json:
    """One of the engine's services in compose's terms."""
    template = service.spec["TaskTemplate"]
    container = template["ContainerSpec"]
    composed: Json = {
        "image": _image(plan, service),
        "command": [_escaped(argument) for argument in container.get("Args", ())],
        "environment": _environment(container["Env"]),
        "cap_drop": container["CapabilityDrop"],
        "cap_add": container["CapabilityAdd"],
        "networks": _attachments(plan, service),
        "stop_grace_period": f"{container['StopGracePeriod'] // 10**9}s",
        "deploy": _deploy(service),
    }
    if "Command" in container:
        composed["entrypoint"] = [_escaped(word) for word in container["Command"]]
    if container.get("Healthcheck") == {"Test": ["NONE"]}:
        composed["healthcheck"] = {"disable": True}
    if not service.role.startswith("service:"):
        composed |= _of_a_role(plan, service)
    return {key: value for key, value in sorted(composed.items()) if value != []}


def _of_a_role(plan: Plan, service: SwarmService) -> Json:
    """The parts of a service that WoTemu's roles have and plain services lack."""
    container = service.spec["TaskTemplate"]["ContainerSpec"]
    composed: Json = {
        "environment": _environment([*container["Env"], f"{STACK_VARIABLE}={_STACK}"]),
        "configs": [_mounted(_short(plan, config.name), target) for target, config in service.files.items()],
        "secrets": [_secret(as_root=bool(container["User"]))],
    }
    if container["User"]:
        composed["user"] = f"{container['User']}:0"
    if "Hostname" in container:
        composed["hostname"] = _escaped(container["Hostname"])
    if "Sysctls" in container:
        composed["sysctls"] = container["Sysctls"]
    if service.role == "bus":
        composed["ports"] = [{"target": BUS_PORT, "protocol": "tcp", "mode": "host"}]
        composed["healthcheck"] = {"interval": "1s"}
        composed["volumes"] = [{"type": "volume", "source": specs.BUS_VOLUME, "target": specs.BUS_DIRECTORY}]
    if service.role == object_names.LIMITS:
        ratings = {"type": "volume", "source": _RATINGS, "target": limiters.ratings_mount()["Target"]}
        composed |= {"read_only": True, "volumes": [_socket(), ratings]}
    return composed


def _attachments(plan: Plan, service: SwarmService) -> Json:
    """The service's networks. Roles find a gateway's interface on a network by its alias there."""
    kind, _, subject = service.role.partition(":")
    attachments: Json = {}
    for network in service.spec["TaskTemplate"]["Networks"]:
        name, aliases = _short(plan, network["Target"]), list(network["Aliases"])
        if kind == "gateway" and name != object_names.CONTROL:
            aliases.append(gateway_alias(subject))
        attachments[name] = {"aliases": aliases} if aliases else {}
    return attachments


def _image(plan: Plan, service: SwarmService) -> str:
    own = {f"agent:{node.name}": node.image for node in plan.topology.nodes}
    own |= {f"service:{each.name}": each.image for each in plan.topology.services}
    image = own.get(service.role)
    return _escaped(image) if image else _default_image()


def _default_image() -> str:
    return f"${{{specs.IMAGE_VARIABLE}:-{specs.DEFAULT_IMAGE}}}"


def _environment(entries: list[str]) -> dict[str, str]:
    pairs = dict(entry.split("=", 1) for entry in entries)
    return {name: _escaped(value) for name, value in sorted(pairs.items())}


def _deploy(service: SwarmService) -> Json:
    template = service.spec["TaskTemplate"]
    mode = service.spec["Mode"]
    deploy: Json = {
        "endpoint_mode": service.spec["EndpointSpec"]["Mode"],
        "labels": _labels(service.spec["Labels"]),
        **(
            {"mode": "global"}
            if "Global" in mode
            else {"mode": "replicated", "replicas": mode["Replicated"]["Replicas"]}
        ),
        "restart_policy": {"condition": template["RestartPolicy"]["Condition"], "delay": "1s"},
    }
    if service.role == "bus":
        deploy["placement"] = {"constraints": ["node.role == manager"]}
    elif placement := _placement(template.get("Placement", {})):
        deploy["placement"] = placement
    if resources := _resources(template.get("Resources", {})):
        deploy["resources"] = resources
    return deploy


def _placement(placement: Json) -> Json:
    composed: Json = {}
    if constraints := placement.get("Constraints"):
        composed["constraints"] = [_escaped(constraint) for constraint in constraints]
    if preferences := placement.get("Preferences"):
        composed["preferences"] = [{"spread": each["Spread"]["SpreadDescriptor"]} for each in preferences]
    if "MaxReplicas" in placement:
        composed["max_replicas_per_node"] = placement["MaxReplicas"]
    return composed


def _resources(resources: Mapping[str, Mapping[str, int]]) -> Json:
    composed: Json = {}
    for kind in ("Limits", "Reservations"):
        wanted = resources.get(kind, {})
        values: Json = {}
        if nano_cpus := wanted.get("NanoCPUs"):
            values["cpus"] = f"{nano_cpus / 10**9:g}"
        if size := wanted.get("MemoryBytes"):
            values["memory"] = f"{size}b"
        if pids := wanted.get("Pids"):
            values["pids"] = pids
        if values:
            composed[kind.lower()] = values
    return composed


def _proxy() -> Json:
    """The proxy, which has Docker's socket. It shows roles a part of Docker's API."""
    return {
        "cap_drop": ["ALL"],
        "command": ["proxy"],
        "deploy": {**_on_manager("proxy"), "restart_policy": {"condition": "any", "delay": "1s"}},
        "environment": {STACK_VARIABLE: _STACK},
        "healthcheck": {"interval": "2s"},
        "image": _default_image(),
        "networks": {object_names.CONTROL: {"aliases": [PROXY_ALIAS]}},
        "read_only": True,
        "user": "0:0",
        "volumes": [_socket()],
    }


def _socket() -> Json:
    """The mount of Docker's socket."""
    source = f"${{{DOCKER_SOCKET_VARIABLE}:-{DOCKER_SOCKET}}}"
    return {"type": "bind", "source": source, "target": DOCKER_SOCKET}


def _coordinator(plan: Plan, code: Config, *, source: str, func: str) -> tuple[Json, Config]:
    """The coordinator and its assignment. It loads the topology again from the code that nodes get."""
    assignment: Json = {
        "name": COORDINATOR,
        "stack": plan.stack,
        "bus": {"host": specs.BUS_ALIAS, "port": BUS_PORT},
        "data": {
            "bundle": {"path": specs.CODE_FILE, "digest": code_bundle.digest(code.data)},
            "source": source,
            "func": func,
            "seed": plan.seed,
            "duration_s": plan.timeline.duration_s,
            "timeline": plan.timeline.hash,
        },
    }
    orders = specs.config(plan, COORDINATOR, json.dumps(assignment, sort_keys=True).encode())
    service: Json = {
        "cap_drop": ["ALL"],
        "command": [COORDINATOR],
        "configs": [
            _mounted(_short(plan, orders.name), specs.ASSIGNMENT_FILE),
            _mounted(_short(plan, code.name), specs.CODE_FILE),
        ],
        "deploy": _on_manager(COORDINATOR),
        "environment": _environment(
            [
                f"{ASSIGNMENT_VARIABLE}={specs.ASSIGNMENT_FILE}",
                f"{STACK_VARIABLE}={_STACK}",
                f"{HOST_VARIABLE}={{{{.Node.Hostname}}}}",
            ]
        ),
        "healthcheck": {"disable": True},
        "image": _default_image(),
        "networks": {object_names.CONTROL: {}},
        "secrets": [_secret(as_root=False)],
        "stop_grace_period": "40s",  # the roles end first, and what they still send is recorded
    }
    return service, orders


def _on_manager(role: str) -> Json:
    return {
        "endpoint_mode": "dnsrr",
        "labels": {specs.ROLE_LABEL: role},
        "mode": "replicated",
        "placement": {"constraints": ["node.role == manager"]},
        "replicas": 1,
        "restart_policy": {"condition": "on-failure", "delay": "1s"},
    }


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels without the stack's name, which Docker adds when it is deployed."""
    return {specs.ROLE_LABEL: _escaped(labels[specs.ROLE_LABEL])}


def _mounted(source: str, target: str) -> Json:
    return {"source": source, "target": target, "mode": 0o444}


def _secret(*, as_root: bool) -> Json:
    """The bus's password, for root alone where the role is root: apps are not."""
    return {
        "source": SECRET,
        "target": PurePosixPath(DEFAULT_PASSWORD_FILE).name,
        "mode": 0o400 if as_root else 0o444,
    }


def _escaped(text: str) -> str:
    """A text in which compose sees no variable."""
    return text.replace("$", "$$")


__all__ = ["SECRET", "Composed", "compose", "folder_of"]
