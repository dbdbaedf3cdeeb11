"""Counts packets and bytes of each flow on each hop that they cross.

A switch finds a packet's counter by slices of its raw header; only a flow's first packet is parsed. The
number of flows is bounded: beyond it new flows between two nodes share one counter, and packets that share
it are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wotemu.records import Flow
from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, FlowId, address_text, flow_of
from wotemu_gateways.packets.probe import is_probe_flow

MAX_FLOWS = 16_384
"""Flows that have a counter at once: some 10 MB of memory."""

IDLE_DRAINS = 3
"""A flow without packets for so many drains is removed, unless a hop still holds some of its packets.

Its next packet adds it again, which costs a few microseconds and no figure: rows have what came since the
last drain. So `MAX_FLOWS` are enough for 4000 new flows a second for good (a connection is two).
"""

_NO_OPTIONS = 0x45
_MAX_KINDS = 64
"""TTLs and fragment fields that one pair of nodes can have: a sender that varies them is parsed."""

MERGED = FlowId("other", b"", b"", 0, 0)


class FlowCounter:
    """One flow between two nodes: totals of packets and bytes, and those that were reported.

    Attributes:
        settled: Packets that were sent and will not be delivered (dropped, or replaced by copies), less those
            that will be delivered and were not sent (copies): it balances sent and delivered packets.
    """

    __slots__ = (
        "bytes_down", "bytes_up", "flow", "idle", "packets_down", "packets_up",
        "receiver", "reported", "sender", "settled",
    )  # fmt: skip

    def __init__(self, flow: FlowId, sender: str, receiver: str) -> None:
        self.flow = flow
        self.sender = sender
        self.receiver = receiver
        self.packets_up = self.bytes_up = self.packets_down = self.bytes_down = self.settled = 0
        self.reported = (0, 0, 0, 0)
        self.idle = 0

    def __repr__(self) -> str:
        return f"<FlowCounter {self.sender}->{self.receiver} up {self.packets_up} down {self.packets_down}>"

    @property
    def in_flight(self) -> int:
        """Packets of it that hops still hold."""
        return self.packets_up - self.packets_down - self.settled

    def take(self) -> tuple[int, int, int, int]:
        """Counts since the last call: packets and bytes up, packets and bytes down."""
        totals = (self.packets_up, self.bytes_up, self.packets_down, self.bytes_down)
        before, self.reported = self.reported, totals
        self.idle = self.idle + 1 if totals == before else 0
        return (totals[0] - before[0], totals[1] - before[1], totals[2] - before[2], totals[3] - before[3])


CountersByHeader = dict[bytes, dict[bytes, FlowCounter]]
"""Counters of one pair of nodes by two slices of an IPv4 header of 20 bytes and the ports behind it:
first the fragment field, TTL and transport, then both addresses and both ports."""


class PairFlows:
    """The flows from one node to another (or, where `receiver` is "", to all)."""

    __slots__ = ("_by_flow", "_by_transport", "_table", "kinds", "receiver", "sender")

    def __init__(self, table: FlowTable, sender: str, receiver: str) -> None:
        self._table = table
        self._by_flow: dict[FlowId, FlowCounter] = {}
        self._by_transport: dict[str, dict[bytes, FlowCounter]] = {}
        self.kinds: CountersByHeader = {}
        self.sender = sender
        self.receiver = receiver

    @property
    def in_flight(self) -> int:
        """Packets of all its flows that hops still hold."""
        return sum(counter.in_flight for counter in self._by_flow.values())

    def counter(self, frame: bytes) -> FlowCounter:
        """The counter of a frame that `kinds` doesn't lead to; makes one where the flow is new."""
        flow = flow_of(frame, self._table.offset)
        counter = self._by_flow.get(flow) or self._add(flow)
        if counter.flow is not MERGED and (flow.sport or flow.dport):
            self._remember(frame, counter)
        return counter

    def _add(self, flow: FlowId) -> FlowCounter:
        if not self._table.admit_flow():
            flow = MERGED
        counter = self._by_flow.get(flow)
        if counter is None:
            counter = self._by_flow[flow] = FlowCounter(flow, self.sender, self.receiver)
        return counter

    def _remember(self, frame: bytes, counter: FlowCounter) -> None:
        """Remember a flow's slices of header, so that later frames need not be parsed."""
        at = self._table.offset
        if frame[at] != _NO_OPTIONS or len(self.kinds) > _MAX_KINDS:
            return
        known = self._by_transport.setdefault(counter.flow.transport, {})
        self.kinds[frame[at + 6 : at + 10]] = known
        known[frame[at + 12 : at + 24]] = counter

    def drain(self) -> Iterator[tuple[FlowCounter, tuple[int, int, int, int]]]:
        """Each flow with its counts since the last drain; idle flows are removed."""
        idle = []
        for flow, counter in self._by_flow.items():
            came = counter.take()
            if counter.idle == 0:
                yield counter, came
            elif counter.idle >= IDLE_DRAINS and not counter.in_flight:
                idle.append(flow)
        for flow in idle:
            self._remove(self._by_flow.pop(flow))

    def _remove(self, counter: FlowCounter) -> None:
        flow = counter.flow
        if flow is MERGED:
            return
        ports = flow.sport.to_bytes(2, "big") + flow.dport.to_bytes(2, "big")
        self._by_transport.get(flow.transport, {}).pop(flow.src + flow.dst + ports, None)
        self._table.flow_removed()


class FlowTable:
    """All flows that one gateway forwards. `offset` is where a frame's IPv4 header begins."""

    def __init__(
        self,
        network: str,
        names: Mapping[bytes, str],
        ports: Mapping[int, str],
        *,
        offset: int = ETHERNET_BYTES,
        max_flows: int = MAX_FLOWS,
    ) -> None:
        self._network = network
        self._names = names
        self._ports = ports
        self._max_flows = max_flows
        self._flows = 0
        self._pairs: list[PairFlows] = []
        self.offset = offset
        self.probes: dict[tuple[str, str], tuple[int, int]] = {}
        """Probes and their bytes at the last drain by node and direction, where they are counted at all: a
        switch has ways of their own for them."""
        self.merged = 0

    def add_pair(self, sender: str, receiver: str) -> PairFlows:
        """A new pair between two nodes."""
        pair = PairFlows(self, sender, receiver)
        self._pairs.append(pair)
        return pair

    def admit_flow(self) -> bool:
        """Whether a new flow gets a counter of its own; if not, its packet is counted in `merged`."""
        if self._flows >= self._max_flows:
            self.merged += 1
            return False
        self._flows += 1
        return True

    def flow_removed(self) -> None:
        """A flow was removed."""
        self._flows -= 1

    @property
    def in_flight(self) -> int:
        """Packets of all flows that hops still hold."""
        return sum(pair.in_flight for pair in self._pairs)

    def drain(self, t: float) -> Iterator[Flow]:
        """A row for each flow and hop with packets since the last drain, stamped `t`; none for probes.

        The counts are taken at once; rows, which cost more, are made one by one as they are asked for.
        """
        taken = []
        self.probes.clear()
        for pair in self._pairs:
            for counter, came in pair.drain():
                if is_probe_flow(counter.flow):
                    packets_up, bytes_up, packets_down, bytes_down = came
                    self._probed(counter.sender, "up", packets_up, bytes_up)
                    self._probed(counter.receiver, "down", packets_down, bytes_down)
                else:
                    taken.append((counter, came))
        return self._rows(t, taken)

    def _rows(self, t: float, taken: list[tuple[FlowCounter, tuple[int, int, int, int]]]) -> Iterator[Flow]:
        for counter, (packets_up, bytes_up, packets_down, bytes_down) in taken:
            if packets_up:
                yield self._row(t, counter, "up", packets_up, bytes_up)
            if packets_down:
                yield self._row(t, counter, "down", packets_down, bytes_down)

    def _probed(self, node: str, direction: str, packets: int, size: int) -> None:
        before = self.probes.get((node, direction), (0, 0))
        self.probes[node, direction] = (before[0] + packets, before[1] + size)

    def _row(self, t: float, counter: FlowCounter, direction: str, packets: int, size: int) -> Flow:
        flow = counter.flow
        return Flow(
            t=t,
            node=counter.sender if direction == "up" else counter.receiver,
            network=self._network,
            direction=direction,
            transport=flow.transport,
            protocol=self._ports.get(flow.dport) or self._ports.get(flow.sport, ""),
            src=self._name(flow.src) or counter.sender,
            dst=self._name(flow.dst) or counter.receiver,
            sport=flow.sport,
            dport=flow.dport,
            packets=packets,
            bytes=size,
        )

    def _name(self, address: bytes) -> str:
        return self._names.get(address) or (address_text(address) if address else "")
