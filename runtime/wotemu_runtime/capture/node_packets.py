"""Packets of a node's interfaces, read from the kernel and made into blocks of pcapng."""

from __future__ import annotations

import mmap
import socket
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from wotemu_gateways.packets.block_ring import BLOCK_BYTES, BlockRing
from wotemu_gateways.packets.packet_socket import (
    INTERFACE_AT,
    JUMP_IF_EQUAL,
    LOAD_WORD,
    PACKET_OUTGOING,
    RETURN,
    bind_to_all,
    packet_socket,
)
from wotemu_runtime.capture import pcapng

RETIRE_MS = 50
_PACKET = struct.Struct("=5I4xH26xi2xB")
"""Of struct tpacket3_hdr and the struct sockaddr_ll behind it: offset of the next one, seconds, nanoseconds,
captured bytes, packet's length, offset of the frame; number of the interface, packet's type."""


class NodePackets(BlockRing):
    """The packets of a network namespace's interfaces to some networks, as pcapng.

    Not those of others: the loopback one is the node's alone, and in a container the bus is behind another.

    To be made by a thread that is in the namespace, and used anywhere.

    Args:
        node: The node's name.
        networks: The networks by the names of the interfaces to them.
        ring_bytes: Size of the ring that the kernel puts packets into.
        max_bytes: No packet is taken that would make the capture larger; None for no limit.

    Attributes:
        stored: Packets that were taken.
        left_out: Packets that `max_bytes` had no room for.
    """

    def __init__(
        self, node: str, networks: Mapping[str, str], *, ring_bytes: int, max_bytes: int | None = None
    ) -> None:
        self.node = node
        self._networks = networks
        self._names = dict(socket.if_nameindex())
        taken = [index for index, name in self._names.items() if name in networks]
        self._ids: dict[int, int] = {}
        self._received: Counter[int] = Counter()
        from importlib.metadata import version  # takes as long as ten other modules

        self._blocks_made = [pcapng.section_header(f"WoTemu {version('wotemu')}")]
        self.stored = self.left_out = 0
        super().__init__(
            packet_socket(_on_interfaces(taken)),
            blocks=max(2, ring_bytes // BLOCK_BYTES),
            retire_ms=RETIRE_MS,
        )
        for index in taken:
            self._describe(index)
        self._room = None if max_bytes is None else max_bytes - self._reserved_bytes
        bind_to_all(self._socket)

    def __repr__(self) -> str:
        return f"<NodePackets {self.node}, {self.stored} stored, {self.left_out} left out>"

    @property
    def is_full(self) -> bool:
        """Whether packets were left out."""
        return self.left_out > 0

    def take(self) -> bytes:
        """The blocks that were made since the last call; whole ones."""
        self.read()
        made, self._blocks_made = self._blocks_made, []
        return b"".join(made)

    def statistics(self) -> bytes:
        """The last blocks: how many packets there were, by interface.

        The kernel counts what it drops for all interfaces together: those drops stand at the first one.
        """
        now_ns = time.time_ns()
        return b"".join(
            pcapng.interface_statistics(
                number,
                now_ns,
                received=self._received[number] + (0 if number else self.left_out),
                dropped=0 if number else self.missed,
                stored=self._received[number],
            )
            for number in self._ids.values()
        )

    @property
    def _reserved_bytes(self) -> int:
        """Bytes of what is no packet."""
        return sum(map(len, self._blocks_made)) + len(self.statistics())

    def _describe(self, index: int) -> int:
        """Add a block for an interface; its number in the capture."""
        name = self._names.get(index, f"interface {index}")
        network = self._networks.get(name, name)
        self._blocks_made.append(pcapng.interface_description(network, f"{name} of {self.node}"))
        return self._ids.setdefault(index, len(self._ids))

    def _take(self, ring: mmap.mmap, at: int, packets: int) -> None:
        if self.is_full:  # what comes later is not taken either, however small
            self.left_out += packets
            return
        unpack, pack, pads, append = (
            _PACKET.unpack_from,
            pcapng.PACKET_HEADER.pack,
            pcapng.PADS,
            self._blocks_made.append,
        )
        for number in range(packets):
            step, seconds, nanoseconds, kept, size, offset, index, kind = unpack(ring, at)
            interface = self._ids.get(index)
            if interface is None:
                interface = self._describe(index)
            pad = pads[kept & 3]
            total = pcapng.PACKET_OVERHEAD + kept + len(pad)
            if self._room is not None:
                if total > self._room:
                    self.left_out += packets - number
                    return
                self._room -= total
            time_ns = seconds * 1_000_000_000 + nanoseconds
            append(
                pack(pcapng.PACKET_TYPE, total, interface, time_ns >> 32, time_ns & 0xFFFFFFFF, kept, size)
            )
            append(ring[at + offset : at + offset + kept])
            append(pad + pcapng.packet_end(total, is_outgoing=kind == PACKET_OUTGOING))
            self._received[interface] += 1
            self.stored += 1
            at += step


def _on_interfaces(indexes: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """The filter that takes the packets of some interfaces, by their indexes."""
    matches = [(JUMP_IF_EQUAL, len(indexes) - place, 0, index) for place, index in enumerate(indexes)]
    return [(LOAD_WORD, 0, 0, INTERFACE_AT), *matches, (RETURN, 0, 0, 0), (RETURN, 0, 0, pcapng.SNAPLEN)]
