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
from collections.abc import Iterator, Mapping, Sequence

import attrs

from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.netem import options
from wotemu_gateways.netem.hop import NetemHop
from wotemu_gateways.netem.rate_stage import RateStage
from wotemu_gateways.netem.separation import DELIVER, ELSE, MATCH, Separation
from wotemu_gateways.netem.wired_node import (
    NOT_IPV4,
    UNKNOWN_ADDRESS,
    GatewayInterfaces,
    WiredNode,
)
from wotemu_gateways.netlink import link, tc
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, Request
from wotemu_gateways.netlink.tc import Hook, TcAction
from wotemu_gateways.shaper import Member

_ICMP_REDIRECT = 5  # RFC 792

_AIR, _HELD = 2, 3000
"""Chains of classifiers: from the receiver's rate to its air; and the one that no packet is sent to, which
holds actions. `separation` has the others."""

_FIRST, _SECOND, _ELSE_IPV6 = 1, 2, 21
"""Priorities of classifiers besides MATCH and ELSE, the lowest first. One priority holds one protocol and
kind of classifier."""

_BUCKET_MINOR = 1


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
        self.separation = Separation(interfaces.eth, self.nodes, by_mac=by_mac)

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
        return tc.match_all(Hook(interface, tc.INGRESS, MATCH), *actions)

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
            yield tc.hold_action(Hook(at.eth, tc.EGRESS, MATCH, _HELD), action, index)

    def _closed_ends(self) -> Iterator[Request]:
        """Drop, and count, packets that no member sent or that are for none."""
        at, eth = self.interfaces, self.interfaces.eth
        yield tc.match_all(Hook(eth, tc.INGRESS, ELSE), tc.drop(UNKNOWN_ADDRESS))
        yield tc.match_all(Hook(eth, tc.INGRESS, _ELSE_IPV6, protocol=tc.IPV6), tc.drop(NOT_IPV4))
        yield tc.match_all(Hook(eth, tc.EGRESS, ELSE, _AIR), tc.drop(UNKNOWN_ADDRESS))
        yield tc.match(Hook(eth, tc.EGRESS, _FIRST), 1, tc.from_interface(at.last_name), tc.goto_chain(_AIR))
        yield tc.match_all(Hook(eth, tc.EGRESS, ELSE, DELIVER), tc.drop(UNKNOWN_ADDRESS))
        redirects = tc.icmp_of_type(_ICMP_REDIRECT)
        yield tc.match(Hook(eth, tc.EGRESS, _SECOND), 1, redirects, tc.drop(UNKNOWN_ADDRESS))
        yield tc.match_all(Hook(eth, tc.EGRESS, ELSE), tc.goto_chain(DELIVER))
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
            node, Hook(at.eth, tc.EGRESS, MATCH, _AIR), tc.redirect(down.air, down.to_air)
        )
        to_serial = tc.redirect(at.down.serial[0], down.to_serial)
        yield self._match_receiver(node, Hook(at.down.rate[1], tc.INGRESS, MATCH), own_class, to_serial)
        yield self.to_receiver(node)
        yield self.separation.from_sender(node)
        to_air = tc.redirect(up.air, up.to_air)
        yield self._match_sender(node, Hook(at.routed_from, tc.INGRESS, MATCH), to_air)
        if at.bucket is not None and up.bucket is not None:
            shared = (tc.choose_class(_BUCKET_MINOR), tc.redirect(at.bucket.rate[0], up.bucket))
            yield self._match_sender(node, Hook(at.up.serial[1], tc.INGRESS, MATCH), *shared)
        to_serial = tc.redirect(at.up.serial[0], up.to_serial)
        yield self._match_sender(node, Hook(at.up.rate[1], tc.INGRESS, MATCH), own_class, to_serial)
        to_rate = tc.redirect(at.up.rate[0])
        yield self._match_sender(node, Hook(at.segment[1], tc.INGRESS, MATCH), own_class, to_rate)
        yield self._into_gateway(node)

    @staticmethod
    def _match_sender(node: WiredNode, hook: Hook, *actions: TcAction) -> Request:
        """Apply actions to packets from a node."""
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), *actions)

    def _match_receiver(self, node: WiredNode, hook: Hook, *actions: TcAction) -> Request:
        """Apply actions to packets for a node."""
        return tc.match(hook, node.number, node.receiver_keys(by_mac=self._by_mac), *actions)

    def to_receiver(self, node: WiredNode) -> Request:
        """Send packets for a node to its `down` hop; drop them if it is cut."""
        at = self.interfaces
        hook = Hook(at.eth, tc.EGRESS, MATCH, DELIVER)
        if node.cut:
            return self._match_receiver(node, hook, tc.drop(node.index("down")))
        return self._match_receiver(node, hook, tc.choose_class(node.number), tc.redirect(at.down.rate[0]))

    def _into_gateway(self, node: WiredNode) -> Request:
        """Let packets from a node in; drop them if it is cut."""
        then = tc.drop(node.index("up")) if node.cut else tc.redirect(self.interfaces.segment[0])
        return self._match_sender(node, Hook(self.interfaces.eth, tc.INGRESS, MATCH), then)

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
        requests = list(self.node_requests(node))
        # Chains know receivers by their addresses.
        return requests + (self.separation.renewed() if self.separation else [])


def _seed_of(seed: str) -> int:
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "little")
