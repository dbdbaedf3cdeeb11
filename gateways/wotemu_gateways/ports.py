"""A replica's port on the switch: its two hops, and the ways from it to others."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from wotemu.records import Hop
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.flows import Channel, FlowCounter
from wotemu_gateways.lanes import Deadlines, Lane
from wotemu_gateways.shaping import NEVER, HopShaper

_MAX_SORTED_SAMPLES = 2048
_write = os.write

Packet = tuple[bytes, int, "Path", FlowCounter]
"""A frame, its size, its way through the switch and its flow."""


class HopEnd:
    """What both hops of a port have: conditions, waiting packets, counters since the last drain."""

    __slots__ = ("dropped_cut", "dropped_full", "lane", "late_s", "sent", "sent_bytes", "shaper")

    direction: str

    def __init__(self, conditions: NetworkConditions, rng: Random, deadlines: Deadlines) -> None:
        self.shaper = HopShaper(conditions, rng)
        self.lane: Lane[Packet] = Lane(deadlines, self)
        self.sent = self.sent_bytes = self.dropped_cut = self.dropped_full = 0
        self.late_s: list[float] = []

    def enter(self, arrivals_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Take packets that came, or were due to come, at those instants."""
        shaper, lane = self.shaper, self.lane
        if shaper.clear and not lane:
            self.pass_on(arrivals_s, packets, now_s)
            return
        dues_s = shaper.admit(arrivals_s, [packet[1] for packet in packets])
        if dues_s[-1] != NEVER and lane.follows(dues_s):
            lane.hold(dues_s, packets)
            return
        for due_s, packet in zip(dues_s, packets, strict=True):
            if due_s == NEVER:
                packet[3].lost += 1
            else:
                lane.insert(due_s, packet)

    def leave(self, dues_s: Sequence[float], items: Sequence[Packet], now_s: float) -> None:
        """See `Outlet.leave`. A batch is as late as its first packet."""
        self.late_s.append(now_s - dues_s[0])
        self.pass_on(dues_s, items, now_s)

    def pass_on(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Give packets to whatever comes after the hop."""
        raise NotImplementedError

    def drain(self, t: float, network: str, node: str) -> Hop:
        """The counters since the last call, stamped `t`; they begin again at zero."""
        shaper, late_s = self.shaper, self.late_s
        late_max = max(late_s, default=None)
        late_s = sorted(late_s[:: len(late_s) // _MAX_SORTED_SAMPLES + 1])
        row = Hop(
            t=t,
            network=network,
            node=node,
            direction=self.direction,
            shaper="tun",
            sent=self.sent,
            sent_bytes=self.sent_bytes,
            dropped_loss=shaper.dropped_loss,
            dropped_queue=shaper.dropped_queue + self.dropped_full,
            dropped_cut=self.dropped_cut,
            backlog=len(self.lane),
            late_p95=late_s[math.ceil(0.95 * len(late_s)) - 1] if late_s else None,
            late_max=late_max,
        )
        self.sent = self.sent_bytes = self.dropped_cut = self.dropped_full = 0
        shaper.dropped_loss = shaper.dropped_queue = 0
        self.late_s = []
        return row


class UpHop(HopEnd):
    """From the replica to the switch: what leaves goes on to the receivers' `down` hops."""

    __slots__ = ()

    direction = "up"

    def pass_on(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Send each packet on its way."""
        self.sent += len(packets)
        self.sent_bytes += sum([packet[1] for packet in packets])
        ways = [packet[2] for packet in packets]
        if ways.count(ways[0]) == len(ways):
            ways[0].cross(dues_s, packets, now_s)
            return
        for way in dict.fromkeys(ways):
            chosen = [i for i, each in enumerate(ways) if each is way]
            way.cross([dues_s[i] for i in chosen], [packets[i] for i in chosen], now_s)


class DownHop(HopEnd):
    """From the switch to the replica: what leaves is written to its descriptor."""

    __slots__ = ("fd",)

    direction = "down"

    def __init__(self, conditions: NetworkConditions, rng: Random, deadlines: Deadlines) -> None:
        super().__init__(conditions, rng, deadlines)
        self.fd = -1

    def pass_on(
        self,
        dues_s: Sequence[float],  # noqa: ARG002
        packets: Sequence[Packet],
        now_s: float,  # noqa: ARG002
    ) -> None:
        """Hand frames to the replica; what its side has no room for is lost."""
        fd, write, sent, sent_bytes = self.fd, _write, 0, 0
        for frame, size, _, counter in packets:
            try:
                write(fd, frame)
            except OSError:
                self.dropped_full += 1
                counter.lost += 1
                continue
            sent += 1
            sent_bytes += size
            counter.packets_down += 1
            counter.bytes_down += size
        self.sent += sent
        self.sent_bytes += sent_bytes

    def reply(self, frame: bytes) -> None:
        """Hand over a frame of the switch's own, unshaped and uncounted."""
        with suppress(OSError):
            _write(self.fd, frame)


class Port:
    """One replica's place on the switch.

    `paths` leads to receivers by the first 15 bytes of a frame, `routes` by its destination alone.
    """

    __slots__ = ("cut", "down", "fd", "group", "mac", "paths", "replica", "routes", "up")

    def __init__(self, replica: str, mac: bytes, up: UpHop, down: DownHop) -> None:
        self.replica = replica
        self.mac = mac
        self.up = up
        self.down = down
        self.fd = -1
        self.cut = False
        self.group: int | None = None
        self.paths: dict[bytes, Path] = {}
        self.routes: dict[bytes, Path] = {}

    def __repr__(self) -> str:
        return f"<Port {self.replica}{' cut' if self.cut else ''}>"

    def reaches(self, other: Port) -> bool:
        """Whether the partition lets a packet pass from here to there."""
        return self.group == other.group or None in (self.group, other.group)


class Path:
    """The way of packets from one port to another; closed by a cut of the target or a partition."""

    __slots__ = ("channel", "kinds", "open", "source", "target")

    def __init__(self, source: Port, target: Port, channel: Channel) -> None:
        self.source = source
        self.target = target
        self.channel = channel
        self.kinds = channel.kinds
        self.update()

    def update(self) -> None:
        """Open or close it as the target's cut and the partition say."""
        self.open = self.source.reaches(self.target) and not self.target.cut

    def cross(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass packets from the source's `up` hop to the target's `down` hop."""
        down = self.target.down
        if self.open:
            down.enter(dues_s, packets, now_s)
            return
        down.dropped_cut += len(packets)
        for packet in packets:
            packet[3].lost += 1


class Flood(Path):
    """The ways of broadcast and multicast packets from one port to all others."""

    __slots__ = ("paths",)

    def __init__(self, source: Port, paths: tuple[Path, ...], channel: Channel) -> None:
        self.paths = paths
        super().__init__(source, source, channel)

    def cross(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass a copy of each to each other port's `down` hop."""
        for _, _, _, counter in packets:
            counter.lost += 1
        for path in self.paths:
            copies = [(frame, size, path, path.channel.counter(frame)) for frame, size, _, _ in packets]
            for _, _, _, counter in copies:
                counter.lost -= 1
            path.cross(dues_s, copies, now_s)
