"""The Ethernet switch of one emulated network: frames cross their sender's `up` and receivers' `down` hops.

Each replica is attached by a descriptor that gives and takes one frame a call (a TAP, or a datagram socket in
tests). The switch answers ARP itself at once: address resolution is no app's traffic, and a peer that
can't be reached then behaves as it would behind a router. With `by_address`, members need not resolve
addresses: whatever MAC a frame is for, its IPv4 address says who receives it. Cuts and partitions act where a
packet passes from `up` to `down`, and a cut also where it enters the cut node's `up`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from itertools import chain
from random import Random
from typing import ClassVar

from wotemu.records import Hop, Record
from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.conditions.partition import group_of, partition_of
from wotemu_gateways.impairments.delay_queue import Timers
from wotemu_gateways.impairments.memory_budget import MAX_HELD_BYTES, MemoryBudget
from wotemu_gateways.impairments.rate_limiter import RateLimiter
from wotemu_gateways.packets.ethernet import (
    ETHERNET_BYTES,
    IPV4_NO_OPTIONS,
    MAX_HEADER_BYTES,
    arp_answer,
    arp_question,
    is_arp,
)
from wotemu_gateways.packets.flow_table import FlowTable
from wotemu_gateways.packets.probe import is_probe
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.hop_queue import DownHop, Packet, UpHop, count_sent
from wotemu_gateways.userspace.monotonic import Clock, MonotonicClock
from wotemu_gateways.userspace.port import Flood, Path, Port
from wotemu_gateways.userspace.probe_paths import ProbePaths

BATCH = 64
"""Frames read from one port before the others, and what is due, get their turn."""

_MULTICAST_BIT = 0x01
_read = os.read


class Switch:
    """Forwards the frames of one network's members under the conditions of their hops.

    Args:
        hops: Conditions by replica and direction; clear where there are none.
        ports: Names of protocols by port number.
        seed: Seed of the random number generators: the same one gives the same losses and jitter for the
            same packets.
        by_address: The members resolve no addresses, but send everything to a gateway's MAC.
        max_held_bytes: Memory for packets that wait; beyond it packets are dropped and counted.

    Attributes:
        wake: Called when a change may have made something due earlier.
        ignored: Frames that were not forwarded, by reason.
    """

    name = "tun"

    MTU: ClassVar[int] = 1500
    """What the members' interfaces have at most; longer frames would be cut off."""

    def __init__(
        self,
        network: str,
        members: Sequence[Member],
        *,
        hops: Mapping[tuple[str, Direction], NetworkConditions] | None = None,
        ports: Mapping[int, str] | None = None,
        seed: int = 0,
        by_address: bool = False,
        clock: Clock | None = None,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self.network = network
        self._by_address = by_address
        self.now: Callable[[], float] = (clock or MonotonicClock()).now
        self.timers = Timers()
        self.memory = MemoryBudget(max_held_bytes)
        self.wake: Callable[[], None] = lambda: None
        self.ignored: Counter[str] = Counter()
        self._seed = seed
        self._shared: RateLimiter[Packet] | None = None
        self._ports = {member.replica: self._port(member, hops or {}) for member in members}
        self._by_mac = {port.mac: port for port in self._ports.values()}
        self._macs = {IPv4Address(member.ipv4).packed: member.mac for member in members}
        names = {address: self._by_mac[mac].replica for address, mac in self._macs.items()}
        names.update({mac: port.replica for mac, port in self._by_mac.items()})
        self._flows = FlowTable(network, names, ports or {})
        self._probes = ProbePaths(self._by_mac, self._flows, self.timers, self.memory)

    def __repr__(self) -> str:
        return f"<Switch {self.network} {len(self._ports)} ports>"

    def _port(self, member: Member, hops: Mapping[tuple[str, Direction], NetworkConditions]) -> Port:
        name = member.replica
        up = UpHop(hops.get((name, "up"), CLEAR), self._rng(name, "up"), self.timers, self.memory)
        down = DownHop(hops.get((name, "down"), CLEAR), self._rng(name, "down"), self.timers, self.memory)
        return Port(name, member.mac, up, down)

    def _rng(self, replica: str, direction: Direction) -> Random:
        return Random(f"{self._seed}/{self.network}/{replica}/{direction}")  # noqa: S311

    # What the gateway changes

    def attach(self, replica: str, fd: int) -> Port:
        """Give a replica's port its descriptor (non-blocking); -1 takes it away. The caller closes it."""
        port = self._ports[replica]
        port.fd = port.down.fd = fd
        return port

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """Impose other conditions on one hop, in place. `KeyError`: no such replica here."""
        port = self._ports[replica]
        now_s = self._up_to_now()
        (port.up if direction == "up" else port.down).change(conditions, now_s)
        self.wake()

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """See `Shaper.set_shared_bucket`."""
        now_s = self._up_to_now()
        if self._shared is not None:
            self._shared.change(conditions if conditions is not None else CLEAR, now_s)
        elif conditions is not None:
            self._shared = RateLimiter(self.timers, self.memory, conditions)
            for port in self._ports.values():
                port.up.shaper.share(self._shared)
        for port in self._ports.values():
            port.up.set_channel(conditions, now_s)
        self.wake()

    def _up_to_now(self) -> float:
        """Pass on what is due under the conditions that held until now; the current time."""
        now_s = self.now()
        self.timers.release(now_s)
        return now_s

    def cut(self, replica: str, is_cut: bool) -> None:
        """Cut a replica off the network, or end the cut."""
        port = self._ports[replica]
        port.cut = is_cut
        port.paths.clear()  # so that each frame is classified, which is where a cut is looked at
        self._update_paths()

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """Keep sets of replicas from reaching each other; a single one is kept from all others.

        Replicas that no set names reach, and are reached by, all; no set heals the network.
        """
        partition = partition_of(self._ports, groups)
        for port in self._ports.values():
            port.group = group_of(partition, port.replica)
        self._update_paths()

    def block(self, blocks: Sequence[Block]) -> None:
        """See `Shaper.block`."""
        for port in self._ports.values():
            others = [name for name in self._ports if name != port.replica]
            port.blocks = tuple(
                block for block in blocks if any(block.concerns(port.replica, each) for each in others)
            )
        self._update_paths()

    def _update_paths(self) -> None:
        for port in self._ports.values():
            for path in port.routes.values():
                path.update()

    # The data path

    def read(self, port: Port, at_most: int = BATCH) -> int:
        """Take up to so many frames from a port; the number of frames.

        They came at some time before they were read. Stamped with the time after, none leaves too early.
        """
        frames = self.frames(port.fd, at_most)
        now_s = self.now()
        paths = port.paths
        packets: list[Packet] = []
        for frame in frames:
            try:
                path = paths[frame[:15]]
                counter = path.kinds[frame[20:24]][frame[26:38]]
            except KeyError:
                packets += self._classify(port, frame, now_s)
            else:
                packets.append((frame, len(frame), path, counter))
        if len(packets) == 1:
            _, size, _, counter = packets[0]
            counter.packets_up += 1
            counter.bytes_up += size
            port.up.enter_one(now_s, packets[0], now_s)
        elif packets:
            count_sent(packets)
            port.up.enter([now_s] * len(packets), packets, now_s)
        return len(frames)

    def frames(self, fd: int, at_most: int) -> list[bytes]:
        """Read up to so many frames from a descriptor, each with its receiver's MAC as destination."""
        read, max_bytes = _read, self.MTU + MAX_HEADER_BYTES
        frames: list[bytes] = []
        try:
            for _ in range(at_most):
                frames.append(read(fd, max_bytes))  # noqa: PERF401  # it ends by an exception, with what it has
        except BlockingIOError:
            pass
        if not self._by_address:
            return frames
        find = self._macs.get
        # A receiver takes only frames for its own MAC. Groups' addresses are not in the table, so that frames
        # for them stay as they are.
        return [mac + frame[6:] if (mac := find(frame[30:34])) else frame for frame in frames]

    def _classify(self, port: Port, frame: bytes, now_s: float) -> list[Packet]:
        """The packet of a frame that isn't of a known flow; none if it is not forwarded, or is a probe."""
        if is_probe(frame):
            self._probes.forward(port, frame, now_s)
            return []
        path = self._route(port, frame)
        if path is None:
            return []
        packet = (frame, len(frame), path, path.flows.counter(frame))
        if port.cut:
            count_sent([packet])
            port.up.dropped_cut += 1
            packet[3].settled += 1
            return []
        if frame[12:15] == IPV4_NO_OPTIONS and frame[6:12] == port.mac:
            port.paths[frame[:15]] = path
        return [packet]

    def _route(self, port: Port, frame: bytes) -> Path | None:
        """A frame's path; None if it is not forwarded, with the reason counted."""
        if len(frame) < ETHERNET_BYTES:
            self.ignored["truncated"] += 1
        elif is_arp(frame):
            self._answer(port, frame)
        else:
            destination = frame[:6]
            path = port.routes.get(destination) or self._find(port, destination)
            if path is None:
                self.ignored["unknown destination"] += 1
            return path
        return None

    def _find(self, port: Port, destination: bytes) -> Path | None:
        others = [other for other in self._ports.values() if other is not port]
        if destination[0] & _MULTICAST_BIT:
            ways = tuple(self._unicast(port, other) for other in others)
            path: Path = Flood(port, ways, self._flows.add_pair(port.replica, ""))
        elif destination in self._by_mac and destination != port.mac:
            return self._unicast(port, self._by_mac[destination])
        else:
            return None
        port.routes[destination] = path
        return path

    def _unicast(self, port: Port, other: Port) -> Path:
        path = port.routes.get(other.mac)
        if path is None:
            path = port.routes[other.mac] = Path(
                port, other, self._flows.add_pair(port.replica, other.replica)
            )
        return path

    def _answer(self, port: Port, frame: bytes) -> None:
        self.ignored["arp"] += 1
        mac = self._macs.get(arp_question(frame) or b"")
        if mac is not None and mac != port.mac:
            port.down.reply(arp_answer(frame, mac))

    # What the gateway reports

    def drain(self, t: float) -> Iterator[Record]:
        """See `Shaper.drain`."""
        now_s = self.now()
        rows: list[Record] = []
        for name, port in self._ports.items():
            rows.append(port.up.drain(t, self.network, name, now_s))
            rows.append(port.down.drain(t, self.network, name, now_s))
        if self._shared is not None:
            rows.append(Hop.of_shared_rate(t, self.network, "tun", *self._shared.take_service(now_s)))
        return chain(rows, self._flows.drain(t))

    @property
    def losses(self) -> dict[str, int]:
        """See `Shaper.losses`."""
        return {**self.ignored, **({"merged flows": self._flows.merged} if self._flows.merged else {})}

    @property
    def packets_in_flight(self) -> int:
        """Packets that have been neither delivered nor dropped yet."""
        return self._flows.in_flight
