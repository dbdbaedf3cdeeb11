"""Records the requests that pass a node's interfaces, for its agent."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from wotemu.records import WireRequest
from wotemu.wording import counted
from wotemu_runtime.app_process.messages import Claim
from wotemu_runtime.roles.role import Role
from wotemu_runtime.wire.exchange import Exchange
from wotemu_runtime.wire.packet_reader import PacketReader
from wotemu_runtime.wire.seen_requests import SeenRequests

MAX_MEASURED_PORTS = 32
"""Ports of each transport that the kernel's filter knows of: its jumps reach 255 instructions."""


class NodeRequests:
    """The requests of one node that WoTPy's apps do not measure themselves.

    Args:
        role: The node's role; `record` is to be called each second.
        replica: Its name.
        coap_port: The UDP port of the topology's servers of CoAP.
        peer_name: The name of an address; None for one that is of no emulated network.
    """

    def __init__(
        self, role: Role, replica: str, coap_port: int, peer_name: Callable[[str], str | None]
    ) -> None:
        self._role = role
        self._replica = replica
        self._coap_port = coap_port
        self._peer_name = peer_name
        self._measured_tcp: set[int] = set()
        self._measured_udp: set[int] = set()
        self._seen = SeenRequests()
        self._reader: PacketReader | None = None

    def __repr__(self) -> str:
        return f"NodeRequests({self._replica!r}, {self._seen!r})"

    def open(self, open_packets: Callable[[int], socket.socket]) -> None:
        """Look at packets from now on; report it where the kernel does not let us."""
        try:
            opened = open_packets(self._coap_port)
        except OSError as error:
            text = f"requests on the wire of {self._replica} are not counted: {error.strerror}"
            self._role.event("requests.unavailable", text)
            return
        self._reader = PacketReader(
            opened, lambda frame, t, is_outgoing: self._seen.take(frame, t, is_outgoing=is_outgoing)
        )

    def claim(self, claim: Claim) -> None:
        """A program of the node says that it measures a socket's requests itself."""
        self._seen.claim(claim)
        measured = {"tcp_server": self._measured_tcp, "udp_server": self._measured_udp}.get(claim.kind)
        if measured is None or claim.port in measured or len(measured) >= MAX_MEASURED_PORTS:
            return
        measured.add(claim.port)
        if self._reader is not None:  # so that the kernel does not pass on what is left out later anyway
            self._reader.narrow(self._coap_port, self._measured_tcp, self._measured_udp)

    def record(self, *, is_last: bool = False) -> None:
        """Record what has ended."""
        if self._reader is not None:
            for each in self._seen.ended(time.monotonic(), is_last=is_last):
                self._put(each)

    def finish(self) -> None:
        """Record the rest, also what was not answered, and report what was missed."""
        if self._reader is None:
            return
        self._reader.close()
        self.record(is_last=True)
        packets, requests = self._reader.missed, self._seen.missed
        lacks = [
            counted(number, what) for number, what in ((packets, "packet"), (requests, "request")) if number
        ]
        if lacks:
            text = f"{' and '.join(lacks)} on the wire of {self._replica} came too fast to be counted"
            self._role.event("requests.missed", text, packets=packets, requests=requests)

    def _put(self, exchange: Exchange) -> None:
        ends = exchange.endpoints
        peer = self._peer_name(socket.inet_ntoa(ends.peer))
        if peer is None:
            return
        self._role.publisher.put(
            WireRequest(
                t=self._role.clock.at(exchange.t),
                node=self._replica,
                side=exchange.side,
                protocol=exchange.protocol,
                stage="request" if exchange.registration is None else "next",
                method=exchange.method,
                path=exchange.path,
                code=exchange.code,
                duration=exchange.duration,
                peer=peer,
                port=ends.local_port if exchange.side == "server" else ends.peer_port,
            )
        )
