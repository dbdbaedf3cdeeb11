"""How packets find their way through a `netem` gateway: interfaces, and classifiers between them. Pure.

What node A sends to node B goes this way, each arrow a redirect or a route in the gateway's namespace:

    eth0 in ─> wo-seg0 ═ wo-seg1 ─> wo-rate0 ═ wo-rate1 ─> wo-uA ─> routing ─> wo-dB ─> eth0 out
       A's cut      to packets     A's rate (HTB > NetEm)   A's delay  │  B's delay   B's rate (HTB > NetEm)
                                   A's queue's bound       (an ifb)    │  (an ifb)
                                                       partitions, B's cut, B's queue's bound

``═`` is a veth pair. A shared network has one more pair behind the rate, with one NetEm for all nodes'
packets. wo-seg cuts super-packets that came through a host's offloads: they would be lost, delayed and paced
as one. Delays have an interface each: newer kernels refuse a NetEm that duplicates beside others on one
interface. The ways of IPv4 packets from, or to, unknown addresses end in a drop, so nothing passes unshaped;
only ARP is left alone. A packet comes in and goes out on different interfaces, so no ICMP redirect has a
cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways import links, netem_options
from wotemu_gateways import traffic_control as tc
from wotemu_gateways.hop import CLEAR, Direction
from wotemu_gateways.netem_hop import HopPlace, NetemHop
from wotemu_gateways.netlink import Request
from wotemu_gateways.switch import Member
from wotemu_gateways.traffic_control import Action, Hook

ETHERNET_BYTES = 14
_ICMP_REDIRECT = 5

OFFERED, BUCKETED = 1 << 18, 1 << 18
STRANGER, NOT_IPV4 = 1 << 20, (1 << 20) + 1
"""Indices of counting actions. Those of replica n's hops are 2n (up) and 2n + 1 (down): of what a cut drops,
and what the rate takes; with OFFERED, of what comes to it; BUCKETED + n, of what a shared bucket takes."""

_DELIVER, _KEPT = 1, 3000
_GROUPS, _MAX_GROUPS = 1 << 16, 1 << 20
"""Chains of classifiers: what brings a packet to its receiver; where actions are kept, which no packet meets;
and one for each group of a partition, from this number on, each partition with numbers of its own."""

_FIRST, _MATCH, _ELSE, _ELSE_IPV6 = 1, 10, 20, 21


@attrs.frozen
class Interfaces:
    """The gateway's interfaces by their numbers; `lines` are those of each member's `up` and `down` delay."""

    eth: int
    segment: tuple[int, int]
    rate: tuple[int, int]
    bucket: tuple[int, int] | None
    lines: Sequence[tuple[int, int]]

    @property
    def last(self) -> int:
        """The interface at which packets come out of the shaping of `up` hops."""
        return (self.bucket or self.rate)[1]


class Node:
    """One replica: `number` is what its classes, classifiers and actions are known by."""

    def __init__(self, number: int, member: Member, wiring: Wiring, seed: str) -> None:
        at, name = wiring.interfaces, member.replica
        self.number = number
        self.member = member
        self.up_line, self.down_line = at.lines[number - 1]
        up = HopPlace(name, "up", number, at.rate[0], self.up_line, ETHERNET_BYTES)
        down = HopPlace(name, "down", number, at.eth, self.down_line, 0)
        self.up = NetemHop(up, seed, lambda: wiring.into_rate(self))
        self.down = NetemHop(down, seed, lambda: wiring.to_receiver(self))
        self.cut = False
        self.chain: int | None = None

    def __repr__(self) -> str:
        return f"<Node {self.number} {self.member.replica}{' cut' if self.cut else ''}>"

    def index(self, direction: Direction) -> int:
        """Which counting actions are its hop's."""
        return 2 * self.number + (direction == "down")


class Wiring:
    """Knows each node's way, and so the requests that make it and change it."""

    def __init__(self, interfaces: Interfaces, members: Sequence[Member], seed: str) -> None:
        self.interfaces = interfaces
        self.nodes = {member.replica: Node(i, member, self, seed) for i, member in enumerate(members, 1)}
        self._next_chain = _GROUPS
        self._chains = range(0)
        self._abandoned: list[int] = []

    def __repr__(self) -> str:
        return f"<Wiring of {len(self.nodes)} nodes>"

    # Making it

    def all(self, hops: Mapping[tuple[str, Direction], NetworkConditions]) -> Iterator[Request]:
        """All that a packet meets; what lets it into the gateway comes last."""
        at = self.interfaces
        for interface in (at.eth, at.segment[1], at.rate[1], *(at.bucket or ())[1:]):
            yield tc.clsact(interface)
        yield from self._counters()
        for interface in (at.rate[0], at.eth):
            yield tc.qdisc(interface, "htb", tc.htb(), new=True)
        for name, node in self.nodes.items():
            yield from node.up.impose(hops.get((name, "up"), CLEAR))
            yield from node.down.impose(hops.get((name, "down"), CLEAR))
        if at.bucket is not None:
            yield tc.qdisc(at.bucket[0], "netem", netem_options.serialising(CLEAR).encode(), new=True)
            yield self._into_bucket(netem_options.entrance(CLEAR))
        yield links.ipv4_settings(at.last, forwarding=1, rp_filter=0, send_redirects=0)
        yield from self._closed_ends()
        for node in self.nodes.values():
            yield from self.way(node)

    def _counters(self) -> Iterator[Request]:
        at = self.interfaces
        kept: list[tuple[Action, int]] = [(tc.drop(STRANGER), STRANGER), (tc.drop(NOT_IPV4), NOT_IPV4)]
        for node in self.nodes.values():
            up, down = node.index("up"), node.index("down")
            for index in (up, down):
                kept += [(tc.drop(index), index), (tc.count(OFFERED + index), OFFERED + index)]
            kept += [(tc.redirect(at.rate[0], up), up), (tc.redirect(node.down_line, down), down)]
            if at.bucket is not None:
                index = BUCKETED + node.number
                kept.append((tc.redirect(at.bucket[0], index), index))
        for action, index in kept:
            yield tc.keep(Hook(at.eth, tc.EGRESS, _MATCH, _KEPT), action, index)

    def _closed_ends(self) -> Iterator[Request]:
        """What becomes of packets that no member sent, or that are for none."""
        eth = self.interfaces.eth
        yield tc.every(Hook(eth, tc.INGRESS, _ELSE), tc.drop(STRANGER))
        yield tc.every(Hook(eth, tc.INGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop(NOT_IPV4))
        yield tc.every(Hook(eth, tc.EGRESS, _ELSE, _DELIVER), tc.drop(STRANGER))
        yield tc.match(Hook(eth, tc.EGRESS, _FIRST), 1, tc.icmp_of_type(_ICMP_REDIRECT), tc.drop(STRANGER))
        yield tc.every(Hook(eth, tc.EGRESS, _ELSE), tc.go_to(_DELIVER))
        yield tc.every(Hook(eth, tc.EGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop())

    def hop(self, replica: str, direction: Direction) -> NetemHop:
        """One hop; `KeyError`: no such replica here."""
        node = self.nodes[replica]
        return node.up if direction == "up" else node.down

    def confirm_all(self) -> None:
        """The kernel has taken `all`."""
        for node in self.nodes.values():
            node.up.confirm()
            node.down.confirm()

    # One node's way, from its end back to its beginning

    def way(self, node: Node) -> Iterator[Request]:
        """The classifiers that pick one node's packets."""
        at, number = self.interfaces, node.number
        sent = tc.from_address(node.member.ipv4)
        yield self.to_receiver(node)
        yield self._from_sender(node)
        yield tc.match(Hook(at.last, tc.INGRESS, _MATCH), number, sent, tc.redirect(node.up_line))
        if at.bucket is not None:
            into = tc.redirect(at.bucket[0], BUCKETED + number)
            yield tc.match(Hook(at.rate[1], tc.INGRESS, _MATCH, _DELIVER), number, sent, into)
        yield self.into_rate(node)
        yield self._into_gateway(node)

    def to_receiver(self, node: Node) -> Request:
        """What is for a node goes to its `down` hop, unless it is cut."""
        hook = Hook(self.interfaces.eth, tc.EGRESS, _MATCH, _DELIVER)
        keys, index = tc.to_address(node.member.ipv4), node.index("down")
        if node.cut:
            return tc.match(hook, node.number, keys, tc.drop(index))
        return tc.match(hook, node.number, keys, *_entering(node, node.down, index, node.down_line))

    def _from_sender(self, node: Node) -> Request:
        """What a node sent goes on by the group in which it is."""
        hook = Hook(self.interfaces.eth, tc.EGRESS, _MATCH)
        chain = _DELIVER if node.chain is None else node.chain
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), tc.go_to(chain))

    def _into_bucket(self, entrance: Action) -> Request:
        hook = Hook(self.interfaces.rate[1], tc.INGRESS, _MATCH)
        return tc.match(hook, 1, tc.ANY, entrance, tc.go_to(_DELIVER))

    def into_rate(self, node: Node) -> Request:
        """What a node sends goes to its `up` hop."""
        hook = Hook(self.interfaces.segment[1], tc.INGRESS, _MATCH)
        entering = _entering(node, node.up, node.index("up"), self.interfaces.rate[0])
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), *entering)

    def _into_gateway(self, node: Node) -> Request:
        """What a node sends is let in, unless it is cut."""
        then = tc.drop(node.index("up")) if node.cut else tc.redirect(self.interfaces.segment[0])
        hook = Hook(self.interfaces.eth, tc.INGRESS, _MATCH)
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), then)

    # Changes

    def cut(self, replica: str, is_cut: bool) -> list[Request]:
        """Let nothing into or out of a replica, or let it again."""
        node = self.nodes[replica]
        node.cut = is_cut
        return [self._into_gateway(node), self.to_receiver(node)]

    def move(self, replica: str, ipv4: str) -> list[Request]:
        """Know a replica by another address."""
        node = self.nodes[replica]
        node.member = attrs.evolve(node.member, ipv4=ipv4)
        return list(self.way(node))

    def bucket(self, conditions: NetworkConditions) -> list[Request]:
        """Give the shared bucket a rate and a queue; it has no bursts, and loses nothing at random."""
        if self.interfaces.bucket is None:
            raise ValueError("this is no shared network")
        plain = attrs.evolve(conditions, burst=None, loss=0.0, loss_model=None)
        options = netem_options.serialising(plain).encode()
        return [
            self._into_bucket(netem_options.entrance(plain, unseen_bytes=ETHERNET_BYTES)),
            tc.qdisc(self.interfaces.bucket[0], "netem", options),
        ]

    def partition(self, groups: Sequence[Collection[str]]) -> list[Request]:
        """Keep sets of replicas apart, all at once for each sender; see `Shaper.partition`.

        Each call builds chains of its own, since after a failed one some senders still use those before.
        """
        sets = [set(group) for group in groups]
        if len(sets) == 1:
            sets.append(set(self.nodes) - sets[0])
        self._abandoned += self._chains
        first = self._next_chain
        self._next_chain = _GROUPS + (first + len(sets) - _GROUPS) % _MAX_GROUPS
        self._chains = range(first, first + len(sets))
        for name, node in self.nodes.items():
            group = next((i for i, names in enumerate(sets) if name in names), None)
            node.chain = None if group is None else first + group
        requests = [request for chain in self._chains for request in self._group(chain)]
        return requests + [self._from_sender(node) for node in self.nodes.values()]

    def abandoned_chains(self) -> list[Request]:
        """Take away chains that no sender uses once the kernel has taken what `partition` asked for."""
        abandoned, self._abandoned = self._abandoned, []
        return [tc.no_chain(self._chain(chain)) for chain in abandoned]

    def _chain(self, number: int) -> Hook:
        return Hook(self.interfaces.eth, tc.EGRESS, _MATCH, number)

    def _group(self, chain: int) -> Iterator[Request]:
        """The chain of what one group of a partition sends."""
        yield tc.every(Hook(self.interfaces.eth, tc.EGRESS, _ELSE, chain), tc.go_to(_DELIVER))
        for node in self.nodes.values():
            if node.chain not in (None, chain):
                keys = tc.to_address(node.member.ipv4)
                yield tc.match(self._chain(chain), node.number, keys, tc.drop(node.index("down")))


def _entering(node: Node, hop: NetemHop, index: int, interface: int) -> tuple[Action, ...]:
    """Counted, if there is room put into the node's class, counted again, and off."""
    return (
        tc.count(OFFERED + index),
        hop.entrance,
        tc.choose_class(node.number),
        tc.redirect(interface, index),
    )
