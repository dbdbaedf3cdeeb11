"""A replica's port on the switch: its two hops, and the ways from it to others."""

from __future__ import annotations

import os
from contextlib import suppress
from collections import deque
from random import Random

from wotemu.records import Hop
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.flows import Channel, FlowCounter
from wotemu_gateways.lanes import Deadlines, Lane, Packet
from wotemu_gateways.shaping import HopShaper

_MAX_SORTED_SAMPLES = 2048
_write = os.write


class HopEnd:
    """What both hops of a port have: conditions, waiting packets, counters since the last drain."""

    __slots__ = ("dropped_cut", "dropped_queue", "lane", "late_s", "sent", "sent_bytes", "shaper")

    direction: str

    def __init__(self, conditions: NetworkConditions, rng: Random, deadlines: Deadlines) -> None:
        self.shaper = HopShaper(conditions, rng)
        self.lane = Lane(deadlines, self)
        self.sent = self.sent_bytes = self.dropped_cut = self.dropped_queue = 0
        self.late_s: list[float] = []

    def leave(self, packets: deque[Packet], until_s: float, now_s: float) -> None:
        """See `Outlet.leave`."""
        raise NotImplementedError

    def drain(self, t: float, network: str, node: str) -> Hop:
        """The counters since the last call, stamped `t`; they begin again at zero."""
        shaper, late_s = self.shaper, self.late_s
        late_max = max(late_s, default=None)
        if len(late_s) > _MAX_SORTED_SAMPLES:
            late_s = late_s[:: len(late_s) // _MAX_SORTED_SAMPLES + 1]
        late_s.sort()
        row = Hop(
            t=t,
            network=network,
            node=node,
            direction=self.direction,
            shaper="tun",
            sent=self.sent,
            sent_bytes=self.sent_bytes,
            dropped_loss=shaper.dropped_loss,
            dropped_queue=shaper.dropped_queue + self.dropped_queue,
            dropped_cut=self.dropped_cut,
            backlog=self.lane.backlog,
            late_p95=late_s[int(0.95 * (len(late_s) - 1))] if late_s else None,
            late_max=late_max,
        )
        self.sent = self.sent_bytes = self.dropped_cut = self.dropped_queue = 0
        shaper.dropped_loss = shaper.dropped_queue = 0
        self.late_s = []
        return row


class DownHop(HopEnd):
    """From the switch to the replica: what leaves is written to its descriptor."""

    __slots__ = ("fd",)

    direction = "down"

    def __init__(self, conditions: NetworkConditions, rng: Random, deadlines: Deadlines) -> None:
        super().__init__(conditions, rng, deadlines)
        self.fd = -1

    def enter(self, due_s: float, now_s: float, frame: bytes, counter: FlowCounter) -> None:
        """Take a frame that was due here at `due_s`; it leaves at once if nothing holds it."""
        shaper, lane = self.shaper, self.lane
        if shaper.clear:
            self.write(frame, counter)
            return
        departures = shaper.admit(due_s, len(frame))
        counter.lost += 1 - len(departures)
        for leaves_s in departures:
            if leaves_s <= now_s and not lane.packets:
                self.write(frame, counter)
            else:
                lane.hold((leaves_s, frame, counter, None))

    def leave(self, packets: deque[Packet], until_s: float, now_s: float) -> None:
        """See `Outlet.leave`."""
        take, write = packets.popleft, self.write
        self.late_s.append(now_s - packets[0][0])
        while packets and packets[0][0] <= until_s:
            _, frame, counter, _ = take()
            write(frame, counter)

    def reply(self, frame: bytes) -> None:
        """Hand over a frame of the switch's own, unshaped and uncounted."""
        with suppress(OSError):
            _write(self.fd, frame)

    def write(self, frame: bytes, counter: FlowCounter) -> None:
        """Hand a frame to the replica; one that its side has no room for is lost."""
        try:
            _write(self.fd, frame)
        except OSError:
            self.dropped_queue += 1
            counter.lost += 1
            return
        size = len(frame)
        self.sent += 1
        self.sent_bytes += size
        counter.packets_down += 1
        counter.bytes_down += size


class UpHop(HopEnd):
    """From the replica to the switch: what leaves goes on to the receivers' `down` hops."""

    __slots__ = ()

    direction = "up"

    def enter(self, now_s: float, frame: bytes, path: Path, counter: FlowCounter) -> None:
        """Take a frame that the replica sent."""
        shaper, lane = self.shaper, self.lane
        departures = (now_s,) if shaper.clear else shaper.admit(now_s, len(frame))
        counter.lost += 1 - len(departures)
        for leaves_s in departures:
            if leaves_s <= now_s and not lane.packets:
                self.sent += 1
                self.sent_bytes += len(frame)
                path.cross(leaves_s, now_s, frame, counter)
            else:
                lane.hold((leaves_s, frame, path, counter))

    def leave(self, packets: deque[Packet], until_s: float, now_s: float) -> None:
        """See `Outlet.leave`."""
        take = packets.popleft
        self.late_s.append(now_s - packets[0][0])
        while packets and packets[0][0] <= until_s:
            due_s, frame, path, counter = take()
            self.sent += 1
            self.sent_bytes += len(frame)
            path.cross(due_s, now_s, frame, counter)


class Port:
    """One replica's place on the switch. `paths` leads by a frame's first 15 bytes, `routes` by destination."""

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
    """The way of a frame from one port to another; closed by a cut or a partition."""

    __slots__ = ("channel", "kinds", "open", "source", "target")

    def __init__(self, source: Port, target: Port, channel: Channel) -> None:
        self.source = source
        self.target = target
        self.channel = channel
        self.kinds = channel.kinds
        self.open = True
        self.update()

    def update(self) -> None:
        """Open or close it as the target's cut and the partition say."""
        self.open = self.source.reaches(self.target) and not self.target.cut

    def cross(self, due_s: float, now_s: float, frame: bytes, counter: FlowCounter) -> None:
        """Pass a frame from the source's `up` hop to the target's `down` hop."""
        down = self.target.down
        if self.open:
            down.enter(due_s, now_s, frame, counter)
        else:
            down.dropped_cut += 1
            counter.lost += 1


class Flood(Path):
    """The ways of a broadcast or multicast frame from one port to all others."""

    __slots__ = ("paths",)

    def __init__(self, source: Port, paths: tuple[Path, ...], channel: Channel) -> None:
        self.paths = paths
        super().__init__(source, source, channel)

    def cross(self, due_s: float, now_s: float, frame: bytes, counter: FlowCounter) -> None:
        """Pass a copy to each other port's `down` hop."""
        counter.lost += 1
        for path in self.paths:
            delivered = path.channel.counter(frame)
            delivered.lost -= 1
            path.cross(due_s, now_s, frame, delivered)
