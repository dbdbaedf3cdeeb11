"""Copies the fields of Docker's objects that roles may see. Pure.

Only fields that are listed here are copied, so that fields of later Docker versions stay hidden.

Environments, arguments, secrets, configs, mounts, host addresses, certificates and error texts, which quote
arguments, are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from wotemu_runtime.docker_proxy.decision import LABELS

STACK_LABELS = ("com.docker.stack.namespace", "org.wotemu.stack")
"""An object belongs to the stack that either label names; ``docker stack deploy`` sets the first."""


class Leaf(Enum):
    """What a field holds that has no fields of its own."""

    VALUE = "a string, number, flag or null; or a list of them"
    LABELS = "a mapping of labels: those that a stack may see"


_V, _L = Leaf.VALUE, Leaf.LABELS
Schema = Leaf | dict[str, Any] | list[Any]
"""The fields to copy, as a dict (``*`` is any key); of a list, the schema of its items."""

_META: dict[str, Any] = {"ID": _V, "Version": {"Index": _V}, "CreatedAt": _V, "UpdatedAt": _V}
_AMOUNT = {"NanoCPUs": _V, "MemoryBytes": _V, "Pids": _V}
_ENDPOINT = {"Name": _V, "EndpointID": _V, "MacAddress": _V, "IPv4Address": _V, "IPv6Address": _V}
_OPTIONS = ("com.docker.network.driver.mtu", "com.docker.network.driver.overlay.vxlanid_list")
_RESOURCES = {"Limits": _AMOUNT, "Reservations": _AMOUNT}
_PLACEMENT = {"Constraints": _V, "MaxReplicas": _V, "Platforms": [{"Architecture": _V, "OS": _V}]}
_TASK_SPEC = {
    "ContainerSpec": {"Image": _V, "Hostname": _V, "Labels": _L},
    "Resources": _RESOURCES,
    "Placement": _PLACEMENT,
    "Networks": [{"Target": _V, "Aliases": _V}],
    "ForceUpdate": _V,
}

SCHEMAS: Mapping[str, dict[str, Any]] = {
    "version": {"Version": _V, "ApiVersion": _V, "MinAPIVersion": _V, "Os": _V, "Arch": _V},
    "services": {
        **_META,
        "Spec": {
            "Name": _V,
            "Labels": _L,
            "Mode": {"Replicated": {"Replicas": _V}, "Global": {}},
            "TaskTemplate": _TASK_SPEC,
            "EndpointSpec": {"Mode": _V},
        },
        "Endpoint": {"Spec": {"Mode": _V}, "VirtualIPs": [{"NetworkID": _V, "Addr": _V}]},
        "UpdateStatus": {"State": _V, "StartedAt": _V, "CompletedAt": _V},
        "ServiceStatus": {"RunningTasks": _V, "DesiredTasks": _V, "CompletedTasks": _V},
    },
    "tasks": {
        **_META,
        "Labels": _L,
        "Spec": _TASK_SPEC,
        "ServiceID": _V,
        "Slot": _V,
        "NodeID": _V,
        "Status": {
            "Timestamp": _V,
            "State": _V,
            "Message": _V,
            "ContainerStatus": {"ContainerID": _V, "ExitCode": _V},
        },
        "DesiredState": _V,
        "NetworksAttachments": [
            {"Network": {"ID": _V, "Spec": {"Name": _V, "Labels": _L}}, "Addresses": _V},
        ],
    },
    "networks": {
        "Name": _V,
        "Id": _V,
        "Created": _V,
        "Scope": _V,
        "Driver": _V,
        "EnableIPv6": _V,
        "IPAM": {"Driver": _V, "Config": [{"Subnet": _V, "Gateway": _V, "IPRange": _V}]},
        "Internal": _V,
        "Attachable": _V,
        "Ingress": _V,
        "Options": dict.fromkeys(_OPTIONS, _V),
        "Labels": _L,
        "Containers": {"*": _ENDPOINT},
    },
    "nodes": {
        **_META,
        "Spec": {"Role": _V, "Availability": _V},
        "Description": {
            "Hostname": _V,
            "Platform": {"Architecture": _V, "OS": _V},
            "Resources": {"NanoCPUs": _V, "MemoryBytes": _V},
            "Engine": {"EngineVersion": _V},
        },
        "Status": {"State": _V},
        "ManagerStatus": {"Leader": _V, "Reachability": _V},
    },
}


def strip(kind: str, obj: Any) -> Any:
    """Copy the fields of an object that roles may see.

    Args:
        kind: ``services``, ``tasks`` and so on: a key of `SCHEMAS`.
        obj: What Docker answered, of whatever shape.
    """
    return _copy(obj, SCHEMAS[kind])


def belongs_to_stack(kind: str, obj: Any, stack: str) -> bool:
    """Whether the labels of a service or a network name the stack."""
    owner = obj.get("Spec") if kind == "services" and isinstance(obj, dict) else obj
    labels = owner.get("Labels") if isinstance(owner, dict) else None
    return isinstance(labels, dict) and stack in (labels.get(key) for key in STACK_LABELS)


def _copy(value: Any, schema: Schema) -> Any:
    """Copy what the schema lists of `value`; None where that has another shape."""
    if schema is Leaf.VALUE:
        return _value(value)
    if schema is Leaf.LABELS:
        return _labels(value)
    if isinstance(schema, list):
        return [_copy(item, schema[0]) for item in value] if isinstance(value, list) else None
    if not isinstance(value, dict) or not isinstance(schema, dict):
        return None
    if "*" in schema:
        return {key: _copy(item, schema["*"]) for key, item in value.items()}
    return {key: _copy(value[key], part) for key, part in schema.items() if key in value}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [item for item in value if not isinstance(item, list | dict)]
    return None if isinstance(value, dict) else value


def _labels(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    return {key: text for key, text in value.items() if key.startswith(LABELS) and isinstance(text, str)}
