"""The messages between an app and its agent: msgpack arrays, one in each packet of a Unix socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs
import msgpack

from wotemu.errors import InputError, LoadError
from wotemu.records import Record, to_row

PACKET_BYTES = 64 * 1024
"""The largest packet: a third of Linux's default socket buffer (net.core.wmem_default, 212,992 bytes)."""

MAX_MESSAGE = 1000
"""Characters of an exception's message, location or hint that are sent; the rest is cut off."""

MAX_TRACEBACK = 8000
"""Characters of a traceback that are sent: the last ones, which say what was raised."""


_OWN_ERRORS: Final = {kind.__name__ for kind in (InputError, LoadError)}


@attrs.frozen
class Failure:
    """Why an app can't run or has ended: an exception, and where in the user's code it was raised.

    `stage` is ``prepare`` (before T0), ``start`` (of its servers) or ``run``. `type` is the exception's class
    name, "" where no exception was raised. `where` is ``file:line``, or "" outside of the user's code.
    """

    stage: str
    type: str
    message: str
    where: str = ""
    hint: str = ""
    traceback: str = ""

    @property
    def what(self) -> str:
        """The exception in words; WoTemu's own errors are shown without their type."""
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
    """The app runs: its coroutine `returned`, or ran for a second without raising."""

    returned: bool


@attrs.frozen
class Failed:
    """The app has ended with this failure; its process exits next."""

    failure: Failure


@attrs.frozen
class AppError:
    """An exception in a task or callback of the app was never handled; the app goes on."""

    failure: Failure


@attrs.frozen
class Waits:
    """The app has waited `seconds` for `what`; `missing` is why it still waits, "" once the wait is over."""

    what: str
    seconds: float
    missing: str


@attrs.frozen
class Rows:
    """Records of one table, each as its values in the order of `wotemu.records.fields`."""

    table: str
    rows: Sequence[Sequence[Any]]


ClaimKind = Literal["tcp_server", "udp_server", "connected", "opened", "closed"]


@attrs.frozen
class Claim:
    """A socket whose requests this program measures itself, so that they are not counted from packets.

    `kind` is ``tcp_server`` or ``udp_server``, a port that it serves; ``connected``, a TCP connection that
    carries one request; or ``opened`` and ``closed``, of a UDP socket of a client. `port` is the local one,
    and `t` now, on CLOCK_MONOTONIC. It is sent before the first byte that it is about.
    """

    kind: ClaimKind
    port: int
    t: float


@attrs.frozen
class Lost:
    """`count` records and errors were dropped since the last `Lost`: the agent did not read fast enough."""

    count: int


Message = Ready | Go | Up | Failed | AppError | Waits | Rows | Claim | Lost

_CODES: Final[dict[str, type[Any]]] = {
    "ready": Ready, "go": Go, "up": Up, "failed": Failed, "error": AppError, "waits": Waits, "rows": Rows,
    "claim": Claim, "lost": Lost,
}  # fmt: skip
_NAMES: Final = {kind: name for name, kind in _CODES.items()}


def encode(message: Message) -> bytes:
    """The packet of a message.

    Raises:
        TypeError, ValueError, OverflowError: a value can't be encoded as msgpack.
    """
    values: Sequence[Any]
    if isinstance(message, Rows):  # most messages are rows, and `astuple` costs several times as much
        values = (message.table, message.rows)
    elif isinstance(message, Failed | AppError):
        values = (_texts(message.failure),)
    elif isinstance(message, Claim):  # one for each request of HTTP
        values = (message.kind, message.port, message.t)
    else:
        values = attrs.astuple(message)
    packet: bytes = msgpack.packb((_NAMES[type(message)], *values), unicode_errors="replace")
    return packet


def rows_of(record: Record) -> Rows:
    """The message that holds one record."""
    return Rows(record.TABLE, (to_row(record),))


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
