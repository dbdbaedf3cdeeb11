"""The app process's connection to its agent: sends messages without ever blocking or raising.

What the socket can't take waits in a bounded buffer. Records beyond it are dropped and counted, and the count
is sent as soon as anything else is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import deque
from weakref import WeakSet

from wotemu.app.agent_socket import GuardedSocket
from wotemu.records import Record
from wotemu_runtime.app_process.messages import (
    PACKET_BYTES,
    AppError,
    Claim,
    Failure,
    Go,
    Lost,
    Message,
    decode,
    encode,
    rows_of,
)

BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes of packets that may wait for a full socket; records and errors beyond it are dropped."""


class AgentConnection:
    """Sends messages to the agent, from any thread.

    Args:
        connected: one end of `record_sockets.socket_pair`, or a connection to the agent's metric socket.
        buffer_bytes: how much may wait for a full socket before records are dropped.
    """

    def __init__(self, connected: socket.socket, buffer_bytes: int = BUFFER_BYTES) -> None:
        connected.setblocking(False)
        self._connection = GuardedSocket(connected)
        self._capacity = buffer_bytes
        self._closed = False
        self.reset_after_fork()
        _to_reset.add(self)

    def __repr__(self) -> str:
        return f"<AgentConnection waiting={len(self._waiting)} lost={self._lost} closed={self._closed}>"

    def reset_after_fork(self) -> None:
        """In a forked child: what waits, and what was lost, is for the parent to send."""
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_writer = False

    @property
    def _socket(self) -> socket.socket:
        return self._connection.socket

    @property
    def lost(self) -> int:
        """Messages that were dropped and not yet reported."""
        return self._lost

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send what waits from this loop as soon as the socket is writable. Call it in the loop's thread."""
        with self._lock:
            self._loop = loop

    def detach(self) -> None:
        """Stop using the loop, which is about to close; what waits from now on needs `flush`."""
        with self._lock:
            loop, self._loop, self._has_writer = self._loop, None, False
        if loop is not None:
            loop.remove_writer(self._socket)

    def record(self, record: Record) -> None:
        """Send one record, or count it as lost."""
        # At once and one a packet: a record that waited here would be lost when the app is killed.
        self._send(rows_of(record), droppable=True)

    def claim(self, claim: Claim) -> None:
        """Say that a socket's requests are recorded here, or count it as lost."""
        self._send(claim, droppable=True)

    def error(self, failure: Failure) -> None:
        """Report an exception that nothing in the app handled, or count it as lost."""
        self._send(AppError(failure), droppable=True)

    def send(self, message: Message) -> None:
        """Send a message that must not be dropped as long as the agent lives."""
        self._send(message, droppable=False)

    def flush(self, timeout_s: float) -> bool:
        """Block until everything that waits is sent, for `timeout_s` seconds at most; true if it was sent.

        For a process that is about to exit.
        """
        with self._lock:
            if not self._waiting and not self._lost:
                return True
            if not self._connection.is_own():
                return False
            self._socket.settimeout(timeout_s)
            try:
                self._report_lost()
                self._push()
                return not self._waiting
            finally:
                self._socket.setblocking(False)

    async def wait_go(self) -> bool:
        """Wait for `Go`; false if the agent closed the connection instead."""
        while packet := await self._receive():
            if isinstance(decode(packet), Go):
                return True
        return False

    async def wait_closed(self) -> None:
        """Wait until the agent has closed the connection."""
        while await self._receive():
            pass

    async def _receive(self) -> bytes:
        """The next packet; empty once the agent is gone."""
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, PACKET_BYTES)
        except ConnectionResetError:  # the agent ended without reading what was sent to it
            return b""

    def _send(self, message: Message, *, droppable: bool) -> None:
        packet = _packet(message)
        with self._lock:
            if self._closed:
                return
            full = droppable and self._waiting_bytes + len(packet) > self._capacity
            if full or not packet:
                self._lost += 1
            else:
                self._report_lost()
                self._enqueue(packet)
            self._push()

    def _report_lost(self) -> None:
        if self._lost:
            self._enqueue(encode(Lost(self._lost)))
            self._lost = 0

    def _enqueue(self, packet: bytes) -> None:
        self._waiting.append(packet)
        self._waiting_bytes += len(packet)

    def _push(self) -> None:
        """Send as much as the socket takes."""
        while self._waiting:
            try:
                self._connection.send(self._waiting[0])
            except (BlockingIOError, TimeoutError):
                self._request_writer()
                return
            except OSError:  # the agent is gone, and nothing else takes these messages
                self._closed = True
                self._waiting.clear()
                return
            self._waiting_bytes -= len(self._waiting.popleft())

    def _request_writer(self) -> None:
        # Loops are not thread-safe: only the loop's own thread may add a writer.
        if self._has_writer and self._loop is not None and not self._loop.is_closed():
            return
        if self._loop is None or self._loop.is_closed():
            # A program that is no NodeApp has any number of loops, each for a while.
            self._loop = asyncio._get_running_loop()
        self._has_writer = self._loop is not None
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._add_writer)

    def _add_writer(self) -> None:
        if self._loop is not None:  # it may have been detached since
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        with self._lock:
            self._report_lost()
            self._push()
            if not self._waiting and self._loop is not None:
                self._loop.remove_writer(self._socket)
                self._has_writer = False


_to_reset: WeakSet[AgentConnection] = WeakSet()


def _reset_after_fork() -> None:
    for each in tuple(_to_reset):
        each.reset_after_fork()


os.register_at_fork(after_in_child=_reset_after_fork)


def _packet(message: Message) -> bytes:
    """The message's packet; empty where it can't be encoded or is too large for the socket."""
    try:
        packet = encode(message)
    except (TypeError, ValueError, OverflowError):
        return b""
    return packet if len(packet) <= PACKET_BYTES else b""
