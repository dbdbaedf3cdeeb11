"""Counts flows from copies of packets' first bytes, which the kernel puts into a ring in shared memory.

A packet is seen up to 20 ms late, see `BlockRing`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from typing import Literal

from wotemu_gateways.packets.block_ring import BlockRing
from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, mac_of
from wotemu_gateways.packets.flow_table import FlowCounter, FlowTable, PairFlows
from wotemu_gateways.packets.packet_socket import (
    ETH_P_ALL,
    ETH_P_IP,
    JUMP_IF_EQUAL,
    LOAD_HALF,
    LOAD_WORD,
    PACKET_OUTGOING,
    PACKET_TYPE_AT,
    RETURN,
    Instruction,
    packet_socket,
)

_BLOCKS = 32
_RETIRE_MS = 20

_PACKET = struct.Struct("=I8xII4xH")
"""Of struct tpacket3_hdr: offset of the next one, captured bytes, packet's length, offset of the frame."""

_HEADER_BYTES = ETHERNET_BYTES + 60 + 4
"""Enough for the ports behind the longest IPv4 header."""

Way = Literal["in", "out"]


def _program(way: Way) -> list[Instruction]:
    """Take the first bytes of IPv4 packets that go one way."""
    reject = 3
    return [
        (LOAD_WORD, 0, 0, PACKET_TYPE_AT),
        (JUMP_IF_EQUAL, reject if way == "in" else 0, reject if way == "out" else 0, PACKET_OUTGOING),
        (LOAD_HALF, 0, 0, 12),
        (JUMP_IF_EQUAL, 0, 1, ETH_P_IP),
        (RETURN, 0, 0, _HEADER_BYTES),
        (RETURN, 0, 0, 0),
    ]


_MAX_ADDRESS_PAIRS = 4096
_MAC_PREFIX = mac_of("0.0.0.0")[:2]  # noqa: S104  # no address to bind
"""How the MACs of members begin that hold their addresses."""


class FlowClassifier:
    """Finds the flow of a packet by its first bytes, whichever way it goes.

    There is one pair for each pair of nodes; what is no node's address is one more. Pairs of addresses, of
    which a node that scans a network makes any number, only lead to them.
    """

    def __init__(self, table: FlowTable, names: Mapping[bytes, str]) -> None:
        self._table = table
        self._names = names
        self._pairs: dict[tuple[str, str], PairFlows] = {}
        self._by_addresses: dict[bytes, PairFlows] = {}

    def counter(self, frame: bytes) -> FlowCounter:
        """The counter of a frame's flow."""
        pair = self._by_addresses.get(frame[26:34]) or self._find(frame)
        try:
            return pair.kinds[frame[20:24]][frame[26:38]]
        except KeyError:
            return pair.counter(frame)

    def _find(self, frame: bytes) -> PairFlows:
        sender, receiver = (self._names.get(frame[at : at + 4], "") for at in (26, 30))
        is_pair = bool(receiver)
        if not is_pair and frame[:2] == _MAC_PREFIX:  # a copy of what is for a group, or for all
            receiver = self._names.get(frame[2:6], "")
        pair = self._pairs.get((sender, receiver))
        if pair is None:
            pair = self._pairs[sender, receiver] = self._table.add_pair(sender, receiver)
        if len(self._by_addresses) >= _MAX_ADDRESS_PAIRS:
            self._by_addresses.clear()
        if is_pair:
            self._by_addresses[frame[26:34]] = pair
        return pair


class PacketRing(BlockRing):
    """A ring of what comes in at, or goes out of, an interface."""

    def __init__(self, interface: str, way: Way, classifier: FlowClassifier) -> None:
        self._classifier = classifier
        self._up = way == "in"
        super().__init__(packet_socket(_program(way)), blocks=_BLOCKS, retire_ms=_RETIRE_MS)
        self._socket.bind((interface, ETH_P_ALL))

    def __repr__(self) -> str:
        return f"<PacketRing {'in' if self._up else 'out'}, {self.missed} missed>"

    def _take(self, ring: mmap.mmap, at: int, packets: int) -> None:
        up, unpack, find = self._up, _PACKET.unpack_from, self._classifier.counter
        for _ in range(packets):
            step, kept, size, offset = unpack(ring, at)
            counter = find(ring[at + offset : at + offset + kept])
            # What is dropped in between is not seen here, so packets in flight can't be known. `settled` goes
            # up and down with each end that is seen, which keeps their number at zero.
            if up:
                counter.packets_up += 1
                counter.bytes_up += size
                counter.settled += 1
            else:
                counter.packets_down += 1
                counter.bytes_down += size
                counter.settled -= 1
            at += step
