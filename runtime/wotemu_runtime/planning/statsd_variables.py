"""The variables by which a node's programs find where to send StatsD's lines."""

from __future__ import annotations

from wotemu.app.agent_socket import STATSD_PATH
from wotemu.topology.node import Node
from wotemu_runtime.planning.models import Replica
from wotemu_runtime.planning.refusal import refusal

DEFAULT_PORT = 8125
"""StatsD's own."""
HOST = "127.0.0.1"
PORT_VARIABLE = "WOTEMU_STATSD_PORT"
_MAX_PORT = 65535


def statsd_variables(node: Node) -> dict[str, str]:
    """The variables for a node's programs; its own ones replace those of the same name.

    Raises:
        TopologyError: The node's own port is none.
    """
    port = _port(node)
    variables = {"WOTEMU_STATSD_SOCKET": STATSD_PATH}
    if port:
        names = {"HOST": HOST, "PORT": str(port)}
        # Without the prefix, as clients of StatsD expect them.
        variables |= {f"{prefix}STATSD_{name}": v for name, v in names.items() for prefix in ("WOTEMU_", "")}
    return variables


def statsd_port(replica: Replica) -> int | None:
    """The UDP port of a node, 0 for none; None of brokers and services, which report nothing."""
    return int(replica.env.get(PORT_VARIABLE, 0)) if replica.kind == "node" else None


def _port(node: Node) -> int:
    text = node.env.get(PORT_VARIABLE, str(DEFAULT_PORT))
    if not text.isdecimal() or int(text) > _MAX_PORT:
        raise refusal(
            node,
            "env",
            f"{PORT_VARIABLE}={text!r} is no UDP port",
            hint=f"write a port from 1 to {_MAX_PORT}, or 0 for none",
        )
    return int(text)
