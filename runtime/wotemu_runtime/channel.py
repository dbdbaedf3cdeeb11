"""Messages between processes of one machine: msgpack over a Unix socket, with descriptors."""

from __future__ import annotations

import array
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgpack

MAX_MESSAGE = 64 * 1024 * 1024
_HEADER = 4
_MAX_FDS = 64


class Channel:
    """One end of a blocking stream of messages. A message is a dict; descriptors ride along with it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Two connected ends."""
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(left), cls(right)

    def __repr__(self) -> str:
        return f"Channel(fd={self.sock.fileno()})"

    def fileno(self) -> int:
        """For select and its kin."""
        return self.sock.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message whole; `OSError` if the other end is gone."""
        body = msgpack.packb(message)
        frame = len(body).to_bytes(_HEADER, "big") + body
        sent = socket.send_fds(self.sock, [frame], list(fds)) if fds else self.sock.send(frame)
        if sent < len(frame):
            self.sock.sendall(frame[sent:])

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and its descriptors; None at the end of the stream."""
        fds: list[int] = []
        head = self._read(_HEADER, fds)
        if head is None:
            return None
        body = self._read(int.from_bytes(head, "big"), fds)
        return None if body is None else (msgpack.unpackb(body), fds)

    def _read(self, size: int, fds: list[int]) -> bytes | None:
        if size > MAX_MESSAGE:
            raise ValueError(f"a message of {size} bytes is over the limit of {MAX_MESSAGE}")
        data = bytearray()
        while len(data) < size:
            space = socket.CMSG_LEN(_MAX_FDS * array.array("i").itemsize)
            chunk, ancillary, _, _ = self.sock.recvmsg(size - len(data), space, socket.MSG_CMSG_CLOEXEC)
            fds.extend(_descriptors(ancillary))
            if not chunk:
                return None
            data += chunk
        return bytes(data)

    def close(self) -> None:
        """Close this end."""
        self.sock.close()


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
