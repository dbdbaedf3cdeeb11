"""The role that forwards this machine's published ports into nodes, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import uvloop

from wotemu.records import Published
from wotemu_runtime.publishing.forwarder import Forwarder
from wotemu_runtime.publishing.listening import announced
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role, on_bus

ROWS_EVERY_S = 1.0


def run_publishing(data: dict[str, Any], listeners: Mapping[int, int]) -> int:
    """Forward connections until the coordinator stops it; the process's exit code.

    Args:
        data: The assignment: its ``ports`` are `_Port` values.
        listeners: The descriptors of the listening sockets, by port.
    """
    assignment = Assignment.from_dict(data)
    # With autogroup scheduling, processors are shared among sessions: apps and gateways keep their share.
    os.setsid()
    uvloop.run(_run(assignment, listeners))
    return 0


@attrs.frozen
class _Port:
    """A port of this machine, and where it leads.

    Attributes:
        port: The port of this machine.
        replica: The node.
        target: The port of the node.
        first: Process id of the node's first process.
        addresses: The node's addresses on its networks.
    """

    port: int
    replica: str
    target: int
    first: int
    addresses: Sequence[str]

    def forwarder(self) -> Forwarder:
        """Its forwarder: an app that listens on the loopback interface alone is reached, too."""
        namespace = os.open(f"/proc/{self.first}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        return Forwarder(namespace, ["127.0.0.1", *self.addresses], self.target)


async def _run(assignment: Assignment, listeners: Mapping[int, int]) -> None:
    async with on_bus(assignment) as (role, group):
        ports = {port.port: port for port in (_Port(**each) for each in assignment.data["ports"])}
        forwarders = {number: port.forwarder() for number, port in ports.items()}
        for number, forwarder in forwarders.items():
            await forwarder.start(socket.socket(fileno=listeners[number]))
        role.ready()
        announcing = group.create_task(_announce(role, list(ports.values())), name="ports")
        while not role.stopping.is_set():
            _record(role, ports, forwarders)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROWS_EVERY_S):
                    await role.stopping.wait()
        announcing.cancel()
        for forwarder in forwarders.values():
            await forwarder.close()
        _record(role, ports, forwarders)


async def _announce(role: Role, ports: Sequence[_Port]) -> None:
    """At T0, report what leads where."""
    await role.session.sleep_until(await role.t0)
    for port in ports:
        text, data = announced(port.port, port.replica, port.target)
        role.event("port.published", text, **data)


def _record(role: Role, ports: Mapping[int, _Port], forwarders: Mapping[int, Forwarder]) -> None:
    now = role.now()
    role.publisher.put(
        *(
            Published(
                now,
                ports[number].replica,
                number,
                ports[number].target,
                each.connections,
                each.refused,
                each.received,
                each.sent,
            )
            for number, each in forwarders.items()
        )
    )
