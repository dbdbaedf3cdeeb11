"""A UDP socket whose datagrams carry the kernel's time of arrival, which a busy process does not delay."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable

from wotemu.errors import HostError

SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("@qq")

Receive = Callable[[bytes, tuple[str, int], int], None]
"""Is called with a datagram, where it came from, and when (nanoseconds of CLOCK_REALTIME)."""


class StampedSocket:
    """Use it as a context manager.

    Args:
        family: AF_INET or AF_INET6.
        receive: Gets each datagram.
        bind: The address to listen at, for an echo.
        connect: The only peer, for a probing client.
    """

    def __init__(
        self,
        family: int,
        receive: Receive,
        *,
        bind: tuple[str, int] | None = None,
        connect: tuple[str, int] | None = None,
    ) -> None:
        self._receive = receive
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            if bind is not None:
                self.socket.bind(bind)
            if connect is not None:
                self.socket.connect(connect)
        except OSError as error:
            self.socket.close()
            where = bind or connect
            raise HostError(f"{error.strerror}", where=f"{where[0]}:{where[1]}" if where else None) from error

    def __enter__(self) -> StampedSocket:
        asyncio.get_running_loop().add_reader(self.socket, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()

    def send(self, datagram: bytes, to: tuple[str, int] | None = None) -> None:
        """Send, or drop: a full buffer and an unreachable peer are losses like any other."""
        try:
            if to is None:
                self.socket.send(datagram)
            else:
                self.socket.sendto(datagram, to)
        except OSError:
            return

    def _read(self) -> None:
        while True:
            try:
                datagram, control, _, peer = self.socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier datagram; the next call reads on
                return
            if (stamp_ns := arrival_ns(control)) is not None:
                # A connected socket's recvmsg may leave the peer out.
                self._receive(datagram, peer or ("", 0), stamp_ns)


def arrival_ns(control: Iterable[tuple[int, int, bytes]]) -> int | None:
    """When the kernel received a packet (CLOCK_REALTIME), from the ancillary data that came with it."""
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack(data[: _STAMP.size])
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None
