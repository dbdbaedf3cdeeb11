"""A netlink socket: requests are values, many go in one call, each is answered before the call returns.

A change of conditions is a batch of requests in one system call, and has taken hold when the call returns:
the instant that is reported is the true one. pyroute2 has no messages for most of what NetEm and the flower
classifier take (64-bit rates and delays, seeds, distribution tables, chains), its synchronous socket runs an
event loop of its own, and importing it takes every process of an emulation a quarter of a second and 9 MB.
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
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
"""Messages that enclose the requests of a netfilter transaction."""

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x001, 0x004, 0x300
NLM_F_DUMP_INTR = 0x010
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSGERR_ATTR_MSG = 1

REPLACE, EXCL, CREATE = 0x100, 0x200, 0x400
"""NLM_F_*: change what is there; fail if it is there; make it if it isn't."""

_BATCH_BYTES = 64 * 1024
_BATCH_REQUESTS = 64
"""So much fits into a socket's default send buffer, and the answers into its receive buffer. More would block
the sender, which is who reads the answers."""

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
            kind |= NLA_F_NESTED
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
        found[kind & NLA_TYPE_MASK] = data[at + _ATTRIBUTE.size : at + size]
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
            _HEADER.pack(size, self.kind, NLM_F_REQUEST | self.flags | flags, serial, 0)
            + body
            + bytes(-size % 4)
        )


class Netlink(AbstractContextManager["Netlink"]):
    """A netlink socket of the network namespace in which it was made; of rtnetlink by default."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._serial = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.bind((0, 0))
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)

    def __repr__(self) -> str:
        return f"<Netlink {self._serial} requests>"

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def send(self, *requests: Request) -> None:
        """Have the kernel carry out requests in order.

        Raises:
            OSError: The first failure; the requests after it were tried all the same.
        """
        failures: list[OSError] = []
        for batch in _batches(requests):
            first = self._serial + 1
            self._serial += len(batch)
            data = b"".join(request.encode(NLM_F_ACK, first + i) for i, request in enumerate(batch))
            self._socket.send(data)
            failures += self._answers(batch, first)
        if failures:
            raise failures[0]

    def transact(self, subsystem: int, *requests: Request) -> None:
        """Have a subsystem of netfilter carry out all requests or none.

        Raises:
            OSError: The first request that it refused.
        """
        frame = struct.pack("!BBH", socket.AF_UNSPEC, 0, subsystem)
        first = self._serial + 2
        self._serial += 1 + len(requests)
        begin = Request(NFNL_MSG_BATCH_BEGIN, frame, what="a transaction")
        parts = [
            begin.encode(0, first - 1),
            *(request.encode(NLM_F_ACK, first + i) for i, request in enumerate(requests)),
            Request(NFNL_MSG_BATCH_END, frame).encode(0, self._serial),
        ]
        self._socket.send(b"".join(parts))
        failures = self._answers([begin, *requests], first - 1, answered=len(requests))
        if failures:
            raise failures[0]

    def _answers(self, batch: Sequence[Request], first: int, *, answered: int | None = None) -> list[OSError]:
        """The failures, once the last `answered` requests are answered or one before them has failed."""
        failures = []
        missing = len(batch) if answered is None else answered
        while missing:
            for kind, flags, serial, body in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if kind != NLMSG_ERROR or serial < first:  # an answer to a request that was given up
                    continue
                missing -= 1
                error = _error(body, flags, batch[serial - first].what)
                if error is not None:
                    failures.append(error)
                    if answered is not None and serial < first + len(batch) - answered:
                        return failures
        return failures

    def dump(self, request: Request) -> list[bytes]:
        """All objects that the kernel has of a kind: each message's body, fixed part first."""
        for _ in range(_MAX_TRIES):  # what changes during a dump may be missing from it
            bodies, whole = self._dump(request)
            if whole:
                return bodies
        raise OSError(errno.EINTR, f"{request.what}: changed during each of {_MAX_TRIES} dumps")

    def _dump(self, request: Request) -> tuple[list[bytes], bool]:
        self._serial += 1
        self._socket.send(request.encode(NLM_F_DUMP, self._serial))
        bodies: list[bytes] = []
        whole = True
        while True:
            for kind, flags, serial, body in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if serial != self._serial:
                    continue
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_DONE:
                    return bodies, whole
                if kind == NLMSG_ERROR:
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
    """The error in an answer, in the kernel's own words where it has some; None if there is none."""
    number = -struct.unpack_from("=i", body)[0]
    if not number:
        return None
    message = os.strerror(number)
    if flags & NLM_F_ACK_TLVS:
        (echoed,) = struct.unpack_from("=I", body, 4)
        start = 4 + (_HEADER.size if flags & NLM_F_CAPPED else echoed)
        said = decode(body[start:]).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
        message = said or message
    return OSError(number, f"{what}: {message}" if what else message)


__all__ = ["CREATE", "EXCL", "REPLACE", "Attribute", "Attributes", "Netlink", "Request"]
