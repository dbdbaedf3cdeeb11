"""Takes what programs of the node measure, from the agent's socket: see `wotemu.app.agent_socket`.

Processes that an app spawned send their interactions there, as an app's own process does on its channel.
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

from wotemu.records import Interaction
from wotemu_runtime.app_process.messages import Lost, Rows, decode

ADDRESS = "\0wotemu-agent"
"""Abstract: it belongs to the node's network namespace."""
PACKET_BYTES = 64 * 1024
AT_ONCE = 64
"""Packets that are read before others have the loop."""

_BACKLOG = 128
_KINDS: dict[str, tuple[type, ...]] = {
    "float": (float, int),
    "str": (str,),
    "float | None": (float, int, NoneType),
    "int | None": (int, NoneType),
}
_COLUMNS = [_KINDS[str(field.type)] for field in attrs.fields(Interaction)]
_MAX_KEY = 200


@attrs.frozen
class Measured:
    """A number that a program reported; `t` is on CLOCK_MONOTONIC, None for now."""

    key: str
    value: float
    t: float | None


@attrs.frozen
class NotSent:
    """So many records were lost before they came here, or could not be read."""

    count: int


Report = Measured | NotSent | Rows


def parse(packet: bytes) -> Report:
    """What a packet says; one that can't be read is one record that is lost."""
    if not packet.startswith(b"{"):
        return _interactions(packet)
    try:
        match json.loads(packet):
            case {"lost": int(count)} if count > 0:
                return NotSent(count)
            case {"metric": str(key), "value": int() | float() as value, **others} if key:
                t = others.get("t")
                if math.isfinite(value) and not isinstance(value, bool) and isinstance(t, float | int | None):
                    return Measured(key[:_MAX_KEY], float(value), None if t is None else float(t))
    except (ValueError, OverflowError, RecursionError):
        pass
    return NotSent(1)


def _interactions(packet: bytes) -> Rows | NotSent:
    """The rows of a packet as `channel` encodes it."""
    try:
        message = decode(packet)
        if isinstance(message, Rows) and message.table == Interaction.TABLE:
            return message if all(map(_is_interaction, message.rows)) else NotSent(len(message.rows))
        if isinstance(message, Lost):
            return NotSent(message.count)
    except Exception:  # any program of the node may send anything, and msgpack fail of it in many ways
        return NotSent(1)
    return NotSent(1)


def _is_interaction(row: Sequence[Any]) -> bool:
    """Whether a row is one of the table: what is none would spoil the whole table at the end of the run."""
    return len(row) == len(_COLUMNS) and all(map(isinstance, row, _COLUMNS))


class MetricSocket:
    """Listens for programs of this node, until closed. Make it inside of an event loop."""

    def __init__(self, take: Callable[[Report], Any], address: str = ADDRESS) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._listening.bind(address)
        self._listening.listen(_BACKLOG)
        self._connections: set[socket.socket] = set()
        self._loop.add_reader(self._listening, self._accept)

    def __repr__(self) -> str:
        return f"<MetricSocket connections={len(self._connections)}>"

    def close(self) -> None:
        """Take what has come, and hang up."""
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
        for _ in range(AT_ONCE):
            if not self._receive(connection):
                return

    def _receive(self, connection: socket.socket) -> bool:
        """Take one packet; False where none is there now, or ever again."""
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
