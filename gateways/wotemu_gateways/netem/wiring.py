"""The paths of packets through a `netem` gateway: interfaces, and classifiers between them. Pure.

What node A sends to node B goes this way, each arrow a redirect or a route in the gateway's namespace:

    eth0 in ─> wo-seg ─> wo-urate ─> wo-userial ─> wo-uA ─> routing ─> eth0 out ─> wo-drate ─> wo-dserial
       A's cut           A's queue   A's own       A's air   partitions, B's cut   B's queue   B's own
                         and rate    time on                                       and rate    time on
                                     the line                                                  the line
    ─> eth0 out ─> wo-dB ─> eth0
                   B's air

wo-seg, -rate and -serial are veth pairs, which all nodes share: packets go in at the end 0 and come out at
the end 1. On a shared network there are wo-brate and wo-bserial between wo-userial and wo-uA, with one queue
for all nodes' packets. wo-seg cuts super-packets that came through a host's offloads, which would be lost,
delayed and paced as one, and takes packets off their senders' accounts. wo-uA and wo-dB are ifbs, which give
packets back to where they were redirected from. Each air has an interface of its own: newer kernels refuse a
NetEm that duplicates beside others on one interface.

IPv4 packets from, or to, unknown addresses end in a drop, so nothing passes unshaped; only ARP is left alone.
A packet is routed in on one interface and out on another, so no ICMP redirect has a cause.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.conditions.partition import Partition, group_of, partition_of
from wotemu_gateways.netem import options
from wotemu_gateways.netem.hop import HopPlace, NetemHop
from wotemu_gateways.netem.rate_stage import RateStage, StagePlace
from wotemu_gateways.netlink import link, tc
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, Attributes, Request
from wotemu_gateways.netlink.tc import Hook, TcAction
from wotemu_gateways.shaper import Member

_ICMP_REDIRECT = 5  # RFC 792

_TO_SERIAL, _TO_BUCKET, UNKNOWN_ADDRESS = 1 << 17, 1 << 18, 1 << 20
NOT_IPV4 = UNKNOWN_ADDRESS + 1
"""Indices of actions, each kind in a range of its own.

Those of replica n's hops are 2n (up) and 2n + 1 (down): the counting drops of a cut, and the redirects to the
air. From _TO_SERIAL on there are the redirects to the packet's own time on the line. _TO_BUCKET + n is the
redirect to a shared network's bucket. UNKNOWN_ADDRESS and NOT_IPV4 are counting drops.
"""

_DELIVER, _AIR, _HELD = 1, 2, 3000
_GROUPS, _MAX_GROUPS = 1 << 16, 1 << 20
"""Chains of classifiers: to the receiver's rate; from there to its air; the one that no packet is sent to,
which holds actions; and one for each group of a partition, from _GROUPS on, each partition with its own."""

_FIRST, _SECOND, _MATCH, _ELSE, _ELSE_IPV6 = 1, 2, 10, 20, 21
"""Priorities of classifiers, the lowest first. One priority holds one protocol and kind of classifier."""

_BUCKET_MINOR = 1

Pair = tuple[int, int]
"""Interface numbers of the ends of a veth pair: where packets go in, and where they come out."""


@attrs.frozen
class StageInterfaces:
    """The veth pairs of all rate stages of one kind, see `RateStage`."""

    rate: Pair
    serial: Pair

    def place(self, minor: int) -> StagePlace:
        """Where one node's part of it is."""
        return StagePlace(minor, self.rate[0], self.serial[0])


@attrs.frozen
class GatewayInterfaces:
    """The gateway's interfaces by their numbers.

    Attributes:
        eth: The one on the emulated network.
        segment: Where packets are segmented and taken off their senders' accounts.
        airs: The ifbs of each member's `up` and `down` air.
        last_name: The name of the end at which packets leave the rate stages of `down`.
    """

    eth: int
    segment: Pair
    up: StageInterfaces
    down: StageInterfaces
    bucket: StageInterfaces | None
    airs: Sequence[tuple[int, int]]
    last_name: str

    @property
    def stages(self) -> tuple[StageInterfaces, ...]:
        """All rate stages."""
        return (self.up, self.down, *([self.bucket] if self.bucket is not None else []))

    @property
    def routed_from(self) -> int:
        """The interface from which the gateway's namespace routes packets."""
        return (self.bucket or self.up).serial[1]


class WiredNode:
    """One replica in the wiring.

    Args:
        number: From 1 on; the kernel's numbers of its classes, classifiers and actions follow from it.
        interfaces: Those of the gateway.
        held_packets: How many packets each of its delays may hold.
        seed: Seed of its NetEm qdiscs.

    Attributes:
        cut: Whether it is cut off the network.
        chain: The chain of its group in a partition; None where it is in none.
        blocked: The chain of the blocks of what it sends; None where there are none.
    """

    def __init__(
        self, number: int, member: Member, interfaces: GatewayInterfaces, held_packets: int, seed: str
    ) -> None:
        self.number = number
        self.member = member
        self.up = NetemHop(self._place(interfaces, "up"), held_packets, seed)
        self.down = NetemHop(self._place(interfaces, "down"), held_packets, seed)
        self.cut = False
        self.chain: int | None = None
        self.blocked: int | None = None

    def _place(self, at: GatewayInterfaces, direction: Direction) -> HopPlace:
        stage, which = (at.up, 0) if direction == "up" else (at.down, 1)
        index = self.index(direction)
        return HopPlace(
            replica=self.member.replica,
            direction=direction,
            stage=stage.place(self.number),
            air=at.airs[self.number - 1][which],
            to_serial=_TO_SERIAL + index,
            to_air=index,
            bucket=_TO_BUCKET + self.number if at.bucket is not None and direction == "up" else None,
        )

    def __repr__(self) -> str:
        return f"<WiredNode {self.number} {self.member.replica}{' cut' if self.cut else ''}>"

    def index(self, direction: Direction) -> int:
        """The index of the hop's counting drop, and of its redirect to the air."""
        return 2 * self.number + (direction == "down")


class Wiring:
    """Makes the requests that set up each node's path through the gateway, and that change it.

    Args:
        seed: Seed of the NetEm qdiscs.
        by_mac: A packet's receiver is the member with its destination's MAC, not with its IPv4 address.
    """

    def __init__(
        self, interfaces: GatewayInterfaces, members: Sequence[Member], seed: str, *, by_mac: bool = False
    ) -> None:
        self.interfaces = interfaces
        self._by_mac = by_mac
        self.held_packets = options.held_packets(len(members))
        self.nodes = {
            member.replica: WiredNode(number, member, interfaces, self.held_packets, seed)
            for number, member in enumerate(members, 1)
        }
        self.bucket = None
        if interfaces.bucket is not None:
            self.bucket = RateStage(
                interfaces.bucket.place(_BUCKET_MINOR), self.held_packets, lambda: _seed_of(seed)
            )
        self._next_chain = _GROUPS
        self._chains = range(0)
        self._partition: Partition = ()
        self._blocks: Sequence[Block] = ()
        self._abandoned: list[int] = []

    def __repr__(self) -> str:
        return f"<Wiring of {len(self.nodes)} nodes>"

    def rate_stages(self) -> Iterator[RateStage]:
        """All queues with a rate: each hop's, and a shared network's."""
        for node in self.nodes.values():
            yield from (node.up.stage, node.down.stage)
        if self.bucket is not None:
            yield self.bucket

    # Making it

    def setup(self, hops: Mapping[tuple[str, Direction], NetworkConditions]) -> Iterator[Request]:
        """The requests that set everything up. Packets are let in last, so that none passes unshaped."""
        at = self.interfaces
        exits = [end for stage in at.stages for end in (stage.rate[1], stage.serial[1])]
        for interface in (at.eth, at.segment[1], *exits):
            yield tc.clsact(interface)
        yield from self._held_actions()
        yield tc.qdisc(at.segment[0], "netem", options.RELEASING.encode(), flags=CREATE | EXCL)
        for stage in at.stages:
            for interface in (stage.rate[0], stage.serial[0]):
                yield tc.qdisc(interface, "htb", tc.htb(), flags=CREATE | EXCL)
        for name, node in self.nodes.items():
            yield from node.up.impose(hops.get((name, "up"), CLEAR))
            yield from node.down.impose(hops.get((name, "down"), CLEAR))
        if at.bucket is not None and self.bucket is not None:
            yield from self.bucket.impose(CLEAR)
            yield self._into(
                at.bucket.rate[1], tc.choose_class(_BUCKET_MINOR), tc.redirect(at.bucket.serial[0])
            )
        yield self._into(at.down.serial[1], tc.redirect(at.eth))
        yield link.ipv4_settings(at.routed_from, forwarding=1, rp_filter=0, send_redirects=0)
        yield from self._closed_ends()
        for node in self.nodes.values():
            yield from self.node_requests(node)

    @staticmethod
    def _into(interface: int, *actions: TcAction) -> Request:
        """Apply actions to all packets that come out at an interface."""
        return tc.match_all(Hook(interface, tc.INGRESS, _MATCH), *actions)

    def _held_actions(self) -> Iterator[Request]:
        at = self.interfaces
        held: list[tuple[TcAction, int]] = [
            (tc.drop(UNKNOWN_ADDRESS), UNKNOWN_ADDRESS),
            (tc.drop(NOT_IPV4), NOT_IPV4),
        ]
        for node in self.nodes.values():
            for hop, stage in ((node.up, at.up), (node.down, at.down)):
                place = hop.place
                cut = node.index(place.direction)
                held.append((tc.drop(cut), cut))
                held.append((tc.redirect(place.air, place.to_air), place.to_air))
                held.append((tc.redirect(stage.serial[0], place.to_serial), place.to_serial))
                if place.bucket is not None and at.bucket is not None:
                    held.append((tc.redirect(at.bucket.rate[0], place.bucket), place.bucket))
        for action, index in held:
            yield tc.hold_action(Hook(at.eth, tc.EGRESS, _MATCH, _HELD), action, index)

    def _closed_ends(self) -> Iterator[Request]:
        """Drop, and count, packets that no member sent or that are for none."""
        at, eth = self.interfaces, self.interfaces.eth
        yield tc.match_all(Hook(eth, tc.INGRESS, _ELSE), tc.drop(UNKNOWN_ADDRESS))
        yield tc.match_all(Hook(eth, tc.INGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop(NOT_IPV4))
        yield tc.match_all(Hook(eth, tc.EGRESS, _ELSE, _AIR), tc.drop(UNKNOWN_ADDRESS))
        yield tc.match(Hook(eth, tc.EGRESS, _FIRST), 1, tc.from_interface(at.last_name), tc.goto_chain(_AIR))
        yield tc.match_all(Hook(eth, tc.EGRESS, _ELSE, _DELIVER), tc.drop(UNKNOWN_ADDRESS))
        redirects = tc.icmp_of_type(_ICMP_REDIRECT)
        yield tc.match(Hook(eth, tc.EGRESS, _SECOND), 1, redirects, tc.drop(UNKNOWN_ADDRESS))
        yield tc.match_all(Hook(eth, tc.EGRESS, _ELSE), tc.goto_chain(_DELIVER))
        yield tc.match_all(Hook(eth, tc.EGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop())

    def hop(self, replica: str, direction: Direction) -> NetemHop:
        """One hop; `KeyError`: no such replica here."""
        node = self.nodes[replica]
        return node.up if direction == "up" else node.down

    def confirm_all(self) -> None:
        """Note that the kernel has carried out `setup`."""
        for node in self.nodes.values():
            node.up.confirm()
            node.down.confirm()
        if self.bucket is not None:
            self.bucket.confirm()

    # One node's path, from its end back to its start: a packet that is let in finds the rest in place

    def node_requests(self, node: WiredNode) -> Iterator[Request]:
        """The classifiers for one node's packets."""
        at, up, down = self.interfaces, node.up.place, node.down.place
        own_class = tc.choose_class(node.number)
        yield self._match_receiver(
            node, Hook(at.eth, tc.EGRESS, _MATCH, _AIR), tc.redirect(down.air, down.to_air)
        )
        to_serial = tc.redirect(at.down.serial[0], down.to_serial)
        yield self._match_receiver(node, Hook(at.down.rate[1], tc.INGRESS, _MATCH), own_class, to_serial)
        yield self.to_receiver(node)
        yield self._from_sender(node)
        to_air = tc.redirect(up.air, up.to_air)
        yield self._match_sender(node, Hook(at.routed_from, tc.INGRESS, _MATCH), to_air)
        if at.bucket is not None and up.bucket is not None:
            shared = (tc.choose_class(_BUCKET_MINOR), tc.redirect(at.bucket.rate[0], up.bucket))
            yield self._match_sender(node, Hook(at.up.serial[1], tc.INGRESS, _MATCH), *shared)
        to_serial = tc.redirect(at.up.serial[0], up.to_serial)
        yield self._match_sender(node, Hook(at.up.rate[1], tc.INGRESS, _MATCH), own_class, to_serial)
        to_rate = tc.redirect(at.up.rate[0])
        yield self._match_sender(node, Hook(at.segment[1], tc.INGRESS, _MATCH), own_class, to_rate)
        yield self._into_gateway(node)

    @staticmethod
    def _match_sender(node: WiredNode, hook: Hook, *actions: TcAction) -> Request:
        """Apply actions to packets from a node."""
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), *actions)

    def _match_receiver(self, node: WiredNode, hook: Hook, *actions: TcAction) -> Request:
        """Apply actions to packets for a node."""
        return tc.match(hook, node.number, self._receiver_keys(node), *actions)

    def _receiver_keys(self, node: WiredNode) -> Attributes:
        """Keys of packets for a node."""
        return tc.to_mac(node.member.mac) if self._by_mac else tc.to_address(node.member.ipv4)

    def to_receiver(self, node: WiredNode) -> Request:
        """Send packets for a node to its `down` hop; drop them if it is cut."""
        at = self.interfaces
        hook = Hook(at.eth, tc.EGRESS, _MATCH, _DELIVER)
        if node.cut:
            return self._match_receiver(node, hook, tc.drop(node.index("down")))
        return self._match_receiver(node, hook, tc.choose_class(node.number), tc.redirect(at.down.rate[0]))

    def _from_sender(self, node: WiredNode) -> Request:
        """Send packets from a node to the chain of its blocks or of its group."""
        chain = _group_chain(node) if node.blocked is None else node.blocked
        return self._match_sender(node, Hook(self.interfaces.eth, tc.EGRESS, _MATCH), tc.goto_chain(chain))

    def _into_gateway(self, node: WiredNode) -> Request:
        """Let packets from a node in; drop them if it is cut."""
        then = tc.drop(node.index("up")) if node.cut else tc.redirect(self.interfaces.segment[0])
        return self._match_sender(node, Hook(self.interfaces.eth, tc.INGRESS, _MATCH), then)

    # Changes

    def cut(self, replica: str, is_cut: bool) -> list[Request]:
        """Cut a replica off, or end the cut."""
        node = self.nodes[replica]
        node.cut = is_cut
        return [self._into_gateway(node), self.to_receiver(node)]

    def move(self, replica: str, ipv4: str) -> list[Request]:
        """Give a replica another address."""
        node = self.nodes[replica]
        node.member = attrs.evolve(node.member, ipv4=ipv4)
        return list(self.node_requests(node))

    def partition(self, groups: Sequence[Collection[str]]) -> list[Request]:
        """Keep sets of replicas apart, all at once for each sender; see `Shaper.partition`.

        Each call builds chains of its own, as after a failed one some senders still use the previous ones.
        """
        self._partition = partition_of(self.nodes, groups)
        return self._separate()

    def block(self, blocks: Sequence[Block]) -> list[Request]:
        """Drop the traffic of blocks, as `partition` keeps replicas apart; see `Shaper.block`."""
        self._blocks = blocks
        return self._separate()

    def _separate(self) -> list[Request]:
        """Chains for the groups of the partition, and before them one for each sender of blocked packets."""
        partition, others = self._partition, self.nodes.keys()
        blocked = [
            node
            for name, node in self.nodes.items()
            if any(block.concerns(name, other) for block in self._blocks for other in others)
        ]
        self._abandoned += self._chains
        first, chains = self._next_chain, len(partition) + len(blocked)
        self._next_chain = _GROUPS + (first + chains - _GROUPS) % _MAX_GROUPS
        self._chains = range(first, first + chains)
        for name, node in self.nodes.items():
            group = group_of(partition, name)
            node.chain = None if group is None else first + group
            node.blocked = None
        for chain, node in enumerate(blocked, first + len(partition)):
            node.blocked = chain
        requests = [request for chain in self._chains[: len(partition)] for request in self._group(chain)]
        requests += [request for node in blocked for request in self._blocked(node)]
        return requests + [self._from_sender(node) for node in self.nodes.values()]

    def abandoned_chains(self) -> list[Request]:
        """Delete chains that no sender uses once the kernel has carried out the requests of `partition`."""
        abandoned, self._abandoned = self._abandoned, []
        return [tc.delete_chain(self._chain(chain)) for chain in abandoned]

    def _chain(self, number: int) -> Hook:
        return Hook(self.interfaces.eth, tc.EGRESS, _MATCH, number)

    def _blocked(self, node: WiredNode) -> Iterator[Request]:
        """The chain for packets from a node that are blocked, or go on to the chain of its group."""
        if node.blocked is None:
            return
        yield tc.match_all(
            Hook(self.interfaces.eth, tc.EGRESS, _ELSE, node.blocked), tc.goto_chain(_group_chain(node))
        )
        hook, handle = self._chain(node.blocked), 0
        for other in self.nodes.values():
            for block in self._blocks:
                if not block.concerns(node.member.replica, other.member.replica):
                    continue
                for keys in _traffic(block):
                    handle += 1
                    receiver = self._receiver_keys(other)
                    yield tc.match(hook, handle, (*receiver, *keys), tc.drop(other.index("down")))

    def _group(self, chain: int) -> Iterator[Request]:
        """The chain for packets from one group of a partition: it drops those for other groups."""
        yield tc.match_all(Hook(self.interfaces.eth, tc.EGRESS, _ELSE, chain), tc.goto_chain(_DELIVER))
        for node in self.nodes.values():
            if node.chain not in (None, chain):
                yield self._match_receiver(node, self._chain(chain), tc.drop(node.index("down")))


def _group_chain(node: WiredNode) -> int:
    """The chain of a node's group in a partition; without one its packets are delivered."""
    return _DELIVER if node.chain is None else node.chain


def _traffic(block: Block) -> Iterator[Attributes]:
    """The keys of a block's packets, one classifier each."""
    for protocol in block.protocols:
        if protocol is None:
            yield ()
        elif block.port is None:
            yield tc.of_protocol(protocol)
        else:
            for is_source in (True, False):
                yield tc.of_port(protocol, block.port, is_source=is_source)


def _seed_of(seed: str) -> int:
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "little")
