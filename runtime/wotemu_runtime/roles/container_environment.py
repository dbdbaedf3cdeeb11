"""The contract between an engine's services and the image's roles: environment variables, ports, aliases.

Engines write these into the services that they deploy; `wotemu_runtime.container` reads them. The module lies
below both, so that engines need nothing of the containers' code.
"""

from __future__ import annotations

ASSIGNMENT_VARIABLE = "WOTEMU_ASSIGNMENT"
"""Path of the assignment's JSON file, or the JSON itself."""

STACK_VARIABLE = "WOTEMU_STACK"
"""The stack's name, where the assignment was written before the stack was named (``docker stack deploy``)."""

SLOT_VARIABLE = "WOTEMU_SLOT"
"""Number of this task among its service's replicas, from 1."""

HOST_VARIABLE = "WOTEMU_HOST"
"""Name of the machine; a container's own host name is another."""

PASSWORD_FILE_VARIABLE = "WOTEMU_BUS_PASSWORD_FILE"  # noqa: S105  # its name, not its content
"""Path of the file with the bus's password."""

DEFAULT_PASSWORD_FILE = "/run/secrets/wotemu_bus"  # noqa: S105  # likewise
"""Where Swarm mounts the secret with the bus's password."""

BUS_DIRECTORY_VARIABLE = "WOTEMU_BUS_DIR"
"""Directory of the bus's append-only file; without it the bus keeps its data in memory alone.

Its parent belongs to this stack alone. Other directories there are of earlier deployments, and are removed.
"""

BUS_PORT = 6379
"""TCP port of the bus inside its container."""

PROXY_PORT = 2375
"""TCP port of the Docker API proxy on the control network."""


QUICK_VARIABLE = "WOTEMU_QUICK"
"""Whether a machine is rated by the bundled benchmark, even where there is 7-zip: set and not empty."""

DOCKER_SOCKET = "/var/run/docker.sock"
"""Docker's socket in the containers of the proxy and the limiters, and where machines have it by default."""

DOCKER_SOCKET_VARIABLE = "WOTEMU_DOCKER_SOCKET"
"""The path of Docker's socket on the machines, where it is another. Docker fills in its templates."""


def gateway_alias(network: str) -> str:
    """DNS alias of a network's gateway on that network, where roles look the network's subnet up by it."""
    return f"gateway-of-{network}"
