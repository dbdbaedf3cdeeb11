"""A replica's port on the switch, and the paths of packets from it to others."""

from __future__ import annotations

from collections.abc import Sequence

from wotemu.scenario.blocks import Block
from wotemu_gateways.conditions.partition import is_separated
from wotemu_gateways.packets.ethernet import flow_of
from wotemu_gateways.packets.flow_table import MERGED, PairFlows
from wotemu_gateways.userspace.hop_queue import DownHop, Packet, UpHop, count_lost


class Port:
    """One replica's place on the switch. `blocks` are those of traffic that it sends.

    `paths` leads to receivers by the first 15 bytes of a frame, `routes` by its destination alone.
    """

    __slots__ = ("blocks", "cut", "down", "fd", "group", "mac", "paths", "replica", "routes", "up")

    def __init__(self, replica: str, mac: bytes, up: UpHop, down: DownHop) -> None:
        self.replica = replica
        self.mac = mac
        self.up = up
        self.down = down
        self.fd = -1
        self.cut = False
        self.group: int | None = None
        self.blocks: tuple[Block, ...] = ()
        self.paths: dict[bytes, Path] = {}
        self.routes: dict[bytes, Path] = {}

    def __repr__(self) -> str:
        return f"<Port {self.replica}{' cut' if self.cut else ''}>"

    def reaches(self, other: Port) -> bool:
        """Whether the partition lets a packet pass from here to there."""
        return not is_separated(self.group, other.group)


class Path:
    """The path of packets from one port to another; a cut of the target or a partition closes it.

    Attributes:
        kinds: The counters of its flows, see `PairFlows`.
        blocks: Those of some traffic on it.
        is_open: Whether packets pass, but for those of its blocks. Kept here, as looking at both ports for
            each batch would cost more.
    """

    __slots__ = ("blocks", "flows", "is_open", "kinds", "source", "target")

    def __init__(self, source: Port, target: Port, flows: PairFlows) -> None:
        self.source = source
        self.target = target
        self.flows = flows
        self.kinds = flows.kinds
        self.update()

    def update(self) -> None:
        """Open or close it as the target's cut, the partition and blocks say."""
        between = self.source.replica, self.target.replica
        blocks = tuple(block for block in self.source.blocks if block.concerns(*between))
        self.blocks = tuple(block for block in blocks if not block.is_of_all)
        is_blocked = len(blocks) > len(self.blocks)
        self.is_open = self.source.reaches(self.target) and not self.target.cut and not is_blocked

    def forward(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass packets from the source's `up` hop to the target's `down` hop."""
        down = self.target.down
        if self.is_open:
            if self.blocks:
                dues_s, packets = self._unblocked(dues_s, packets)
            if packets:
                down.enter(dues_s, packets, now_s)
            return
        down.dropped_cut += len(packets)
        count_lost(packets)

    def forward_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """As `forward` for a packet alone."""
        if self.is_open and not self.blocks:
            self.target.down.enter_one(due_s, packet, now_s)
        else:
            self.forward((due_s,), (packet,), now_s)

    def _unblocked(
        self, dues_s: Sequence[float], packets: Sequence[Packet]
    ) -> tuple[Sequence[float], Sequence[Packet]]:
        """What no block is about; the others are dropped and counted."""
        blocked = [self._is_blocked(packet) for packet in packets]
        dropped = [packet for packet, is_blocked in zip(packets, blocked, strict=True) if is_blocked]
        if not dropped:
            return dues_s, packets
        self.target.down.dropped_cut += len(dropped)
        count_lost(dropped)
        passing = [number for number, is_blocked in enumerate(blocked) if not is_blocked]
        return [dues_s[number] for number in passing], [packets[number] for number in passing]

    def _is_blocked(self, packet: Packet) -> bool:
        flow = packet[3].flow
        if flow is MERGED:  # it shares its counter with other flows
            flow = flow_of(packet[0])
        return any(block.matches(flow.transport, flow.sport, flow.dport) for block in self.blocks)


class Flood(Path):
    """The paths of broadcast and multicast packets from one port to all others."""

    __slots__ = ("paths",)

    def __init__(self, source: Port, paths: tuple[Path, ...], flows: PairFlows) -> None:
        self.paths = paths
        super().__init__(source, source, flows)

    def forward(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass a copy of each to each other port's `down` hop."""
        # The packet itself ends here. Each copy is in flight from here on, but of a flow that counts none as
        # sent: its counter is settled by one less, so that a delivery brings it back to zero.
        for _, _, _, counter in packets:
            counter.settled += 1
        for path in self.paths:
            copies = [(frame, size, path, path.flows.counter(frame)) for frame, size, _, _ in packets]
            for _, _, _, counter in copies:
                counter.settled -= 1
            path.forward(dues_s, copies, now_s)

    def forward_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """See `Path`."""
        self.forward((due_s,), (packet,), now_s)
