"""Starts the program that leads out, waits until it does, and notices its end."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from wotemu_runtime.planning.uplink_programs import TAP
from wotemu_runtime.processes.channel import Channel

OPEN_DEADLINE_S = 20.0
_RTMGRP_IPV4_ROUTE = 0x40  # linux/rtnetlink.h
_MAX_OUTPUT = 4096
_EVERYWHERE = "00000000"
"""The destination of a default route in /proc/net/route."""


class WayOut:
    """The program of one uplink, whose network namespace this process is in.

    Attributes:
        ended: Set once the program has ended.
    """

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._output = b""
        self._counters = (0, 0, 0, 0)
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __repr__(self) -> str:
        return f"<WayOut {'ended' if self.ended.is_set() else 'open'}>"

    @property
    def output(self) -> str:
        """What the program has printed, on one line."""
        return " ".join(self._output.decode(errors="replace").split())

    async def open(self, outside: Channel, argv: list[str]) -> bool:
        """Start the program, and wait until there is a default route through it.

        Args:
            outside: The process that becomes the program; see `engines.local.outside`.
            argv: The program and its arguments.

        Returns:
            Whether there is; if not, `output` may say why.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(self._read, self._take_output)
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        ) as routes:
            routes.bind((0, _RTMGRP_IPV4_ROUTE))  # before the first look: no route comes unnoticed
            outside.send({"argv": argv}, [namespace, self._write])
            outside.close()
            for fd in (namespace, self._write):
                os.close(fd)
            ended = asyncio.create_task(self.ended.wait())
            try:
                async with asyncio.timeout(OPEN_DEADLINE_S):
                    while not _leads_out() and not self.ended.is_set():
                        changed = asyncio.create_task(loop.sock_recv(routes, 1 << 16))
                        await asyncio.wait([changed, ended], return_when=asyncio.FIRST_COMPLETED)
                        changed.cancel()
            except TimeoutError:
                return False
            finally:
                ended.cancel()
        return _leads_out()

    def counters(self) -> tuple[int, int, int, int]:
        """Packets and bytes that came in, then those that went out; at the end the last known."""
        for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name.strip() == TAP:
                bytes_in, packets_in, *_ = figures = [int(each) for each in rest.split()]
                self._counters = packets_in, bytes_in, figures[9], figures[8]
        return self._counters

    def close(self) -> None:
        """Take no more output."""
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)

    def _take_output(self) -> None:
        data = os.read(self._read, _MAX_OUTPUT)
        self._output = (self._output + data)[-_MAX_OUTPUT:]
        if not data:
            asyncio.get_running_loop().remove_reader(self._read)
            self.ended.set()


def _leads_out() -> bool:
    """Whether the default route of this network namespace is through the program's TAP."""
    rows = (line.split() for line in Path("/proc/thread-self/net/route").read_text().splitlines())
    return any(row[:2] == [TAP, _EVERYWHERE] for row in rows)
