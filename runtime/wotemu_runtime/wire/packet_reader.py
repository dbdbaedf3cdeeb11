"""Reads the packets of a node that may begin a request or an answer, in bursts."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Collection

from wotemu_gateways.packets.packet_socket import (
    PACKET_OUTGOING,
    attach_filter,
    bind_to_all,
    packet_socket,
    take_drops,
)
from wotemu_runtime.bus import WallClock
from wotemu_runtime.wire.packet_filter import SNAPLEN, packet_filter

COAP_PORT = 5683
PAUSE_S = 0.1
"""After a burst: a node with much traffic wakes its agent so often, not for each packet."""
BUSY = 64
"""A burst of so many packets is followed by the next at once, or the kernel's buffer would be full."""
MAX_BURST = 512
"""Packets that are read before others of the loop get a turn."""
BUFFER_BYTES = 1 << 20
"""The requested size; the kernel gives at most net.core.rmem_max."""
SO_TIMESTAMPNS = 35
_PACKET_HOST = 0
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)

Take = Callable[[bytes, float, bool], None]
"""Takes a frame, its time in seconds of CLOCK_MONOTONIC, and whether the node sent it."""


def open_packets(coap_port: int) -> socket.socket:
    """A packet socket of this thread's network namespace; servers of CoAP are at 5683 and at `coap_port`.

    Raises:
        OSError: The kernel refuses it.
    """
    opened = packet_socket(packet_filter({COAP_PORT, coap_port}), flags=socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        bind_to_all(opened)
    except OSError:
        opened.close()
        raise
    return opened


class PacketReader:
    """Hands out what a socket of `open_packets` has. Make it inside of an event loop.

    Args:
        opened: The socket, which this closes.
        take: Called with each packet.

    Attributes:
        missed: Packets that the kernel had no room for.
    """

    def __init__(self, opened: socket.socket, take: Take) -> None:
        self._socket = opened
        self._take = take
        self._wall = WallClock()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.missed = 0
        self._loop.add_reader(opened, self._burst)

    def __repr__(self) -> str:
        return f"<PacketReader fd={self._socket.fileno()} missed={self.missed}>"

    def narrow(self, coap_port: int, measured_tcp: Collection[int], measured_udp: Collection[int]) -> None:
        """Leave out the requests of the node's servers at these ports: they are measured otherwise."""
        attach_filter(self._socket, packet_filter({COAP_PORT, coap_port}, measured_tcp, measured_udp))

    def close(self) -> None:
        """Hand out the rest and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        while self._read() == MAX_BURST:
            pass
        # The kernel waits for all processors before a packet socket is gone, about 20 ms: a thread each, so
        # that those of all nodes of this process wait at the same time.
        threading.Thread(target=self._socket.close, name="close packets", daemon=True).start()

    def _burst(self) -> None:
        """Read what is there, and nothing more for a while."""
        if self._read() < BUSY:
            self._loop.remove_reader(self._socket)
            self._timer = self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self._socket, self._burst)

    def _read(self) -> int:
        """Hand out at most `MAX_BURST` packets; how many."""
        receive, monotonic = self._socket.recvmsg, self._wall.monotonic
        number = 0
        while number < MAX_BURST:
            try:
                frame, ancillary, _, address = receive(SNAPLEN, _ANCILLARY_BYTES)
            except OSError:  # nothing is left, or the node's interfaces have gone
                break
            number += 1
            kind = address[2]
            if kind in (PACKET_OUTGOING, _PACKET_HOST) and ancillary:
                seconds, nanoseconds = _TIMESPEC.unpack_from(ancillary[0][2])
                self._take(frame, monotonic(seconds + nanoseconds / 1e9), kind == PACKET_OUTGOING)
        self.missed += take_drops(self._socket)
        return number
