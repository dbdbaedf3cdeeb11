"""A node's end of published ports whose connections are carried over the bus."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from wotemu_runtime.publishing.multiplexer import Channel, Multiplexer, read_streams
from wotemu_runtime.roles.role import Role

Connect = Callable[[int], Awaitable[socket.socket]]
"""Connects to a port of the node. Raises OSError where nothing takes the connection."""


async def serve_ports(role: Role, replica: str, connect: Connect) -> None:
    """Connect what the coordinator opens to the node's ports, until cancelled.

    Args:
        role: The node's role.
        replica: The node's replica.
        connect: Connects to its ports.
    """
    session = role.session
    async with asyncio.TaskGroup() as group:

        def serve(channel: Channel, port: int) -> None:
            group.create_task(_serve(end, channel, port, connect), name=f"connection to port {port}")

        end = Multiplexer(session.client, session.streams.from_ports(replica), serve)
        await read_streams(session.client, {session.streams.to_ports(replica): end})


async def _serve(end: Multiplexer, channel: Channel, port: int, connect: Connect) -> None:
    try:
        if channel.is_reset:  # the other end waited for an agent that was not there, and has given up
            return
        try:
            ends = await asyncio.open_connection(sock=await connect(port))
        except OSError:
            await channel.refuse()
            return
        await channel.accept(*ends)
    finally:
        end.forget(channel)
