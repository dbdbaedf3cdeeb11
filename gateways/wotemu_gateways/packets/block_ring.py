"""Reads packets of a packet socket from a ring in shared memory: TPACKET_V3, packet(7).

The ring is read a block at a time, so a packet costs no system call. What a full ring could not take is
counted. A packet is seen when its block is full or `retire_ms` old.
"""

from __future__ import annotations

import mmap
import socket
import struct
from abc import ABC, abstractmethod

from wotemu_gateways.packets.packet_socket import PACKET_RX_RING, PACKET_VERSION, SOL_PACKET, take_drops

BLOCK_BYTES = 1 << 17
_TPACKET_V3 = 2
_FRAME_BYTES = 2048
_STATUS_AT = 8
_TP_STATUS_USER = 1
_BLOCK = struct.Struct("=III")
"""Of struct tpacket_block_desc, from `_STATUS_AT` on: status, number of packets, offset of the first."""
_STATS_V3_BYTES = 12


class BlockRing(ABC):
    """The ring of a packet socket, which closes both. Read it when `fileno` is readable.

    Args:
        opened: A packet socket that is not bound yet.
        blocks: Blocks of `BLOCK_BYTES` that the ring has.
        retire_ms: So long after its first packet a block is handed over that is not full.

    Attributes:
        missed: Packets that the ring had no room for.
    """

    def __init__(self, opened: socket.socket, *, blocks: int, retire_ms: int) -> None:
        self._socket = opened
        self._blocks = blocks
        self._block = 0
        self.missed = 0
        opened.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V3)
        frames = BLOCK_BYTES // _FRAME_BYTES * blocks
        # struct tpacket_req3; without private bytes and features.
        ring = struct.pack("=7I", BLOCK_BYTES, blocks, _FRAME_BYTES, frames, retire_ms, 0, 0)
        opened.setsockopt(SOL_PACKET, PACKET_RX_RING, ring)
        self._ring = mmap.mmap(opened.fileno(), BLOCK_BYTES * blocks)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Free the ring."""
        self._ring.close()
        self._socket.close()

    def read(self) -> None:
        """Take what is in the blocks that the kernel has finished."""
        ring = self._ring
        while True:
            start = self._block * BLOCK_BYTES
            status, packets, first = _BLOCK.unpack_from(ring, start + _STATUS_AT)
            if not status & _TP_STATUS_USER:
                break
            self._take(ring, start + first, packets)
            struct.pack_into("=I", ring, start + _STATUS_AT, 0)  # TP_STATUS_KERNEL: it may be filled again
            self._block = (self._block + 1) % self._blocks
        self.missed += take_drops(self._socket, _STATS_V3_BYTES)

    @abstractmethod
    def _take(self, ring: mmap.mmap, at: int, packets: int) -> None:
        """Take that many packets, the first of whose struct tpacket3_hdr is at an offset of the ring."""
