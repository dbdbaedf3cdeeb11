"""The names of Docker objects: free of clashes, and no longer than Swarm allows. Pure."""

from __future__ import annotations

import hashlib

MAX_NAME = 63
"""The longest name of a service, network, config or secret that Swarm allows."""
STACK_ROOM = 24
"""Names do not depend on the stack's name, as long as that is not longer than this."""

CONTROL = "control"
"""The overlay on which bus, agents, gateways and coordinator speak."""
OUTSIDE = "outside"
"""The overlay of the bus alone, by which its port can be published."""

LIMITS = "limits"
"""The service of the limiters, their role in the image, and how their roles' names begin."""

_HASH_CHARACTERS = 8
_OWN_SERVICES = frozenset({"bus", "coordinator", "proxy", LIMITS})
_OWN_SERVICE_PREFIXES = ("gw-", "door-")
_OWN_NETWORKS = frozenset({CONTROL, OUTSIDE})
_OWN_NETWORK_PREFIXES = ("service-",)


def room(stack: str) -> int:
    """How long the names of a stack's objects may be, which Docker prefixes with the stack's."""
    return MAX_NAME - 1 - max(len(stack), STACK_ROOM)


def fitted(name: str, room: int) -> str:
    """The name, shortened to `room` characters with a hash of the whole if it is longer."""
    return name if len(name) <= room else _hashed(name, room)


def node_service(name: str) -> str:
    """The service of a node, broker or plain service: its name, or a hash if one of WoTemu's has that."""
    # Also a name that only begins like a role's, since a topology may add such a network or service later.
    is_own = name in _OWN_SERVICES or name.startswith(_OWN_SERVICE_PREFIXES)
    return _hashed(name, MAX_NAME) if is_own else name


def gateway_service(network: str) -> str:
    """The service of a network's gateway."""
    return f"gw-{network}"


def door_service(service: str) -> str:
    """The service of the door through which a plain service is reached over emulated networks."""
    return f"door-{service}"


def emulated_network(name: str) -> str:
    """The overlay of an emulated network: its name, or a hash if one of WoTemu's has that."""
    is_own = name in _OWN_NETWORKS or name.startswith(_OWN_NETWORK_PREFIXES)
    return _hashed(name, MAX_NAME) if is_own else name


def _hashed(name: str, room: int) -> str:
    # Of the whole name: two long names that begin alike stay different.
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_CHARACTERS]
    start = name[: max(0, room - _HASH_CHARACTERS - 1)].rstrip("-_")
    return f"{start}-{digest}" if start else digest[:room]
