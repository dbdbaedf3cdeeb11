"""What all Docker objects of one emulation have in common, in the terms of the Engine API. Pure.

Every object is labelled with the stack that owns it. The emulated networks are internal overlays that carry
the apps' traffic alone; bus, agents and gateways speak over a control network of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.topology.service import service_network
from wotemu_runtime.engines.swarm import object_names
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.roles.container_environment import (
    ASSIGNMENT_VARIABLE,
    BUS_PORT,
    HOST_VARIABLE,
)

Json = dict[str, Any]

STACK_LABEL = "org.wotemu.stack"
ROLE_LABEL = "org.wotemu.role"
NAMESPACE_LABEL = "com.docker.stack.namespace"
"""Docker's own label of a stack: its commands (stack ps, stack rm) then know ours."""

DEFAULT_IMAGE = "wotemu:latest"
IMAGE_VARIABLE = "WOTEMU_IMAGE"

BUS_ALIAS = "wotemu-bus"
BUS_VOLUME = "bus"
BUS_DIRECTORY = "/data"
ASSIGNMENT_FILE = "/run/wotemu/assignment.json"
CODE_FILE = "/run/wotemu/code.tar.xz"

STOP_GRACE_NS = 10 * 10**9
CLOSED = {"net.ipv4.ip_forward": "0"}
"""Docker enables forwarding in containers. A task that got the address of a lost gateway, or a gateway that
does not shape yet, would then forward packets unshaped."""


@attrs.frozen(kw_only=True)
class Config:
    """One Swarm config. Swarm's configs can't change, so the name has a hash of the content."""

    name: str
    data: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class SwarmService:
    """One Swarm service. `spec` lacks the configs, which get their ids later: `files` has them by path."""

    name: str
    role: str
    spec: Json
    files: Mapping[str, Config]

    @property
    def is_gateway(self) -> bool:
        """Whether it is a network's gateway."""
        return self.role.startswith("gateway:")


def image_of(node_image: str | None) -> str:
    """A node's own image, else that of the environment (WOTEMU_IMAGE), else the default."""
    return node_image or os.environ.get(IMAGE_VARIABLE) or DEFAULT_IMAGE


def labels(plan: Plan, role: str) -> dict[str, str]:
    """The labels of every object of this emulation."""
    return {STACK_LABEL: plan.stack, NAMESPACE_LABEL: plan.stack, ROLE_LABEL: role}


def object_name(plan: Plan, name: str) -> str:
    """An object's name with the stack's before it, so that two stacks on one cluster do not clash."""
    return f"{plan.stack}_{object_names.fitted(name, object_names.room(plan.stack))}"


MTU_OPTION = "com.docker.network.driver.mtu"


def network_specs(plan: Plan) -> list[Json]:
    """The overlays: control network, the bus's way out, emulated networks, and one for each plain service.

    All but the bus's lead nowhere: Docker need not attach their containers to each machine's gateway bridge,
    which takes as long as attaching them to an overlay.
    """
    return [
        _network_spec(plan, object_names.CONTROL, internal=True),
        _network_spec(plan, object_names.OUTSIDE, internal=False),
        *(
            _network_spec(plan, object_names.emulated_network(each.name), internal=True, mtu=each.mtu)
            for each in plan.emulated
        ),
        *(_network_spec(plan, service_network(each.name), internal=True) for each in plan.topology.services),
    ]


def _network_spec(plan: Plan, name: str, *, internal: bool, mtu: int | None = None) -> Json:
    return {
        **({} if mtu is None else {"Options": {MTU_OPTION: str(mtu)}}),
        "Name": object_name(plan, name),
        "Driver": "overlay",
        "CheckDuplicate": True,  # Docker identifies networks by id, and would allow a second of one name
        "Internal": internal,
        "Attachable": False,
        "Labels": labels(plan, f"network:{name}"),
    }


def config(plan: Plan, name: str, data: bytes) -> Config:
    """A config with a name from its content."""
    digest = hashlib.sha256(data).hexdigest()[:12]
    short = name[: object_names.room(plan.stack) - len(digest) - 1].rstrip("-_")
    return Config(name=object_name(plan, f"{short}-{digest}"), data=data)


def code_config(plan: Plan) -> Config:
    """The topology's folder as a config.

    Raises:
        InputError: It is too large for Swarm.
    """
    return config(plan, "code", code_bundle.pack(plan.root))


def assignment(plan: Plan, name: str, data: Json) -> Config:
    """A role's assignment as a config."""
    content = {"name": name, "stack": plan.stack, "bus": {"host": BUS_ALIAS, "port": BUS_PORT}, "data": data}
    return config(plan, name.replace(":", "-"), json.dumps(content, sort_keys=True).encode())


def service_spec(
    plan: Plan,
    name: str,
    role: str,
    image: str,
    args: list[str],
    *,
    networks: list[tuple[str, list[str]]],
    replicas: int = 1,
    capabilities: tuple[str, ...] = (),
) -> Json:
    """A service as all roles have it. A role with capabilities runs as root: others could not use them."""
    return {
        "Name": object_name(plan, name),
        "Labels": labels(plan, role),
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Args": args,
                "Env": [
                    f"{ASSIGNMENT_VARIABLE}={ASSIGNMENT_FILE}",
                    f"{HOST_VARIABLE}={{{{.Node.Hostname}}}}",
                ],
                "Labels": labels(plan, role),
                "User": "0" if capabilities else "",
                # Docker grants 14 capabilities by default.
                "CapabilityDrop": ["ALL"],
                "CapabilityAdd": list(capabilities),
                "StopGracePeriod": STOP_GRACE_NS,
                "Healthcheck": {
                    "Test": ["NONE"]
                },  # it would start a process every few seconds; roles report to the bus
            },
            "Networks": [
                {"Target": object_name(plan, network), "Aliases": aliases} for network, aliases in networks
            ],
            "RestartPolicy": {"Condition": "on-failure", "Delay": 10**9},
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        # No virtual IP: it needs IPVS, and apps are to see the address of the replica that answers.
        "EndpointSpec": {"Mode": "dnsrr"},
    }
