"""The shaper in the kernel: NetEm qdiscs around a routed gateway with one interface on the emulated network.

See `wiring` for the way that packets take, `options` for the qdiscs that conditions become.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

from wotemu.errors import EmulationError
from wotemu.records import Hop, Record
from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.netem.flow_capture import FlowClassifier, PacketRing
from wotemu_gateways.netem.hop import KernelCounters
from wotemu_gateways.netem.multicast import Fanout
from wotemu_gateways.netem.pending_requests import PendingRequests
from wotemu_gateways.netem.rate_stage import QdiscStats
from wotemu_gateways.netem.service_counters import next_observation_s
from wotemu_gateways.netem.wired_node import NOT_IPV4, UNKNOWN_ADDRESS, GatewayInterfaces, StageInterfaces
from wotemu_gateways.netem.wiring import Wiring
from wotemu_gateways.netlink import link, tc
from wotemu_gateways.netlink.request_socket import Netlink, Request
from wotemu_gateways.packets.flow_table import FlowTable
from wotemu_gateways.packets.packet_socket import packet_socket
from wotemu_gateways.shaper import Member

PREFIX = "wo-"
"""Names of interfaces made here begin with it."""

_FOR_NOBODY = bytes(12) + b"\x88\xb5" + bytes(46)
"""A frame that everything ignores: its EtherType is one for local experiments (IEEE 802)."""


class NetemShaper:
    """Imposes conditions with qdiscs of the network namespace in which it is made; needs CAP_NET_ADMIN there.

    Args:
        interface: The gateway's one interface on the emulated network.
        hops: Conditions by replica and direction; clear where there are none.
        ports: Names of protocols by port number.
        seed: Seed of the NetEm qdiscs.
        shared: Whether the network has one bucket for all nodes' packets.
        loop: Reads flows as they come, and not only at each drain.
        subnet: With a `loop`: multicasts and broadcasts are copied to each member's `Member.mac`, which has
            to be its interface's.

    Raises:
        OSError: The kernel refused something; all that was made is removed again.
    """

    name = "netem"

    def __init__(
        self,
        network: str,
        members: Sequence[Member],
        *,
        interface: str = "eth0",
        hops: Mapping[tuple[str, Direction], NetworkConditions] | None = None,
        ports: Mapping[int, str] | None = None,
        seed: int = 0,
        shared: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        subnet: IPv4Network | None = None,
    ) -> None:
        self.network = network
        self._interface = interface
        self._loop = loop
        self._rings: list[PacketRing] = []
        self._fanout: Fanout | None = None
        self._next_observation: asyncio.TimerHandle | None = None
        self._observing_took_s = 0.0
        self._netlink = Netlink()
        try:
            interfaces = self._add_interfaces(members, shared)
            floods = subnet is not None and loop is not None
            self._wiring = Wiring(interfaces, members, f"{seed}/{network}", by_mac=floods)
            self._netlink.send(*self._wiring.setup(hops or {}))
            self._wiring.confirm_all()
            self._changes = PendingRequests(self, self._wiring)
            self._capture(ports or {})
            if subnet is not None and loop is not None:
                routed_from = socket.if_indextoname(interfaces.routed_from)
                self._fanout = Fanout(routed_from, interface, subnet, members, loop)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<NetemShaper {self.network} {self._wiring!r}>"

    # Making and removing it

    def _add_interfaces(self, members: Sequence[Member], shared: bool) -> GatewayInterfaces:
        eth = link.find(self._netlink, self._interface)
        stages = ["u", "d", *(["b"] if shared else [])]
        pairs = ["seg", *(f"{stage}{part}" for stage in stages for part in ("rate", "serial"))]
        airs = [f"{PREFIX}{way}{number}" for number in range(1, len(members) + 1) for way in "ud"]
        self._netlink.send(
            *(
                link.veth(f"{PREFIX}{name}0", f"{PREFIX}{name}1", mtu=eth.mtu, peer_mac=eth.mac)
                for name in pairs
            ),
            *(link.ifb(name, mtu=eth.mtu) for name in airs),
        )
        indices = {name: index for index, name in socket.if_nameindex()}
        ends = {name: (indices[f"{PREFIX}{name}0"], indices[f"{PREFIX}{name}1"]) for name in pairs}
        self._netlink.send(*(link.up(index) for pair in ends.values() for index in pair))
        made = [StageInterfaces(ends[f"{stage}rate"], ends[f"{stage}serial"]) for stage in stages]
        return GatewayInterfaces(
            eth=eth.index,
            segment=ends["seg"],
            up=made[0],
            down=made[1],
            bucket=made[2] if shared else None,
            airs=[(indices[up], indices[down]) for up, down in zip(airs[::2], airs[1::2], strict=True)],
            last_name=f"{PREFIX}dserial1",
        )

    def _capture(self, ports: Mapping[int, str]) -> None:
        nodes = self._wiring.nodes
        self._names = {IPv4Address(node.member.ipv4).packed: name for name, node in nodes.items()}
        self._flows = FlowTable(self.network, self._names, ports)
        classifier = FlowClassifier(self._flows, self._names)
        self._rings.append(PacketRing(f"{PREFIX}seg1", "in", classifier))
        self._rings.append(PacketRing(self._interface, "out", classifier))
        if self._loop is not None:
            for ring in self._rings:
                self._loop.add_reader(ring.fileno(), ring.read)

    def close(self) -> None:
        """Remove all that was made here; packets in flight are lost. May be called twice."""
        for ring in self._rings:
            if self._loop is not None:
                self._loop.remove_reader(ring.fileno())
            ring.close()
        self._rings.clear()
        if self._fanout is not None:
            self._fanout.close()
            self._fanout = None
        if self._next_observation is not None:
            self._next_observation.cancel()
            self._next_observation = None
        for request in self._removal():
            with suppress(OSError):
                self._netlink.send(request)
        self._netlink.close()

    def _removal(self) -> Iterator[Request]:
        """Delete interfaces made here, with all that is on them, and the hooks of the emulated network's."""
        for index, name in socket.if_nameindex():
            if name == self._interface:
                yield tc.delete_qdisc(index, tc.INGRESS)
            elif name.startswith(PREFIX):
                yield link.delete(index)

    def send(self, *requests: Request) -> None:
        """See `Kernel`."""
        self._netlink.send(*requests)

    def wake_queue(self, interface: int) -> None:
        """See `Kernel`: a qdisc is run with each packet that is sent, so this sends one that nobody takes."""
        with packet_socket() as sender:
            sender.bind((socket.if_indextoname(interface), 0))
            sender.send(_FOR_NOBODY)

    # What the gateway changes

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """See `Shaper.set_hop`.

        Raises:
            EmulationError: There is a duty cycle: a run that is planned with one is not under NetEm.
        """
        if conditions.duty_cycle < 1:
            raise EmulationError("NetEm imposes no duty cycle: run it with --shaper tun")
        self._changes.set_hop(replica, direction, conditions)

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """See `Shaper.set_shared_bucket`.

        Raises:
            ValueError: The shaper was not made for a shared network.
        """
        self._changes.set_shared_bucket(conditions)

    def cut(self, replica: str, is_cut: bool) -> None:
        """See `Shaper.cut`."""
        self._changes.cut(replica, is_cut)

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """See `Shaper.partition`."""
        self._changes.partition(groups)

    def block(self, blocks: Sequence[Block]) -> None:
        """See `Shaper.block`."""
        self._changes.block(blocks)

    def move(self, replica: str, ipv4: str) -> None:
        """Shape for a replica at another address, in place.

        Raises:
            KeyError: The network has no such replica.
        """
        self._names[IPv4Address(ipv4).packed] = replica
        self._changes.move(replica, ipv4)

    # What the gateway reports

    def drain(self, t: float) -> Iterator[Record]:
        """See `Shaper.drain`."""
        self._changes.retry()
        for ring in self._rings:
            ring.read()
        flows = self._flows.drain(t)
        counters = self._counters()
        self._observe_queues(counters.qdiscs)
        rows: list[Record] = []
        for node in self._wiring.nodes.values():
            for hop in (node.up, node.down):
                cut = counters.drops[node.index(hop.place.direction)].drops
                row = hop.row(t, self.network, counters, cut=cut)
                rows.append(
                    hop.probes.subtract(row, *self._flows.probes.get((row.node, row.direction), (0, 0)))
                )
        if self._wiring.bucket is not None:
            rows.append(Hop.of_shared_rate(t, self.network, self.name, *self._wiring.bucket.take_service()))
        return chain(rows, flows)

    def _observe_queues(self, qdiscs: QdiscStats) -> None:
        """Note what waits in the queues, and look again soon where something does."""
        now_s = time.monotonic()
        for stage in self._wiring.rate_stages():
            stage.observe(now_s, qdiscs)
        waits = any(stage.service.waits for stage in self._wiring.rate_stages())
        if waits and self._loop is not None and self._next_observation is None:
            self._next_observation = self._loop.call_later(
                next_observation_s(self._observing_took_s), self._read_queues_again
            )

    def _read_queues_again(self) -> None:
        self._next_observation = None
        begun_s = time.monotonic()
        qdiscs = tc.qdisc_stats(self._netlink.dump(tc.all_qdiscs()))
        self._observing_took_s = time.monotonic() - begun_s
        self._observe_queues(qdiscs)

    def _counters(self) -> KernelCounters:
        # Packets pass meanwhile. What came is read first and what was refused last, so that losses come out
        # too small at most, never too large; the next call catches up.
        return KernelCounters(
            before=self._actions("mirred"),
            qdiscs=tc.qdisc_stats(self._netlink.dump(tc.all_qdiscs())),
            redirects=self._actions("mirred"),
            drops=self._actions("gact"),
        )

    def _actions(self, kind: str) -> dict[int, tc.Stats]:
        return tc.action_stats(self._netlink.dump(tc.all_actions(kind)))

    @property
    def losses(self) -> dict[str, int]:
        """See `Shaper.losses`."""
        counted = self._actions("gact")
        counts = {
            "unknown address": counted[UNKNOWN_ADDRESS].drops,
            "not IPv4": counted[NOT_IPV4].drops,
            "the kernel's backlog was full": sum(link.tx_drops(self._netlink, PREFIX).values()),
            "merged flows": self._flows.merged,
            "copies of multicasts": self._fanout.lost if self._fanout is not None else 0,
            "uncounted packets": sum(ring.missed for ring in self._rings),
        }
        return {what: count for what, count in counts.items() if count}
