"""Gives each member a copy of what another one sent to all: `netem` gateways route, and so don't flood.

A multicast or broadcast packet crosses its sender's `up` hop in the kernel as any other. Where the kernel
would then route it, it is read from there, and sent to each other member's MAC alone. From there on it is as
any packet for that member: partitions, cuts and the `down` hop treat the copy by its destination's MAC.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network

from wotemu_gateways.packets.ethernet import ETHERNET_BYTES
from wotemu_gateways.shaper import Member

_SOL_PACKET, _PACKET_STATISTICS, _PACKET_VNET_HDR, _SO_ATTACH_FILTER = 263, 6, 15, 26
_ETH_P_IP = 0x0800
_VNET_BYTES = 10
"""struct virtio_net_hdr: says whether a checksum is still to be made, as the kernel does that late."""

_BATCH = 64
_ROOM_BYTES = 4 << 20
"""What the kernel keeps for a gateway that is busy, as far as it allows."""

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _AND, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_DESTINATION = ETHERNET_BYTES + 16


def _filter(broadcast: IPv4Address) -> bytes:
    """Take packets to a group, to all (255.255.255.255), or to all of the subnet."""
    program = (
        (_LOAD_WORD, 0, 0, _DESTINATION),
        (_JUMP_IF_EQUAL, 3, 0, 0xFFFFFFFF),
        (_JUMP_IF_EQUAL, 2, 0, int(broadcast)),
        (_AND, 0, 0, 0xF0000000),
        (_JUMP_IF_EQUAL, 0, 1, 0xE0000000),
        (_RETURN, 0, 0, 0xFFFFFFFF),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*each) for each in program)


class Fanout:
    """Reads from the interface `routed_from`, sends on `interface`, inside an event loop.

    `members` are all on the network; their MACs are those of their interfaces.
    """

    def __init__(
        self,
        routed_from: str,
        interface: str,
        subnet: IPv4Network,
        members: Sequence[Member],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._loop = loop
        self._members = [(IPv4Address(member.ipv4).packed, member.mac) for member in members]
        self._lost = 0
        self._receiver = _packet_socket()
        self._sender = _packet_socket()
        program = ctypes.create_string_buffer(_filter(subnet.broadcast_address))
        described = struct.pack("HL", (len(program) - 1) // _INSTRUCTION.size, ctypes.addressof(program))
        self._receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
        # Of this protocol, not of all: so it sees what classifiers let pass, and that is what has left `up`.
        self._receiver.bind((routed_from, _ETH_P_IP))
        self._sender.bind((interface, 0))
        self._mac: bytes = self._sender.getsockname()[4]
        loop.add_reader(self._receiver.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<Fanout to {len(self._members)} members>"

    @property
    def lost(self) -> int:
        """Packets to all, and copies, for which the kernel had no room, since the start."""
        _, dropped = struct.unpack("=II", self._receiver.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._lost += dropped  # the kernel begins anew each time
        return self._lost

    def close(self) -> None:
        """Stop."""
        self._loop.remove_reader(self._receiver.fileno())
        self._receiver.close()
        self._sender.close()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(_BATCH):
                self._copy(self._receiver.recv(1 << 16))

    def _copy(self, packet: bytes) -> None:
        """Send it to all but its sender."""
        at = _VNET_BYTES + ETHERNET_BYTES
        source = packet[at + 12 : at + 16]
        before, after = packet[:_VNET_BYTES], self._mac + packet[_VNET_BYTES + 12 :]
        for address, mac in self._members:
            if address != source:
                try:
                    self._sender.send(before + mac + after)
                except OSError:
                    self._lost += 1


def _packet_socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_PACKET, kind, 0)
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        opened.setsockopt(socket.SOL_SOCKET, option, _ROOM_BYTES)
    return opened
