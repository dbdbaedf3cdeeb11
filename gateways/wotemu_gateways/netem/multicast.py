"""Copies multicast and broadcast packets to each member: a `netem` gateway routes, and so does not flood.

A multicast or broadcast packet crosses its sender's `up` hop in the kernel as any other. Where the kernel
would then route it, it is read from there, and sent to each other member's MAC alone. From there on it is as
any packet for that member: partitions, cuts and the `down` hop treat the copy by its destination's MAC.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network

from wotemu_gateways.packets.ethernet import ETHERNET_BYTES
from wotemu_gateways.packets.packet_socket import (
    AND,
    ETH_P_IP,
    JUMP_IF_EQUAL,
    LOAD_WORD,
    PACKET_VNET_HDR,
    RETURN,
    SOL_PACKET,
    Instruction,
    packet_socket,
    take_drops,
)
from wotemu_gateways.shaper import Member

_VNET_BYTES = 10
"""struct virtio_net_hdr: says whether a checksum is still to be made, as the kernel does that late."""

_BATCH = 64
_ROOM_BYTES = 4 << 20
"""Socket buffers: what the kernel queues for a gateway that is busy, as far as net.core.*mem_max allows."""

_DESTINATION_AT = ETHERNET_BYTES + 16


def _program(broadcast: IPv4Address) -> list[Instruction]:
    """Take packets to a group, to all (255.255.255.255), or to all of the subnet."""
    return [
        (LOAD_WORD, 0, 0, _DESTINATION_AT),
        (JUMP_IF_EQUAL, 3, 0, 0xFFFFFFFF),
        (JUMP_IF_EQUAL, 2, 0, int(broadcast)),
        (AND, 0, 0, 0xF0000000),
        (JUMP_IF_EQUAL, 0, 1, 0xE0000000),
        (RETURN, 0, 0, 0xFFFFFFFF),
        (RETURN, 0, 0, 0),
    ]


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
        self._receiver = _open(_program(subnet.broadcast_address))
        self._sender = _open()
        # Bound to IPv4, not to all protocols: the kernel hands it packets after the classifiers, so it sees
        # what has left `up` and not what enters it.
        self._receiver.bind((routed_from, ETH_P_IP))
        self._sender.bind((interface, 0))
        self._mac: bytes = self._sender.getsockname()[4]
        loop.add_reader(self._receiver.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<Fanout to {len(self._members)} members>"

    @property
    def lost(self) -> int:
        """Packets to all, and copies, that the kernel had no room for since the start."""
        self._lost += take_drops(self._receiver)
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
        """Send a packet to all members but its sender."""
        at = _VNET_BYTES + ETHERNET_BYTES
        source = packet[at + 12 : at + 16]
        before, after = packet[:_VNET_BYTES], self._mac + packet[_VNET_BYTES + 12 :]
        for address, mac in self._members:
            if address != source:
                try:
                    self._sender.send(before + mac + after)
                except OSError:
                    self._lost += 1


def _open(program: Sequence[Instruction] = ()) -> socket.socket:
    opened = packet_socket(program, flags=socket.SOCK_NONBLOCK)
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        opened.setsockopt(socket.SOL_SOCKET, option, _ROOM_BYTES)
    return opened
