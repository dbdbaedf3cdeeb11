"""Netlink as a gateway needs it: requests as values, many in one call, each answered before the call returns.

pyroute2's socket runs an event loop of its own, so it can't be used inside of one, and pyroute2 has no
messages for most of what NetEm and the flower classifier take. What it has is used where time doesn't
matter (see `routes`).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import attrs

Attribute = tuple[int, "bytes | Sequence[Attribute]"]
"""A type and a payload: bytes, or attributes nested in it."""

Attributes = Sequence[Attribute]

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF

_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
"""What encloses the requests of a transaction of netfilter's."""

_REQUEST, _ACK, _DUMP = 0x001, 0x004, 0x300
_DUMP_INTERRUPTED = 0x010
_CAPPED, _ACK_TLVS = 0x100, 0x200
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_EXT_ACK_MESSAGE = 1

REPLACE, EXCL, CREATE = 0x100, 0x200, 0x400
"""NLM_F_*: change what is there; fail if it is there; make it if it isn't."""

_BATCH_BYTES = 64 * 1024
_BATCH_REQUESTS = 64
"""So much fits into a socket's default send buffer, and its answers into the receive buffer."""

_RECEIVE_BYTES = 1 << 18
_MAX_TRIES = 10


def u8(value: int) -> bytes:
    """One byte."""
    return value.to_bytes(1, "little")


def u32(value: int) -> bytes:
    """32 bits in the host's order."""
    return struct.pack("=I", value)


def u64(value: int) -> bytes:
    """64 bits in the host's order."""
    return struct.pack("=Q", value)


def s64(value: int) -> bytes:
    """64 bits in the host's order, signed."""
    return struct.pack("=q", value)


def text(value: str) -> bytes:
    """A string as the kernel wants it: ended by a zero."""
    return value.encode() + b"\0"


def encode(attributes: Attributes) -> bytes:
    """Attributes as bytes, each at a multiple of four."""
    parts = []
    for kind, payload in attributes:
        if not isinstance(payload, bytes):
            kind |= _NESTED
            payload = encode(payload)
        parts.append(_ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind))
        parts.append(payload + bytes(-len(payload) % 4))
    return b"".join(parts)


def decode(data: bytes) -> dict[int, bytes]:
    """Attributes' payloads by type; of several of one type, the last. What is cut short is left out."""
    found = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size or at + size > len(data):
            break
        found[kind & _TYPE_MASK] = data[at + _ATTRIBUTE.size : at + size]
        at += size + (-size % 4)
    return found


@attrs.frozen
class Request:
    """One request: `header` is the fixed part that begins messages of its `kind`; `what` is for errors."""

    kind: int
    header: bytes
    attributes: Attributes = ()
    flags: int = 0
    what: str = ""

    def encode(self, flags: int, serial: int) -> bytes:
        """The message."""
        body = self.header + encode(self.attributes)
        size = _HEADER.size + len(body)
        return (
            _HEADER.pack(size, self.kind, _REQUEST | self.flags | flags, serial, 0) + body + bytes(-size % 4)
        )


class Netlink(AbstractContextManager["Netlink"]):
    """A netlink socket of the network namespace in which it was made, to routing unless told otherwise."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._serial = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __repr__(self) -> str:
        return f"<Netlink {self._serial} requests>"

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def send(self, *requests: Request) -> None:
        """Have the kernel do them in order; each is tried, and `OSError` tells the first that failed."""
        failures: list[OSError] = []
        for batch in _batches(requests):
            first = self._serial + 1
            self._serial += len(batch)
            data = b"".join(request.encode(_ACK, first + i) for i, request in enumerate(batch))
            self._socket.send(data)
            failures += self._answers(batch, first)
        if failures:
            raise failures[0]

    def transact(self, subsystem: int, *requests: Request) -> None:
        """Have a subsystem of netfilter do all of them or none; `OSError` tells the first that it refused."""
        frame = struct.pack("!BBH", socket.AF_UNSPEC, 0, subsystem)
        first = self._serial + 2
        self._serial += 1 + len(requests)
        begin = Request(_BATCH_BEGIN, frame, what="a transaction")
        parts = [
            begin.encode(0, first - 1),
            *(request.encode(_ACK, first + i) for i, request in enumerate(requests)),
            Request(_BATCH_END, frame).encode(0, self._serial),
        ]
        self._socket.send(b"".join(parts))
        failures = self._answers([begin, *requests], first - 1, answered=len(requests))
        if failures:
            raise failures[0]

    def _answers(self, batch: Sequence[Request], first: int, *, answered: int | None = None) -> list[OSError]:
        """What failed, once the last `answered` have all been answered, or one before them has failed."""
        failures = []
        missing = len(batch) if answered is None else answered
        while missing:
            for kind, flags, serial, body in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if kind != _ERROR or serial < first:
                    continue
                missing -= 1
                error = _error(body, flags, batch[serial - first].what)
                if error is not None:
                    failures.append(error)
                    if answered is not None and serial < first + len(batch) - answered:
                        return failures
        return failures

    def dump(self, request: Request) -> list[bytes]:
        """All that the kernel has of a kind: each message's body, fixed part first."""
        for _ in range(_MAX_TRIES):
            bodies, whole = self._dump(request)
            if whole:
                return bodies
        raise OSError(errno.EINTR, f"{request.what}: it changes faster than it can be read")

    def _dump(self, request: Request) -> tuple[list[bytes], bool]:
        self._serial += 1
        self._socket.send(request.encode(_DUMP, self._serial))
        bodies: list[bytes] = []
        whole = True
        while True:
            for kind, flags, serial, body in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if serial != self._serial:
                    continue
                whole = whole and not flags & _DUMP_INTERRUPTED
                if kind == _DONE:
                    return bodies, whole
                if kind == _ERROR:
                    raise _error(body, flags, request.what) or OSError(errno.EPROTO, request.what)
                bodies.append(body)


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    batch: list[Request] = []
    size = 0
    for request in requests:
        request_bytes = len(request.encode(0, 0))
        if batch and (size + request_bytes > _BATCH_BYTES or len(batch) == _BATCH_REQUESTS):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += request_bytes
    if batch:
        yield batch


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, flags, serial, _ = _HEADER.unpack_from(data, at)
        yield kind, flags, serial, data[at + _HEADER.size : at + size]
        at += size + (-size % 4)


def _error(body: bytes, flags: int, what: str) -> OSError | None:
    """What an answer says; None if all is well. The kernel's own words are added where it has some."""
    number = -struct.unpack_from("=i", body)[0]
    if not number:
        return None
    message = os.strerror(number)
    if flags & _ACK_TLVS:
        (echoed,) = struct.unpack_from("=I", body, 4)
        start = 4 + (_HEADER.size if flags & _CAPPED else echoed)
        said = decode(body[start:]).get(_EXT_ACK_MESSAGE, b"").rstrip(b"\0").decode(errors="replace")
        message = said or message
    return OSError(number, f"{what}: {message}" if what else message)


__all__ = ["CREATE", "EXCL", "REPLACE", "Attribute", "Attributes", "Netlink", "Request"]
