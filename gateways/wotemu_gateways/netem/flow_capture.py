"""Counts flows from copies of packets' first bytes, which the kernel puts into a ring in shared memory.

The ring (TPACKET_V3, packet(7)) is read a block at a time, so a packet costs no system call. What a full
ring could not take is counted. A packet is seen up to 20 ms late, when its block is full or that old.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from typing import Literal

from wotemu_gateways.netem.packet_socket import (
    ETH_P_ALL,
    ETH_P_IP,
    JUMP_IF_EQUAL,
    LOAD_HALF,
    LOAD_WORD,
    PACKET_OUTGOING,
    PACKET_RX_RING,
    PACKET_TYPE_AT,
    PACKET_VERSION,
    RETURN,
    SOL_PACKET,
    Instruction,
    packet_socket,
    take_drops,
)
from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, mac_of
from wotemu_gateways.packets.flow_table import FlowCounter, FlowTable, PairFlows

_TPACKET_V3 = 2
_BLOCK_BYTES = 1 << 17
_BLOCKS = 32
_FRAME_BYTES = 2048
_RETIRE_MS = 20

_STATUS_AT = 8
_TP_STATUS_USER = 1
_BLOCK = struct.Struct("=III")
"""Of struct tpacket_block_desc, from `_STATUS_AT` on: status, number of packets, offset of the first."""
_PACKET = struct.Struct("=I8xII4xH")
"""Of struct tpacket3_hdr: offset of the next one, captured bytes, packet's length, offset of the frame."""
_STATS_V3_BYTES = 12

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


class PacketRing:
    """A ring of what comes in at, or goes out of, an interface. Read it when `fileno` is readable."""

    def __init__(self, interface: str, way: Way, classifier: FlowClassifier) -> None:
        self._classifier = classifier
        self._up = way == "in"
        self._block = 0
        self.missed = 0
        self._socket = packet_socket(_program(way))
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V3)
        frames = _BLOCK_BYTES // _FRAME_BYTES * _BLOCKS
        # struct tpacket_req3; without private bytes and features.
        ring = struct.pack("=7I", _BLOCK_BYTES, _BLOCKS, _FRAME_BYTES, frames, _RETIRE_MS, 0, 0)
        self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, ring)
        self._ring = mmap.mmap(self._socket.fileno(), _BLOCK_BYTES * _BLOCKS)
        self._socket.bind((interface, ETH_P_ALL))

    def __repr__(self) -> str:
        return f"<PacketRing {'in' if self._up else 'out'}, {self.missed} missed>"

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Free the ring."""
        self._ring.close()
        self._socket.close()

    def read(self) -> None:
        """Count what is in the blocks that the kernel has finished."""
        ring = self._ring
        while True:
            start = self._block * _BLOCK_BYTES
            status, packets, first = _BLOCK.unpack_from(ring, start + _STATUS_AT)
            if not status & _TP_STATUS_USER:
                break
            self._count(start + first, packets)
            struct.pack_into("=I", ring, start + _STATUS_AT, 0)  # TP_STATUS_KERNEL: it may be filled again
            self._block = (self._block + 1) % _BLOCKS
        self.missed += take_drops(self._socket, _STATS_V3_BYTES)

    def _count(self, at: int, packets: int) -> None:
        ring, up, unpack, find = self._ring, self._up, _PACKET.unpack_from, self._classifier.counter
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
