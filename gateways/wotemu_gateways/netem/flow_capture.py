"""Counts flows from copies of packets' first bytes, which the kernel puts into a ring shared with us.

The ring (TPACKET_V3, packet(7)) is read a block at a time, so a packet costs no system call. What a full
ring could not take is counted. A packet is seen up to 20 ms late, when its block is full or that old.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
from collections.abc import Mapping
from typing import Literal

from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, mac_of
from wotemu_gateways.packets.flow_table import FlowCounter, FlowTable, PairFlows

_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION = 5, 6, 10
_TPACKET_V3 = 2
_SO_ATTACH_FILTER = 26

_BLOCK_BYTES = 1 << 17
_BLOCKS = 32
_FRAME_BYTES = 2048
_RETIRE_MS = 20
_STATUS_AT = 8
_USER = 1

_BLOCK = struct.Struct("=III")
_PACKET = struct.Struct("=I8xII4xH")
_HEADER_BYTES = ETHERNET_BYTES + 60 + 4
"""Enough for the ports behind the longest IPv4 header."""

_OUTGOING = 4
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_HALF, _LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x20, 0x15, 0x06
_PACKET_TYPE = 0xFFFFF004
_ALL_PROTOCOLS = 0x0003

Way = Literal["in", "out"]


def _filter(way: Way) -> bytes:
    """Take the first bytes of IPv4 packets that go one way."""
    reject = 3
    program = (
        (_LOAD_WORD, 0, 0, _PACKET_TYPE),
        (_JUMP_IF_EQUAL, reject if way == "in" else 0, reject if way == "out" else 0, _OUTGOING),
        (_LOAD_HALF, 0, 0, 12),
        (_JUMP_IF_EQUAL, 0, 1, 0x0800),
        (_RETURN, 0, 0, _HEADER_BYTES),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*each) for each in program)


_MAX_ADDRESS_PAIRS = 4096
_MAC_PREFIX = mac_of("0.0.0.0")[:2]  # noqa: S104  # no address to bind
"""How the MACs of members begin that hold their addresses."""


class FlowClassifier:
    """The flows of a network by what their packets' first bytes say, whichever way they go.

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
    """Sees what comes in at, or goes out of, an interface. Read it when `fileno` is readable."""

    def __init__(self, interface: str, way: Way, counting: FlowClassifier) -> None:
        self._counting = counting
        self._up = way == "in"
        self._block = 0
        self.missed = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        program = ctypes.create_string_buffer(_filter(way))
        instructions = (len(program) - 1) // _INSTRUCTION.size
        described = struct.pack("HL", instructions, ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
        self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        frames = _BLOCK_BYTES // _FRAME_BYTES * _BLOCKS
        ring = struct.pack("=7I", _BLOCK_BYTES, _BLOCKS, _FRAME_BYTES, frames, _RETIRE_MS, 0, 0)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
        self._ring = mmap.mmap(self._socket.fileno(), _BLOCK_BYTES * _BLOCKS)
        self._socket.bind((interface, _ALL_PROTOCOLS))

    def __repr__(self) -> str:
        return f"<PacketRing {'in' if self._up else 'out'}, {self.missed} missed>"

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the ring back."""
        self._ring.close()
        self._socket.close()

    def read(self) -> None:
        """Count what is in the blocks that the kernel has finished."""
        ring = self._ring
        while True:
            start = self._block * _BLOCK_BYTES
            status, packets, first = _BLOCK.unpack_from(ring, start + _STATUS_AT)
            if not status & _USER:
                break
            self._count(start + first, packets)
            struct.pack_into("=I", ring, start + _STATUS_AT, 0)
            self._block = (self._block + 1) % _BLOCKS
        self.missed += struct.unpack_from("=II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))[1]

    def _count(self, at: int, packets: int) -> None:
        ring, up, unpack, find = self._ring, self._up, _PACKET.unpack_from, self._counting.counter
        for _ in range(packets):
            step, kept, size, offset = unpack(ring, at)
            counter = find(ring[at + offset : at + offset + kept])
            # `lost` makes up for the difference: what is under way can't be known here.
            if up:
                counter.packets_up += 1
                counter.bytes_up += size
                counter.settled += 1
            else:
                counter.packets_down += 1
                counter.bytes_down += size
                counter.settled -= 1
            at += step
