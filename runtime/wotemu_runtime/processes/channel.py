"""Messages between processes of one machine: msgpack over a Unix socket, with descriptors."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgpack

if TYPE_CHECKING:
    import asyncio

MAX_MESSAGE = 64 * 1024 * 1024
_HEADER = 4
_DISCARD_BYTES = 1 << 16
_MAX_FDS = 64
"""The kernel passes up to SCM_MAX_FD (253) in one message."""


class Channel:
    """One end of a blocking stream of messages, each a dict, with file descriptors if there are any."""

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
        """The socket's descriptor, so that a selector takes the channel itself."""
        return self.sock.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message.

        Args:
            message: What msgpack can encode.
            fds: Descriptors that the receiver gets copies of.

        Raises:
            OSError: The other end is closed.
            ValueError: The message is larger than `MAX_MESSAGE`.
        """
        frame = _frame(message)
        # The descriptors go with the first byte; the rest of a large frame may need more calls.
        sent = socket.send_fds(self.sock, [frame], list(fds)) if fds else self.sock.send(frame)
        if sent < len(frame):
            self.sock.sendall(frame[sent:])

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """Wait for the next message and its descriptors; None at the end of the stream."""
        fds: list[int] = []
        head = self._read(_HEADER, fds)
        if head is None:
            return None
        body = self._read(int.from_bytes(head, "big"), fds)
        return None if body is None else (msgpack.unpackb(body), fds)

    def _read(self, size: int, fds: list[int]) -> bytes | None:
        _check_size(size)
        data = bytearray()
        while len(data) < size:
            space = socket.CMSG_LEN(_MAX_FDS * array.array("i").itemsize)
            try:
                chunk, ancillary, _, _ = self.sock.recvmsg(size - len(data), space, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:  # the other end was closed before it had read everything
                return None
            fds.extend(_descriptors(ancillary))
            if not chunk:
                return None
            data += chunk
        return bytes(data)

    def discard(self) -> None:
        """Drop what has come so far: messages for a process that was killed, the first perhaps half read."""
        space = socket.CMSG_LEN(_MAX_FDS * array.array("i").itemsize)
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while True:
                data, ancillary, _, _ = self.sock.recvmsg(_DISCARD_BYTES, space, flags)
                for fd in _descriptors(ancillary):
                    os.close(fd)
                if not data:
                    return

    def close(self) -> None:
        """Close this end."""
        self.sock.close()

    def end(self) -> None:
        """End the stream for its other end and close this one, whoever else has this end open."""
        with contextlib.suppress(OSError):  # the other end has closed it
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class AsyncChannel:
    """The end of a `Channel` that an event loop serves; it passes no descriptors but those of `send_fd`.

    An event loop makes its sockets non-blocking, so a blocking `Channel` can't send what exceeds their
    buffer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, sock: socket.socket) -> Self:
        """The end of a stream socket whose other end has a `Channel`."""
        import asyncio  # launchers do without

        return cls(*await asyncio.open_unix_connection(sock=sock))

    @classmethod
    async def pair(cls) -> tuple[Self, Channel]:
        """Two connected ends; the second, blocking one is for another process."""
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return await cls.of(left), Channel(right)

    def __repr__(self) -> str:
        return f"<AsyncChannel {'closing' if self._writer.is_closing() else 'open'}>"

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message; `OSError` if the other end is closed."""
        self._writer.write(_frame(message))
        await self._writer.drain()

    async def send_fd(self, message: dict[str, Any], fd: int) -> None:
        """Send one message with a descriptor; `OSError` if the other end is closed."""
        import asyncio

        # The transport has no call for that. What it holds goes first.
        self._writer.transport.set_write_buffer_limits(0)
        try:
            await self._writer.drain()
        finally:
            self._writer.transport.set_write_buffer_limits()
        own = socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno()))
        with own:
            frame = _frame(message)
            while True:
                try:
                    sent = socket.send_fds(own, [frame], [fd])
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.01)  # the other end is about to read
        self._writer.write(frame[sent:])

    async def receive(self) -> dict[str, Any] | None:
        """Wait for the next message; None at the end of the stream, also amid a message."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_HEADER), "big")
            _check_size(size)
            body = await self._reader.readexactly(size)
        except (EOFError, ConnectionError):
            return None
        message: dict[str, Any] = msgpack.unpackb(body)
        return message

    def close(self) -> None:
        """Close this end at once and drop what is not sent yet."""
        self._writer.transport.abort()


def _frame(message: dict[str, Any]) -> bytes:
    body: bytes = msgpack.packb(message)
    _check_size(len(body))
    return len(body).to_bytes(_HEADER, "big") + body


def _check_size(size: int) -> None:
    if size > MAX_MESSAGE:
        raise ValueError(f"a message of {size} bytes is over the limit of {MAX_MESSAGE}")


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
