"""The ways of probes through a switch: they meet what the apps' packets meet, and count in no app's figures.

A probe crosses the same shapers as everything else, so what it suffers is what the apps' packets suffer. It
waits in lanes of its own, and its hops keep counters that nobody reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.impairments.delay_queue import Timers
from wotemu_gateways.impairments.memory_budget import MemoryBudget
from wotemu_gateways.packets.ethernet import flow_of
from wotemu_gateways.packets.flow_table import FlowCounter, FlowTable, PairFlows
from wotemu_gateways.userspace.hop_queue import DownHop, HopQueue, Packet, UpHop
from wotemu_gateways.userspace.port import Path, Port


class _Beside(HopQueue):
    """A hop for probes beside a replica's own: the same shaper, another delay_queue."""

    __slots__ = ()

    beside: HopQueue

    def leave(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """As for all packets: how late a probe leaves is how late the hop's packets leave."""
        self.beside.count_late(dues_s, now_s)
        self.pass_on(dues_s, packets, now_s)


class ProbeUp(_Beside, UpHop):
    """The way of probes from a replica."""

    __slots__ = ("beside",)


class ProbeDown(_Beside, DownHop):
    """The way of probes to a replica."""

    __slots__ = ("beside",)

    def pass_on(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Hand them to the replica."""
        self.fd = self.beside.fd  # type: ignore[attr-defined]  # it is a `DownHop`
        super().pass_on(dues_s, packets, now_s)


class ProbePath(Path):
    """The way of probes from one port to another, as open as the others' way."""

    __slots__ = ("_down",)

    def __init__(self, source: Port, target: Port, flows: PairFlows, down: ProbeDown) -> None:
        super().__init__(source, target, flows)
        self._down = down

    def forward(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass probes on, unless a cut or a partition is between."""
        self.update()
        if self.is_open:
            self._down.enter(dues_s, packets, now_s)


class ProbePaths:
    """The ways of probes through one switch."""

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

    def take(self, port: Port, frame: bytes, now_s: float) -> None:
        """Send a probe that came from a port on its way."""
        target = self._ports.get(frame[:6])
        if target is None or target is port or port.cut:
            return
        path = self._paths.get((port.replica, target.replica)) or self._open(port, target)
        counter = FlowCounter(flow_of(frame), port.replica, target.replica)
        self._up(port).enter([now_s], [(frame, len(frame), path, counter)], now_s)

    def _open(self, port: Port, target: Port) -> ProbePath:
        # A flows that the table does not know: nobody counts what goes there.
        flows = PairFlows(self._flows, port.replica, target.replica)
        path = ProbePath(port, target, flows, self._down(target))
        self._paths[port.replica, target.replica] = path
        return path

    def _up(self, port: Port) -> ProbeUp:
        if port.replica not in self._ups:
            hop = self._ups[port.replica] = ProbeUp(CLEAR, Random(0), self._timers, self._memory)  # noqa: S311  # unused
            hop.beside, hop.shaper = port.up, port.up.shaper
        return self._ups[port.replica]

    def _down(self, port: Port) -> ProbeDown:
        if port.replica not in self._downs:
            hop = self._downs[port.replica] = ProbeDown(CLEAR, Random(0), self._timers, self._memory)  # noqa: S311  # unused
            hop.beside, hop.shaper = port.down, port.down.shaper
        return self._downs[port.replica]
