"""Forwards TCP connections from a socket of this machine into a node's network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Any

from wotemu_gateways.netlink.namespaces import entered
from wotemu_runtime.publishing.connecting import first_connection

_CHUNK = 64 * 1024


class Forwarder:
    """Forwards the connections of one listening socket, and counts them.

    Args:
        namespace: Descriptor of the node's network namespace.
        addresses: The node's addresses; the first that takes a connection gets it.
        port: The port in the node.

    Attributes:
        connections: Connections that the node took.
        refused: Connections that nothing took there.
        received: Bytes that went into the node.
        sent: Bytes that came out of it.
    """

    def __init__(self, namespace: int, addresses: Sequence[str], port: int) -> None:
        self._namespace = namespace
        self._addresses = addresses
        self._port = port
        self._open: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.connections = self.refused = self.received = self.sent = 0

    def __repr__(self) -> str:
        return f"<Forwarder to {self._port}, {len(self._open)} open>"

    async def start(self, listener: socket.socket) -> None:
        """Take connections of a socket from now on."""
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def close(self) -> None:
        """End all connections, and take no more."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        os.close(self._namespace)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._forward(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                inside = await first_connection(self._addresses, self._port, lambda: entered(self._namespace))
            except OSError:
                self.refused += 1
                return
            self.connections += 1
            with contextlib.suppress(OSError):
                node_reader, node_writer = await asyncio.open_connection(sock=inside)
                with contextlib.closing(node_writer):
                    await asyncio.gather(
                        self._copy(reader, node_writer, "received"), self._copy(node_reader, writer, "sent")
                    )

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: str) -> None:
        """Pass one way on until its end, which is passed on, too: the other way may have more to come."""
        while data := await reader.read(_CHUNK):
            if writer.is_closing():  # uvloop's transports then raise a RuntimeError
                raise ConnectionResetError
            setattr(self, count, getattr(self, count) + len(data))
            writer.write(data)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()
