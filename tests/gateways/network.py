"""A switch whose replicas are datagram sockets and whose time stands still: no namespaces, no waiting."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Self

from wotemu.records import Flow, Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.memory_budget import MAX_HELD_BYTES
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.monotonic import FakeClock
from wotemu_gateways.userspace.switch import Switch

BROADCAST_MAC = b"\xff" * 6
Hops = Mapping[tuple[str, Direction], NetworkConditions]


def address_of(index: int) -> str:
    """The address of the replica at a place in the list."""
    return f"10.64.0.{index + 2}"


def members(replicas: Sequence[str]) -> list[Member]:
    """Replicas with addresses in a row."""
    return [Member(name, address_of(i), mac_of(address_of(i))) for i, name in enumerate(replicas)]


def ipv4(
    source: Member,
    target: Member | str,
    *,
    sport: int = 4000,
    dport: int = 5000,
    payload: bytes = b"",
    transport: int = 17,
    options: bytes = b"",
    fragment: int = 0,
    ttl: int = 64,
) -> bytes:
    """A frame with an IPv4 packet. `target` is an address for a broadcast, `fragment` that header field."""
    to_mac, to_address = (BROADCAST_MAC, target) if isinstance(target, str) else (target.mac, target.ipv4)
    length = 20 + len(options) + 4 + len(payload)
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | (5 + len(options) // 4), 0, length, 1, fragment, ttl, transport, 0,
        IPv4Address(source.ipv4).packed, IPv4Address(to_address).packed,
    )  # fmt: skip
    return to_mac + source.mac + b"\x08\x00" + header + options + struct.pack("!HH", sport, dport) + payload


def arp_request(source: Member, address: str) -> bytes:
    """The frame that asks who has an address."""
    question = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + source.mac + IPv4Address(source.ipv4).packed
    return BROADCAST_MAC + source.mac + b"\x08\x06" + question + b"\0" * 6 + IPv4Address(address).packed


class FakeNetwork:
    """Send as a replica, let time pass, look at what came out."""

    def __init__(
        self,
        *replicas: str,
        hops: Hops | None = None,
        ports: Mapping[int, str] | None = None,
        seed: int = 1,
        max_held_bytes: int = MAX_HELD_BYTES,
        by_address: bool = False,
    ) -> None:
        self.members = {member.replica: member for member in members(replicas)}
        self.clock = FakeClock(100.0)
        self.switch = Switch(
            "field",
            list(self.members.values()),
            hops=hops,
            ports=ports,
            seed=seed,
            by_address=by_address,
            clock=self.clock,
            max_held_bytes=max_held_bytes,
        )
        self._pairs = {name: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for name in replicas}
        for pair in self._pairs.values():
            for end in pair:
                end.setblocking(False)
        self._ports = {name: self.switch.attach(name, pair[1].fileno()) for name, pair in self._pairs.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pair in self._pairs.values():
            for end in pair:
                end.close()

    def send_frame(self, replica: str, frame: bytes) -> None:
        """Have a replica send a frame now, and the switch take it."""
        self._pairs[replica][0].send(frame)
        self.switch.read(self._ports[replica])
        self.switch.timers.release(self.clock.now())

    def send(
        self, source: str, target: str, payload: bytes = b"", *, sport: int = 4000, dport: int = 5000
    ) -> bytes:
        """Have a replica send a UDP packet to another; the frame."""
        frame = ipv4(self.members[source], self.members[target], payload=payload, sport=sport, dport=dport)
        self.send_frame(source, frame)
        return frame

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the switch at each of its timers."""
        until_s = self.clock.now() + seconds
        while (next_s := self.switch.timers.next_s) is not None and next_s <= until_s:
            self.clock.advance(max(next_s - self.clock.now(), 0.0))
            self.switch.timers.release(self.clock.now())
        self.clock.advance(max(until_s - self.clock.now(), 0.0))

    def received(self, replica: str) -> list[bytes]:
        """The frames that reached a replica since the last call."""
        frames = []
        while True:
            try:
                frames.append(self._pairs[replica][0].recv(65536))
            except BlockingIOError:
                return frames

    def payloads(self, replica: str) -> list[bytes]:
        """What the UDP packets carried that reached a replica since the last call."""
        return [frame[38:] for frame in self.received(replica)]

    def drain(self) -> tuple[list[Flow], dict[tuple[str, str], Hop]]:
        """The flows, and the hops by node and direction."""
        rows = list(self.switch.drain(1.0))
        hops = {(row.node, row.direction): row for row in rows if isinstance(row, Hop)}
        return [row for row in rows if isinstance(row, Flow)], hops
