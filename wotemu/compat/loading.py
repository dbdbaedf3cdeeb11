"""Makes the arguments, classes and methods of 0.6 work while a deployment's file runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from wotemu.compat.arguments import OldDockerProxy, OldRedis, current_arguments
from wotemu.compat.old_word import collecting_old_words, warn_of_old_word
from wotemu.topology import models
from wotemu.topology._fields import read_arguments_with
from wotemu.topology.node import Node
from wotemu.topology.ports import Ports
from wotemu.topology.service import Service


@attrs.frozen
class RestartPolicy:
    """``docker.types.RestartPolicy``, for files of 0.6. A service that ends is started again in any case."""

    condition: str = "none"
    delay: int = 0
    max_attempts: int = 0
    window: int = 0


@contextlib.contextmanager
def accepting_old_words() -> Iterator[Iterable[str]]:
    """Accept the words of 0.6 in the topology that is made inside of this context.

    Yields:
        A warning for each that was used so far.
    """
    sys.modules.pop("wotemu.enums", None)  # it warns when it is imported: each file is to have its warning
    for name, value in _NAMES.items():
        setattr(models, name, value)
    Node.link_service = _link_service  # type: ignore[attr-defined]
    try:
        with read_arguments_with(current_arguments), collecting_old_words() as found:
            yield found
    finally:
        del Node.link_service  # type: ignore[attr-defined]
        for name in _NAMES:
            delattr(models, name)


def _ports(catalogue: int = 9090, http: int = 80, ws: int = 81, mqtt: int = 1883, coap: int = 5683) -> Ports:
    """``TopologyPorts``, with the ports that it had where none was given."""
    warn_of_old_word(
        f"TopologyPorts is now Ports, whose http is {Ports().http} and ws {Ports().ws} unless given"
    )
    return Ports(catalogue=catalogue, http=http, ws=ws, mqtt=mqtt, coap=coap)


def _link_service(node: Node, service: Service) -> None:
    """``node.link_service(service)``: the node uses the service, too."""
    warn_of_old_word(f"Node {node.name!r}: link_service() is now Node(services=[...])")
    changed = attrs.evolve(node, services=(*node.services, service))
    object.__setattr__(node, "services", changed.services)


_NAMES: Mapping[str, Any] = {
    "TopologyPorts": _ports,
    "TopologyRedis": OldRedis,
    "TopologyDockerProxy": OldDockerProxy,
}
"""Further names of `wotemu.topology.models` in 0.6."""

_MODULES: Mapping[str, str] = {
    "docker": "write `from wotemu.compat import RestartPolicy`; nothing else of docker is needed",
    "wotemu.config": "an app gets all of it as its argument `conf`",
    "wotemu.wotpy": "WoTPy's own objects are measured as they are",
}
"""Modules that files of 0.6 import and that need not be there any more."""


def hint_of_missing_module(error: BaseException) -> str | None:
    """What to write in place of a module that 0.6 had or needed; None where it is another one."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    return next((hint for name, hint in _MODULES.items() if f"{error.name}.".startswith(f"{name}.")), None)
