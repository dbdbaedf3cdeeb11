"""The socket between an app's process and its agent: msgpack messages, one a packet.

The app's end never blocks and never raises. What the socket can't take waits in a bounded buffer; rows
beyond it are dropped and counted, and the count travels as soon as anything does. The agent's end is an
async iterator of messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import operator
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import attrs
import msgpack

from wotemu.errors import InputError, LoadError
from wotemu.records import TABLES, Record, fields

BUFFER_BYTES = 4 * 1024 * 1024
"""What waits for a full socket at most; droppable messages beyond it are dropped."""

PACKET_BYTES = 64 * 1024
"""The largest packet: well below the smallest usual socket buffer."""

MAX_MESSAGE = 1000
"""Characters of an exception's message, of a place or of a hint that travel."""

MAX_TRACEBACK = 8000
"""Characters of a traceback that travel: its end, which says what was raised."""

AT_ONCE = 64
"""Messages that the agent's end hands out before it lets others have the loop."""


_OWN_ERRORS: Final = {kind.__name__ for kind in (InputError, LoadError)}


@attrs.frozen
class Failure:
    """Why an app can't run or stopped: the exception's type and message, and where in the user's code.

    `where` is ``file:line`` or "". `stage` is ``prepare`` (before T0), ``start`` (its servers) or ``run``.
    """

    stage: str
    type: str
    message: str
    where: str = ""
    hint: str = ""
    traceback: str = ""

    @property
    def what(self) -> str:
        """The exception in words: one of ours needs no type to be understood."""
        if self.type in _OWN_ERRORS and self.message:
            return self.message
        return self._typed()

    def _typed(self) -> str:
        return ": ".join(filter(None, (self.type, self.message)))

    def __str__(self) -> str:
        return f"{self.where}: {self._typed()}" if self.where else self._typed()


@attrs.frozen
class Ready:
    """The app is loaded and prepared; it waits for `Go`."""


@attrs.frozen
class Go:
    """From the agent: T0 has come."""


@attrs.frozen
class Up:
    """The app runs: its coroutine has `returned`, or has gone on for a second without raising."""

    returned: bool


@attrs.frozen
class Failed:
    """The app is over; its process exits after this."""

    failure: Failure


@attrs.frozen
class AppError:
    """A task or callback of the app's raised and nobody took the exception; the app goes on."""

    failure: Failure


@attrs.frozen
class Waits:
    """The app has waited so long for `what`: why in vain, or "" once it is there."""

    what: str
    seconds: float
    missing: str


@attrs.frozen
class Rows:
    """Records of one table, in the order of `wotemu.records.fields`."""

    table: str
    rows: Sequence[Sequence[Any]]


@attrs.frozen
class Lost:
    """So many rows and errors were dropped since the last `Lost`, because the agent did not keep up."""

    count: int


Message = Ready | Go | Up | Failed | AppError | Waits | Rows | Lost

_CODES: Final[dict[str, type[Any]]] = {
    "ready": Ready, "go": Go, "up": Up, "failed": Failed, "error": AppError, "waits": Waits, "rows": Rows,
    "lost": Lost,
}  # fmt: skip
_NAMES: Final = {kind: name for name, kind in _CODES.items()}


def encode(message: Message) -> bytes:
    """One packet. Raises TypeError, ValueError or OverflowError for what msgpack can't hold."""
    values: Sequence[Any]
    if isinstance(message, Rows):  # what there is most of, so the shortest way
        values = (message.table, message.rows)
    elif isinstance(message, Failed | AppError):
        values = (_texts(message.failure),)
    else:
        values = attrs.astuple(message)
    packet: bytes = msgpack.packb((_NAMES[type(message)], *values), unicode_errors="replace")
    return packet


_ROW_OF: Final[dict[str, Callable[[Record], Sequence[Any]]]] = {
    table: operator.attrgetter(*fields(kind)) for table, kind in TABLES.items()
}
"""As `wotemu.records.to_row`, several times faster, by a record's table."""


def _texts(failure: Failure) -> list[str]:
    *texts, traceback = attrs.astuple(failure)
    return [*(text[:MAX_MESSAGE] for text in texts), traceback[-MAX_TRACEBACK:]]


def decode(packet: bytes) -> Message:
    """The inverse of `encode`."""
    name, *values = msgpack.unpackb(packet)
    kind = _CODES[name]
    if kind in (Failed, AppError):
        values = [Failure(*values[0])]
    message: Message = kind(*values)
    return message


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends: the agent's, and the app's, which the app's process inherits."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class AppChannel:
    """The app's end. Any thread may use it; nothing that it is given makes it block or raise."""

    def __init__(self, records: socket.socket, buffer_bytes: int = BUFFER_BYTES) -> None:
        records.setblocking(False)
        self._socket = records
        self._capacity = buffer_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<AppChannel waiting={len(self._waiting)} lost={self._lost} closed={self._closed}>"

    @property
    def lost(self) -> int:
        """Messages dropped and not yet reported."""
        return self._lost

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let this loop, whose thread calls, send what waits as soon as the socket takes it."""
        with self._lock:
            self._loop = loop

    def detach(self) -> None:
        """The loop is about to be closed; what waits from now on needs `flush`."""
        with self._lock:
            loop, self._loop, self._watching = self._loop, None, False
        if loop is not None:
            loop.remove_writer(self._socket)

    def record(self, record: Record) -> None:
        """Send one record, or count it as lost."""
        self._send(Rows(record.TABLE, (_ROW_OF[record.TABLE](record),)), droppable=True)

    def error(self, failure: Failure) -> None:
        """Report an exception that nobody took, or count it as lost."""
        self._send(AppError(failure), droppable=True)

    def send(self, message: Message) -> None:
        """Send what must not be lost while the agent lives."""
        self._send(message, droppable=False)

    def flush(self, timeout_s: float) -> bool:
        """Block until everything waiting is sent, at most so long: for a process about to exit."""
        self._socket.settimeout(timeout_s)
        try:
            with self._lock:
                self._report_lost()
                self._push()
                return not self._waiting
        finally:
            self._socket.setblocking(False)

    async def wait_go(self) -> bool:
        """Wait for `Go`; False where the agent hung up instead."""
        async for message in AgentChannel(self._socket):
            if isinstance(message, Go):
                return True
        return False

    async def wait_hang_up(self) -> None:
        """Wait until the agent is gone."""
        async for _ in AgentChannel(self._socket):
            pass

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
                self._socket.send(self._waiting[0])
            except (BlockingIOError, TimeoutError):
                self._watch()
                return
            except OSError:  # the agent is gone, and with it everybody who could be told
                self._closed = True
                self._waiting.clear()
                return
            self._waiting_bytes -= len(self._waiting.popleft())

    def _watch(self) -> None:
        if self._loop is not None and not self._watching:
            self._watching = True
            self._loop.call_soon_threadsafe(self._add_writer)

    def _add_writer(self) -> None:
        if self._loop is not None:
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        with self._lock:
            self._report_lost()
            self._push()
            if not self._waiting and self._loop is not None:
                self._loop.remove_writer(self._socket)
                self._watching = False


def _packet(message: Message) -> bytes:
    """The message's packet; empty where it can't be sent."""
    try:
        packet = encode(message)
    except (TypeError, ValueError, OverflowError):
        return b""
    return packet if len(packet) <= PACKET_BYTES else b""


class AgentChannel:
    """The agent's end: ``async for message in channel`` until the app's process is gone."""

    def __init__(self, records: socket.socket) -> None:
        records.setblocking(False)
        self._socket = records
        self._run = 0

    def go(self) -> None:
        """Tell the app that T0 has come. An app that is gone already does not hear it."""
        with contextlib.suppress(OSError):
            self._socket.send(encode(Go()))

    def close(self) -> None:
        """Hang up; the app, if it still lives, shuts down."""
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
        self._run += 1
        if self._run > AT_ONCE:
            self._run = 0
            await asyncio.sleep(0)
        while True:
            try:
                return self._socket.recv(PACKET_BYTES)
            except BlockingIOError:
                self._run = 0
                await _readable(self._socket)
            except ConnectionResetError:
                continue  # said once, before what was sent last: the app ended without reading what we sent


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _resolve, readable)
    try:
        await readable
    finally:
        loop.remove_reader(sock)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
