"""Receives metrics and interactions from any program of the node; see `wotemu.app.agent_socket`.

Programs that are measured send their interactions here, in the packets of `app_process.messages`, and any
program lines of StatsD.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

import attrs

from wotemu.app.agent_socket import ADDRESS
from wotemu.records import Emission, Interaction
from wotemu_runtime.app_process.messages import MAX_MESSAGE, Claim, Lost, Rows, Waits, decode

PACKET_BYTES = 64 * 1024
MAX_RUN = 64
"""Packets that are read from one connection before other tasks of the loop get a turn."""

_BACKLOG = 128
_KINDS: dict[str, tuple[type, ...]] = {
    "float": (float, int),
    "str": (str,),
    "float | None": (float, int, NoneType),
    "int | None": (int, NoneType),
}
_COLUMNS = {
    kind.TABLE: [_KINDS[str(field.type)] for field in attrs.fields(kind)] for kind in (Interaction, Emission)
}
"""The types of the columns of the tables that processes of an app may add to."""
_MAX_KEY = 200
_MSGPACK_ARRAY = 0x80
"""A text begins with less, an array of msgpack with this or more."""


@attrs.frozen
class Measured:
    """A number that a program reported; `t` is in seconds of CLOCK_MONOTONIC, None for now."""

    key: str
    value: float
    t: float | None


@attrs.frozen
class NotSent:
    """`count` records were lost before they arrived, or could not be parsed."""

    count: int


@attrs.frozen
class Unmeasured:
    """A program's interactions are not recorded, and why."""

    program: str
    why: str


@attrs.frozen
class Lines:
    """Lines of StatsD."""

    packet: bytes


Report = Claim | Lines | Measured | NotSent | Rows | Waits | Unmeasured


def parse(packet: bytes) -> Report:
    """Parse a packet; one that can't be parsed counts as one lost record."""
    if packet[0] >= _MSGPACK_ARRAY:
        return _message(packet)
    if not packet.startswith(b"{"):
        return Lines(packet)
    try:
        match json.loads(packet):
            case {"lost": int(count)} if count > 0:
                return NotSent(count)
            case {"unmeasured": str(why), "program": str(program)}:
                return Unmeasured(program[:MAX_MESSAGE], why[:MAX_MESSAGE])
            case {"metric": str(key), "value": int() | float() as value, **others} if key:
                t = others.get("t")
                if math.isfinite(value) and not isinstance(value, bool) and isinstance(t, float | int | None):
                    return Measured(key[:_MAX_KEY], float(value), None if t is None else float(t))
    except (ValueError, OverflowError, RecursionError):
        pass
    return NotSent(1)


def _message(packet: bytes) -> Claim | Rows | Waits | NotSent:
    """Parse a packet of `app_process.messages`."""
    try:
        message = decode(packet)
        if isinstance(message, Rows) and message.table in _COLUMNS:
            columns = _COLUMNS[message.table]
            return message if all(_fits(row, columns) for row in message.rows) else NotSent(len(message.rows))
        if isinstance(message, Lost):
            return NotSent(message.count)
        if isinstance(message, Waits) and _is_wait(message):
            return message
        if isinstance(message, Claim) and _is_claim(message):
            return message
    except Exception:  # any program may send anything, and msgpack raises many types of it
        return NotSent(1)
    return NotSent(1)


def _fits(row: Sequence[Any], columns: Sequence[tuple[type, ...]]) -> bool:
    """Whether a row fits its table: one that does not would make the whole table unreadable at the end."""
    return len(row) == len(columns) and all(map(isinstance, row, columns))


def _is_claim(message: Claim) -> bool:
    return isinstance(message.port, int) and 0 < message.port < 65536 and isinstance(message.t, float)


def _is_wait(message: Waits) -> bool:
    seconds_fit = isinstance(message.seconds, float | int)
    return isinstance(message.what, str) and seconds_fit and isinstance(message.missing, str)


def listen(address: str = ADDRESS) -> socket.socket:
    """A non-blocking socket that listens at an abstract address of this network namespace."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    listening.bind(address)
    listening.listen(_BACKLOG)
    return listening


class MetricSocket:
    """Serves a listening socket until closed. Make it inside of an event loop.

    Args:
        take: called with each report.
        listening: what `listen` returned.
    """

    def __init__(self, take: Callable[[Report], Any], listening: socket.socket) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._connections: set[socket.socket] = set()
        self._loop.add_reader(self._listening, self._accept)

    def __repr__(self) -> str:
        return f"<MetricSocket connections={len(self._connections)}>"

    def close(self) -> None:
        """Take what has arrived, and close all connections."""
        if self._listening.fileno() < 0:
            return
        for connection in tuple(self._connections):
            while self._receive(connection):
                pass
            self._forget(connection)
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = self._listening.accept()
            connection.setblocking(False)
            self._connections.add(connection)
            self._loop.add_reader(connection, self._readable, connection)

    def _readable(self, connection: socket.socket) -> None:
        for _ in range(MAX_RUN):
            if not self._receive(connection):
                return

    def _receive(self, connection: socket.socket) -> bool:
        """Take one packet; false where none has arrived, or the connection is closed."""
        try:
            packet = connection.recv(PACKET_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            packet = b""
        if not packet:
            self._forget(connection)
            return False
        self._take(parse(packet))
        return True

    def _forget(self, connection: socket.socket) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._loop.remove_reader(connection)
            connection.close()
