"""Receives StatsD's datagrams over UDP on a node's loopback interface, and over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MAX_PER_S = 10_000
"""Datagrams that are taken from one node in a second: a flood must not take the processor from its others."""
MAX_RUN = 64
"""Datagrams that are read before other tasks of the loop get a turn."""
BUFFER_BYTES = 1 << 20
_DATAGRAM_BYTES = 64 * 1024

_SO_MEMINFO = 55
"""Socket option (asm-generic/socket.h): nine counters of 32 bits."""
_SK_MEMINFO_DROPS = 8
"""The index of the datagrams that the kernel dropped (linux/sock_diag.h)."""


def open_udp(port: int) -> socket.socket:
    """A non-blocking UDP socket on this network namespace's loopback. Raises OSError where it is taken."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        opened.bind(("127.0.0.1", port))
    except OSError:
        opened.close()
        raise
    return opened


def open_unix(path: Path) -> socket.socket:
    """A non-blocking Unix datagram socket that every user may send to. Raises OSError."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        path.unlink(missing_ok=True)  # of an agent that died
        opened.bind(str(path))
        os.chmod(path, 0o666)  # noqa: PTH101, S103  # any program of the node may report
    except OSError:
        opened.close()
        raise
    return opened


def dropped(opened: socket.socket) -> int:
    """How many datagrams the kernel has dropped for want of room; always 0 for a Unix socket, which waits."""
    with contextlib.suppress(OSError):
        counters = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        return int(struct.unpack("=9I", counters)[_SK_MEMINFO_DROPS])
    return 0


class StatsdSockets:
    """Reads sockets until closed. Make it inside of an event loop, and call `tick` each second.

    Args:
        take: called with each datagram.
        sockets: what `open_udp` and `open_unix` returned.
    """

    def __init__(self, take: Callable[[bytes], Any], sockets: Sequence[socket.socket]) -> None:
        self._take = take
        self._sockets = tuple(sockets)
        self._loop = asyncio.get_running_loop()
        self._left = MAX_PER_S
        self._is_reading = False
        self._dropped = 0
        self._read_on()

    def __repr__(self) -> str:
        return f"<StatsdSockets reading={self._is_reading}>"

    def tick(self) -> int:
        """Begin another second; how many datagrams the kernel dropped since the last call."""
        self._left = MAX_PER_S
        self._read_on()
        total = sum(map(dropped, self._sockets))
        new, self._dropped = total - self._dropped, total
        return new

    def close(self) -> int:
        """Take what has arrived, and close; how many datagrams were dropped since the last `tick`."""
        self._left = MAX_PER_S
        for each in self._sockets:
            while self._receive(each):
                pass
        lost = self.tick()
        self._pause()
        for each in self._sockets:
            each.close()
        return lost

    def _read_on(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            for each in self._sockets:
                self._loop.add_reader(each, self._readable, each)

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            for each in self._sockets:
                self._loop.remove_reader(each)

    def _readable(self, opened: socket.socket) -> None:
        for _ in range(MAX_RUN):
            if not self._receive(opened):
                return

    def _receive(self, opened: socket.socket) -> bool:
        """Take one datagram; false where none has arrived, or no more are taken in this second."""
        if self._left <= 0:
            self._pause()
            return False
        try:
            packet = opened.recv(_DATAGRAM_BYTES)
        except OSError:  # BlockingIOError included
            return False
        self._left -= 1
        self._take(packet)
        return True
