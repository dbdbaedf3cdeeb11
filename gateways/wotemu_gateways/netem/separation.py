"""Keeps senders' packets from receivers: chains of classifiers for partitions and blocked traffic. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from wotemu.scenario.blocks import Block
from wotemu_gateways.conditions.partition import Partition, group_of, partition_of
from wotemu_gateways.netem.wired_node import WiredNode
from wotemu_gateways.netlink import flower_ports, tc
from wotemu_gateways.netlink.request_socket import Attributes, Request
from wotemu_gateways.netlink.tc import Hook

DELIVER = 1
"""The chain of classifiers from which packets are delivered: to their receivers' rates."""

_GROUPS, _MAX_GROUPS = 1 << 16, 1 << 20
"""Chains of groups and of blocks are numbered from here: each change makes its own."""

MATCH, ELSE = 10, 20
"""Priorities of classifiers, the lowest first."""


class Separation:
    """The partition and the blocks that hold on one network.

    Args:
        eth: The gateway's interface on the emulated network.
        nodes: All replicas, by name.
        by_mac: A packet's receiver is the member with its destination's MAC, not with its IPv4 address.
    """

    def __init__(self, eth: int, nodes: Mapping[str, WiredNode], *, by_mac: bool) -> None:
        self._eth = eth
        self._nodes = nodes
        self._by_mac = by_mac
        self._next_chain = _GROUPS
        self._chains = range(0)
        self._abandoned: list[int] = []
        self._partition: Partition = ()
        self._blocks: Sequence[Block] = ()

    def __repr__(self) -> str:
        return f"<Separation: {len(self._partition)} groups, {len(self._blocks)} blocks>"

    def __bool__(self) -> bool:
        return bool(self._partition or self._blocks)

    def from_sender(self, node: WiredNode) -> Request:
        """Send packets from a node to the chain of its blocks or of its group."""
        chain = _group_chain(node) if node.blocked is None else node.blocked
        hook = Hook(self._eth, tc.EGRESS, MATCH)
        return tc.match(hook, node.number, tc.from_address(node.member.ipv4), tc.goto_chain(chain))

    def partition(self, groups: Sequence[Collection[str]]) -> list[Request]:
        """Keep sets of replicas apart, all at once for each sender; see `Shaper.partition`.

        Each call builds chains of its own, as after a failed one some senders still use the previous ones.
        """
        self._partition = partition_of(self._nodes, groups)
        return self.renewed()

    def block(self, blocks: Sequence[Block]) -> list[Request]:
        """Drop the traffic of blocks, as `partition` keeps replicas apart; see `Shaper.block`."""
        self._blocks = blocks
        return self.renewed()

    def renewed(self) -> list[Request]:
        """Chains for the groups of the partition, and before them one for each sender of blocked packets."""
        partition, others = self._partition, self._nodes.keys()
        blocked = [
            node
            for name, node in self._nodes.items()
            if any(block.concerns(name, other) for block in self._blocks for other in others)
        ]
        self._abandoned += self._chains
        first, chains = self._next_chain, len(partition) + len(blocked)
        self._next_chain = _GROUPS + (first + chains - _GROUPS) % _MAX_GROUPS
        self._chains = range(first, first + chains)
        for name, node in self._nodes.items():
            group = group_of(partition, name)
            node.chain = None if group is None else first + group
            node.blocked = None
        for chain, node in enumerate(blocked, first + len(partition)):
            node.blocked = chain
        requests = [request for chain in self._chains[: len(partition)] for request in self._group(chain)]
        requests += [request for node in blocked for request in self._blocked(node)]
        return requests + [self.from_sender(node) for node in self._nodes.values()]

    def abandoned_chains(self) -> list[Request]:
        """Delete chains that no sender uses once the kernel has carried out the requests of `partition`."""
        abandoned, self._abandoned = self._abandoned, []
        return [tc.delete_chain(self._chain(chain)) for chain in abandoned]

    def _chain(self, number: int) -> Hook:
        return Hook(self._eth, tc.EGRESS, MATCH, number)

    def _blocked(self, node: WiredNode) -> Iterator[Request]:
        """The chain for packets from a node that are blocked, or go on to the chain of its group."""
        if node.blocked is None:
            return
        yield tc.match_all(Hook(self._eth, tc.EGRESS, ELSE, node.blocked), tc.goto_chain(_group_chain(node)))
        hook, handle = self._chain(node.blocked), 0
        for other in self._nodes.values():
            for block in self._blocks:
                if not block.concerns(node.member.replica, other.member.replica):
                    continue
                for keys in _traffic(block):
                    handle += 1
                    receiver = other.receiver_keys(by_mac=self._by_mac)
                    yield tc.match(hook, handle, (*receiver, *keys), tc.drop(other.index("down")))

    def _group(self, chain: int) -> Iterator[Request]:
        """The chain for packets from one group of a partition: it drops those for other groups."""
        yield tc.match_all(Hook(self._eth, tc.EGRESS, ELSE, chain), tc.goto_chain(DELIVER))
        for node in self._nodes.values():
            if node.chain not in (None, chain):
                keys = node.receiver_keys(by_mac=self._by_mac)
                yield tc.match(self._chain(chain), node.number, keys, tc.drop(node.index("down")))


def _group_chain(node: WiredNode) -> int:
    """The chain of a node's group in a partition; without one its packets are delivered."""
    return DELIVER if node.chain is None else node.chain


def _traffic(block: Block) -> Iterator[Attributes]:
    """The keys of a block's packets, one classifier each."""
    for protocol in block.protocols:
        if protocol is None:
            yield ()
        elif block.port is None:
            yield flower_ports.of_protocol(protocol)
        else:
            for is_source in (True, False):
                yield flower_ports.of_port(protocol, block.port, is_source=is_source)
