"""The paths of probes through a switch: through the apps' shapers, but counted in no app's figures.

A probe crosses the same shapers as everything else, so it is delayed and lost as the apps' packets are. It
waits in delay queues of its own, and the counters of its hops are not reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.impairments.delay_queue import Timers
from wotemu_gateways.impairments.memory_budget import MemoryBudget
from wotemu_gateways.packets.ethernet import flow_of
from wotemu_gateways.packets.flow_table import FlowCounter, FlowTable, PairFlows
from wotemu_gateways.packets.probe import PORT
from wotemu_gateways.userspace.hop_queue import DownHop, HopQueue, Packet, UpHop
from wotemu_gateways.userspace.port import Path, Port


class _ProbeHop(HopQueue):
    """A hop for probes beside a replica's own: the same shaper, another delay queue."""

    __slots__ = ()

    replica_hop: HopQueue

    def leave(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """As for all packets: how late a probe leaves is how late the hop's packets leave."""
        self.replica_hop.count_late(dues_s, now_s)
        self.pass_on(dues_s, packets, now_s)

    def leave_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """See `HopQueue`."""
        self.leave((due_s,), (packet,), now_s)

    def pass_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """See `HopQueue`."""
        self.pass_on((due_s,), (packet,), now_s)


class ProbeUp(_ProbeHop, UpHop):
    """A replica's `up` hop for probes."""

    __slots__ = ("replica_hop",)


class ProbeDown(_ProbeHop, DownHop):
    """A replica's `down` hop for probes."""

    __slots__ = ("replica_hop",)

    def pass_on(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Write probes to the replica's interface."""
        self.fd = self.replica_hop.fd  # type: ignore[attr-defined]  # it is a `DownHop`
        super().pass_on(dues_s, packets, now_s)


class ProbePath(Path):
    """The path of probes from one port to another, open when the apps' path is."""

    __slots__ = ("_down",)

    def __init__(self, source: Port, target: Port, flows: PairFlows, down: ProbeDown) -> None:
        super().__init__(source, target, flows)
        self._down = down

    def forward(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass probes on, unless a cut, a partition or a block is between."""
        self.update()
        is_blocked = any(block.matches("udp", PORT, PORT) for block in self.blocks)
        if self.is_open and not is_blocked:
            self._down.enter(dues_s, packets, now_s)

    def forward_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """See `Path`."""
        self.forward((due_s,), (packet,), now_s)


class ProbePaths:
    """The paths of probes through one switch."""

    def __init__(
        self, ports: Mapping[bytes, Port], flows: FlowTable, timers: Timers, memory: MemoryBudget
    ) -> None:
        self._ports = ports
        self._flows = flows
        self._timers = timers
        self._memory = memory
        self._ups: dict[str, ProbeUp] = {}
        self._downs: dict[str, ProbeDown] = {}
        self._paths: dict[tuple[str, str], ProbePath] = {}

    def forward(self, port: Port, frame: bytes, now_s: float) -> None:
        """Forward a probe that came from a port; a cut port's, and those to nowhere, are dropped."""
        target = self._ports.get(frame[:6])
        if target is None or target is port or port.cut:
            return
        path = self._paths.get((port.replica, target.replica)) or self._add_path(port, target)
        counter = FlowCounter(flow_of(frame), port.replica, target.replica)
        self._up(port).enter([now_s], [(frame, len(frame), path, counter)], now_s)

    def _add_path(self, port: Port, target: Port) -> ProbePath:
        # A flows that the table does not know: nobody counts what goes there.
        flows = PairFlows(self._flows, port.replica, target.replica)
        path = ProbePath(port, target, flows, self._down(target))
        self._paths[port.replica, target.replica] = path
        return path

    def _up(self, port: Port) -> ProbeUp:
        if port.replica not in self._ups:
            hop = self._ups[port.replica] = ProbeUp(CLEAR, Random(0), self._timers, self._memory)  # noqa: S311  # unused
            hop.replica_hop, hop.shaper = port.up, port.up.shaper
        return self._ups[port.replica]

    def _down(self, port: Port) -> ProbeDown:
        if port.replica not in self._downs:
            hop = self._downs[port.replica] = ProbeDown(CLEAR, Random(0), self._timers, self._memory)  # noqa: S311  # unused
            hop.replica_hop, hop.shaper = port.down, port.down.shaper
        return self._downs[port.replica]
