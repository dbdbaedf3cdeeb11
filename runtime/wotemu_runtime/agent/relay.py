"""Relays a Unix socket's connections to sockets that are made elsewhere, such as in another namespace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_CHUNK = 64 * 1024


@asynccontextmanager
async def relayed(path: str, connect: Callable[[], Awaitable[socket.socket]]) -> AsyncIterator[None]:
    """Listen at a Unix address while in the block, and relay each connection.

    Args:
        path: the address; an abstract one begins with a zero.
        connect: makes the other side of a connection; where it fails, the connection is closed.
    """
    relays: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_relay(reader, writer, connect))
        relays.add(task)
        task.add_done_callback(relays.discard)

    server = await asyncio.start_unix_server(accept, path)
    try:
        yield
    finally:
        server.close()
        for task in tuple(relays):
            task.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    connect: Callable[[], Awaitable[socket.socket]],
) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError):
        there_reader, there_writer = await asyncio.open_connection(sock=await connect())
        with contextlib.closing(there_writer):
            sides = [_copy(reader, there_writer), _copy(there_reader, writer)]
            tasks = [asyncio.ensure_future(side) for side in sides]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
