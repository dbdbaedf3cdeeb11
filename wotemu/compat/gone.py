"""Names of 0.6 that are refused with what to write, when they are imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from wotemu.suggestions import did_you_mean

_DOCKER = "an app gets what it needs of its surroundings as its argument `conf`; it does not see Docker"

_GONE: Mapping[str, str] = {
    "NETEM_CONDITIONS": "NetworkConditions.presets() has the presets by name",
    "NodePlatforms": "leave it out: nothing used it",
    "Labels": "the objects of a stack have labels that begin with org.wotemu; `wotemu ps` lists stacks",
    "RedisPrefixes": "what a run recorded is in tables: RecordedRun('runs/NAME').table('interactions')",
    "get_service_container_hostnames": "conf.replicas_of(name) has the host names of a node's replicas",
    "import_func": "importlib.import_module(...), of Python",
    "strip_ansi_codes": "logs of nodes are stored as they were printed",
    "cgget": "samples of control groups are in the table `system`",
    **dict.fromkeys(
        (
            *("ping_docker", "get_current_container_id", "get_current_task", "get_task_container_id"),
            *("get_current_stack_namespace", "get_task_networks", "get_task_labels"),
            *("get_network_gateway_task", "get_output_iface_for_task"),
        ),
        _DOCKER,
    ),
}
"""Today's replacements of names that a module of 0.6 had."""


def refuse(module: str, name: str, names: list[str]) -> NoReturn:
    """Raise what importing a name that a module does not have raises.

    Args:
        module: The module.
        name: What is imported from it.
        names: What it has.

    Raises:
        ImportError: 0.6 had it; the message has what to write.
        AttributeError: It was never there.
    """
    if name in _GONE:
        raise ImportError(f"{module}.{name} is no more: {_GONE[name]}", name=module)
    raise AttributeError(f"module {module!r} has no {name!r}: {did_you_mean(name, names)}", name=name)
