"""The agent's connection to one start of its app: an asynchronous iterator of the app's messages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from wotemu_runtime.app_process.messages import PACKET_BYTES, Go, Message, decode, encode

MAX_RUN = 64
"""Messages that are handed out before other tasks of the loop get a turn."""


class AppConnection:
    """``async for message in connection`` until the app's process is gone."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._run = 0

    def __repr__(self) -> str:
        return f"<AppConnection {'closed' if self._socket.fileno() < 0 else 'open'}>"

    def go(self) -> None:
        """Release the app: T0 has come. An app that is gone already is no error."""
        with contextlib.suppress(OSError):
            self._socket.send(encode(Go()))

    def close(self) -> None:
        """Close the connection; an app that still runs then shuts down."""
        self._socket.close()

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        packet = await self._receive()
        if not packet:
            raise StopAsyncIteration
        return decode(packet)

    async def _receive(self) -> bytes:
        """The next packet; empty at the end."""
        self._run = (self._run + 1) % MAX_RUN
        if self._run == 0:
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        while True:
            # The reset is reported once, where the app ended without reading what it was sent; what the app
            # itself sent last comes after it.
            with contextlib.suppress(ConnectionResetError):
                try:
                    # uvloop registers the socket for each `sock_recv`: four times the cost of a plain one.
                    return self._socket.recv(PACKET_BYTES)
                except BlockingIOError:
                    return await loop.sock_recv(self._socket, PACKET_BYTES)
