"""The shaper in the kernel: NetEm qdiscs around a routed gateway with one interface on the emulated network.

What node A sends to node B goes this way, each arrow a redirect or a route in this network namespace:

    eth0 in ─> wo-seg0 ═ wo-seg1 ─> wo-rate0 ═ wo-rate1 ─> wo-uA ─> routing ─> wo-dB ─> eth0 out
       A's cut      to packets     A's rate (HTB > NetEm)   A's delay  │  B's delay   B's rate (HTB > NetEm)
                                   A's queue's bound       (an ifb)    │  (an ifb)
                                                       partitions, B's cut, B's queue's bound

``═`` is a veth pair. A shared network has one more pair behind the rate, with one NetEm for all
nodes' packets.
wo-seg cuts super-packets that came through a host's offloads: they would be lost, delayed and paced as one.
Delays have an interface each: newer kernels refuse a NetEm that duplicates beside others on one interface.
The ways of IPv4 packets from, or to, unknown addresses end in a drop, so nothing passes unshaped; only ARP
is left alone. A packet comes in and goes out on different interfaces, so no ICMP redirect has a cause.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address

import attrs

from wotemu.records import Hop, Record
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways import links, netem_options
from wotemu_gateways import traffic_control as tc
from wotemu_gateways.flows import FlowTable
from wotemu_gateways.hop import CLEAR, Direction
from wotemu_gateways.netem_hop import HopPlace, NetemHop
from wotemu_gateways.netlink import Netlink, Request
from wotemu_gateways.switch import Member
from wotemu_gateways.tap import Counting, Tap
from wotemu_gateways.traffic_control import Hook

PREFIX = "wo-"
"""Names of interfaces made here begin so."""

_ETHERNET_BYTES = 14
_ICMP_REDIRECT = 5
_STRANGER, _NOT_IPV4, _BUCKET = 1 << 20, (1 << 20) + 1, 1 << 20
"""Indices of actions that are no replica's; those of replica n are 2n (up) and 2n + 1 (down)."""

_DELIVER, _KEPT = 1, 3000
_GROUPS = (1000, 2000)
"""Chains of classifiers: what brings a packet to its receiver; where actions are kept, which no packet meets;
and one for each group of a partition, from either number on in turn."""

_FIRST, _MATCH, _ELSE, _ELSE_IPV6 = 1, 10, 20, 21


@attrs.define
class Node:
    """One replica: `number` is what its classes, classifiers and actions are known by."""

    number: int
    member: Member
    up: NetemHop
    down: NetemHop
    up_line: int
    down_line: int
    cut: bool = False
    group: int | None = None

    @property
    def up_drop(self) -> int:
        """The index of the action that drops what it sends."""
        return 2 * self.number

    @property
    def down_drop(self) -> int:
        """The index of the action that drops what is for it."""
        return 2 * self.number + 1


@attrs.frozen
class Interfaces:
    """The gateway's interfaces by their numbers. `last` is where the way to routing begins."""

    eth: int
    segment: tuple[int, int]
    rate: tuple[int, int]
    bucket: tuple[int, int] | None

    @property
    def last(self) -> int:
        """The interface at which packets come out of the shaping of `up` hops."""
        return (self.bucket or self.rate)[1]


class NetemShaper:
    """Imposes conditions with qdiscs of the network namespace in which it is made; needs CAP_NET_ADMIN there.

    `hops` gives conditions by replica and direction (none: clear); `ports` names protocols by port number.
    With a `loop`, flows are read as they come, and not only at each drain. `OSError` says what the kernel
    refused; nothing is left then.
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
    ) -> None:
        self.network = network
        self._interface = interface
        self._seed = f"{seed}/{network}"
        self._netlink = Netlink()
        self._loop = loop
        self._taps: list[Tap] = []
        self._generation = 0
        self._chains = range(0)
        self._bucket: bytes | None = None
        try:
            self._interfaces = self._add_interfaces(interface, members, shared)
            self._nodes = {member.replica: self._node(i, member) for i, member in enumerate(members, 1)}
            self._netlink.send(*self._wiring(hops or {}))
            self._tap(interface, ports or {})
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<NetemShaper {self.network} {len(self._nodes)} nodes>"

    # Making it

    def _add_interfaces(self, interface: str, members: Sequence[Member], shared: bool) -> Interfaces:
        eth = links.find(self._netlink, interface)
        pairs = ["seg", "rate", *(["bucket"] if shared else [])]
        lines = [f"{way}{number}" for number in range(1, len(members) + 1) for way in "ud"]
        self._netlink.send(
            *(
                links.veth(f"{PREFIX}{name}0", f"{PREFIX}{name}1", mtu=eth.mtu, peer_mac=eth.mac)
                for name in pairs
            ),
            *(links.ifb(f"{PREFIX}{name}", mtu=eth.mtu) for name in lines),
        )
        segment, rate, *more = ends = [_pair(name) for name in pairs]
        self._netlink.send(*(links.up(index) for pair in ends for index in pair))
        return Interfaces(eth.index, segment, rate, more[0] if more else None)

    @property
    def _kept(self) -> Hook:
        return Hook(self._interfaces.eth, tc.EGRESS, _MATCH, _KEPT)

    def _node(self, number: int, member: Member) -> Node:
        up_line, down_line = (links.index_of(f"{PREFIX}{way}{number}") for way in "ud")
        at, kept, name = self._interfaces, self._kept, member.replica
        up = HopPlace(name, "up", number, at.rate[0], up_line, 2 * number, kept, _ETHERNET_BYTES)
        down = HopPlace(name, "down", number, at.eth, down_line, 2 * number + 1, kept, 0)
        return Node(number, member, NetemHop(up, self._seed), NetemHop(down, self._seed), up_line, down_line)

    def _wiring(self, hops: Mapping[tuple[str, Direction], NetworkConditions]) -> Iterator[Request]:
        """All that a packet meets; what lets it into the gateway comes last."""
        at = self._interfaces
        for interface in (at.eth, at.segment[1], at.rate[1], *(at.bucket or ())[1:]):
            yield tc.clsact(interface)
        for index in (
            _STRANGER,
            _NOT_IPV4,
            *(i for node in self._nodes.values() for i in (node.up_drop, node.down_drop)),
        ):
            yield tc.keep(self._kept, tc.drop(index), index, new=True)
        for interface in (at.rate[0], at.eth):
            yield tc.qdisc(interface, "htb", tc.htb(), new=True)
        for node in self._nodes.values():
            yield from node.up.impose(hops.get((node.member.replica, "up"), CLEAR))
            yield from node.down.impose(hops.get((node.member.replica, "down"), CLEAR))
        if at.bucket is not None:
            yield from self._bucket_parts(at.bucket[0])
        yield links.ipv4_settings(at.last, forwarding=1, rp_filter=0, send_redirects=0)
        yield from self._closed_ends()
        for node in self._nodes.values():
            yield from self._way(node)

    def _bucket_parts(self, interface: int) -> Iterator[Request]:
        yield tc.keep(self._kept, netem_options.entrance(CLEAR, _BUCKET), _BUCKET, new=True)
        yield tc.qdisc(interface, "netem", netem_options.serialising(CLEAR).encode(), new=True)
        for node in self._nodes.values():
            yield tc.keep(self._kept, tc.redirect(interface, node.number), node.number, new=True)

    def _closed_ends(self) -> Iterator[Request]:
        """What becomes of packets that no member sent, or that are for none."""
        eth = self._interfaces.eth
        yield tc.every(Hook(eth, tc.INGRESS, _ELSE), tc.drop(_STRANGER))
        yield tc.every(Hook(eth, tc.INGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop(_NOT_IPV4))
        yield tc.every(Hook(eth, tc.EGRESS, _ELSE, _DELIVER), tc.drop(_STRANGER))
        yield tc.match(Hook(eth, tc.EGRESS, _FIRST), 1, tc.icmp_of_type(_ICMP_REDIRECT), tc.drop(_STRANGER))
        yield tc.every(Hook(eth, tc.EGRESS, _ELSE), tc.go_to(_DELIVER))
        yield tc.every(Hook(eth, tc.EGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop())

    def _way(self, node: Node) -> Iterator[Request]:
        """The classifiers that pick one node's packets, from its last one back to its first."""
        at, number = self._interfaces, node.number
        sent = tc.from_address(node.member.ipv4)
        yield self._to_receiver(node)
        yield self._from_sender(node)
        to_line = tc.redirect(node.up_line)
        if at.bucket is None:
            yield tc.match(Hook(at.rate[1], tc.INGRESS, _MATCH), number, sent, to_line)
        else:
            queued = (tc.police(_BUCKET), tc.redirect(at.bucket[0], number))
            yield tc.match(Hook(at.bucket[1], tc.INGRESS, _MATCH), number, sent, to_line)
            yield tc.match(Hook(at.rate[1], tc.INGRESS, _MATCH), number, sent, *queued)
        into = (tc.police(node.up_drop), tc.choose_class(number), tc.redirect(at.rate[0]))
        yield tc.match(Hook(at.segment[1], tc.INGRESS, _MATCH), number, sent, *into)
        yield self._into_gateway(node)

    def _into_gateway(self, node: Node) -> Request:
        then = tc.drop(node.up_drop) if node.cut else tc.redirect(self._interfaces.segment[0])
        hook = Hook(self._interfaces.eth, tc.INGRESS, _MATCH)
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), then)

    def _to_receiver(self, node: Node) -> Request:
        hook = Hook(self._interfaces.eth, tc.EGRESS, _MATCH, _DELIVER)
        keys = tc.to_address(node.member.ipv4)
        if node.cut:
            return tc.match(hook, node.number, keys, tc.drop(node.down_drop))
        into = (tc.police(node.down_drop), tc.choose_class(node.number), tc.redirect(node.down_line))
        return tc.match(hook, node.number, keys, *into)

    def _from_sender(self, node: Node) -> Request:
        chain = _DELIVER if node.group is None else _GROUPS[self._generation] + node.group
        hook = Hook(self._interfaces.eth, tc.EGRESS, _MATCH)
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), tc.go_to(chain))

    def _tap(self, interface: str, ports: Mapping[int, str]) -> None:
        names = {IPv4Address(node.member.ipv4).packed: name for name, node in self._nodes.items()}
        self._flows = FlowTable(self.network, names, ports)
        counting = Counting(self._flows, names)
        self._taps.append(Tap(f"{PREFIX}seg1", "in", counting))
        self._taps.append(Tap(interface, "out", counting))
        if self._loop is not None:
            for tap in self._taps:
                self._loop.add_reader(tap.fileno(), tap.read)

    # What the gateway changes

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """Impose other conditions on one hop, in place and in one call. `KeyError`: no such replica here."""
        node = self._nodes[replica]
        self._netlink.send(*(node.up if direction == "up" else node.down).impose(conditions))

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """Send what all nodes put on the network through one bucket with these conditions' rate and queue."""
        at = self._interfaces
        if at.bucket is None:
            if conditions is not None and conditions.rate is not None:
                raise ValueError(f"the shaper of {self.network!r} was not made for a shared network")
            return
        conditions = attrs.evolve(conditions or CLEAR, burst=None, loss=0.0, loss_model=None)
        entrance = netem_options.entrance(conditions, _BUCKET, unseen_bytes=_ETHERNET_BYTES)
        self._netlink.send(
            tc.keep(self._kept, entrance, _BUCKET),
            tc.qdisc(at.bucket[0], "netem", netem_options.serialising(conditions).encode()),
        )

    def cut(self, replica: str, is_cut: bool) -> None:
        """Let nothing into or out of a replica, or let it again."""
        node = self._nodes[replica]
        node.cut = is_cut
        self._netlink.send(self._into_gateway(node), self._to_receiver(node))

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """Keep sets of replicas from reaching each other; a single one is kept from all others.

        Replicas that no set names reach, and are reached by, all; no set heals the network.
        """
        sets = [set(group) for group in groups]
        if len(sets) == 1:
            sets.append(set(self._nodes) - sets[0])
        before = self._chains
        self._generation = 1 - self._generation
        self._chains = range(_GROUPS[self._generation], _GROUPS[self._generation] + len(sets))
        for name, node in self._nodes.items():
            node.group = next((i for i, names in enumerate(sets) if name in names), None)
        requests = [request for i in range(len(sets)) for request in self._group(i)]
        requests += [self._from_sender(node) for node in self._nodes.values()]
        requests += [tc.no_chain(self._chain(chain)) for chain in before]
        self._netlink.send(*requests)

    def _chain(self, number: int) -> Hook:
        return Hook(self._interfaces.eth, tc.EGRESS, _MATCH, number)

    def _group(self, group: int) -> Iterator[Request]:
        """The chain of what one group of a partition sends."""
        chain = _GROUPS[self._generation] + group
        yield tc.every(Hook(self._interfaces.eth, tc.EGRESS, _ELSE, chain), tc.go_to(_DELIVER))
        for node in self._nodes.values():
            if node.group not in (None, group):
                keys = tc.to_address(node.member.ipv4)
                yield tc.match(self._chain(chain), node.number, keys, tc.drop(node.down_drop))

    # What the gateway reports

    def drain(self, t: float) -> list[Record]:
        """Rows for each hop, and each flow with packets, since the last drain, stamped `t`."""
        for tap in self._taps:
            tap.read()
        rows: list[Record] = list(self._flows.drain(t))
        qdiscs = tc.qdisc_stats(self._netlink.dump(tc.all_qdiscs()))
        polices, drops = self._actions("police"), self._actions("gact")
        passed = self._actions("mirred") if self._interfaces.bucket is not None else {}
        for node in self._nodes.values():
            kept_out = node.up.passed_rate(qdiscs) - passed[node.number].packets if passed else 0
            cuts = (drops[node.up_drop].drops, drops[node.down_drop].drops)
            up = node.up.row(t, self.network, qdiscs, polices, cuts[0], kept_out)
            down = node.down.row(t, self.network, qdiscs, polices, cuts[1], 0)
            rows += [self._without_probes(up), self._without_probes(down)]
        return rows

    def _without_probes(self, row: Hop) -> Hop:
        """Probes are no app's packets. (Of those that are lost the kernel does not say whose they were.)"""
        packets, size = self._flows.probes.get((row.node, row.direction), (0, 0))
        if not packets:
            return row
        return attrs.evolve(row, sent=max(row.sent - packets, 0), sent_bytes=max(row.sent_bytes - size, 0))

    def _actions(self, kind: str) -> dict[int, tc.Stats]:
        return tc.action_stats(self._netlink.dump(tc.all_actions(kind)))

    @property
    def losses(self) -> dict[str, int]:
        """What was not forwarded or not counted by itself, by reason, since the start."""
        drops = self._actions("gact")
        counts = {
            "unknown address": drops[_STRANGER].drops,
            "not IPv4": drops[_NOT_IPV4].drops,
            "merged flows": self._flows.merged,
            "uncounted packets": sum(tap.missed for tap in self._taps),
        }
        return {what: count for what, count in counts.items() if count}

    def close(self) -> None:
        """Take everything away that was made here; what is under way is lost. May be called twice."""
        for tap in self._taps:
            if self._loop is not None:
                self._loop.remove_reader(tap.fileno())
            tap.close()
        self._taps.clear()
        for request in self._removal():
            with suppress(OSError):
                self._netlink.send(request)
        self._netlink.close()

    def _removal(self) -> Iterator[Request]:
        """Interfaces made here go with all that is on them; the emulated network's keeps only itself."""
        for index, name in socket.if_nameindex():
            if name == self._interface:
                yield tc.no_qdisc(index, tc.INGRESS)
                yield tc.no_qdisc(index, tc.ROOT)
            elif name.startswith(PREFIX):
                yield links.delete(index)


def _pair(name: str) -> tuple[int, int]:
    return links.index_of(f"{PREFIX}{name}0"), links.index_of(f"{PREFIX}{name}1")
