"""Reads an Ethernet frame with IPv4 and TCP or UDP as a packet of one node. Pure.

Nothing here trusts a length field: what is no such frame has no packet, never an exception.
"""

from __future__ import annotations

from typing import NamedTuple

from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, MIN_IPV4_BYTES

_TCP, _UDP = 6, 17
_MIN_TCP_BYTES, _UDP_BYTES = 20, 8


class Endpoints(NamedTuple):
    """Both ends of a connection or an exchange of datagrams, as one node sees them."""

    local: bytes
    local_port: int
    peer: bytes
    peer_port: int


class Packet(NamedTuple):
    """A packet that a node sent or received.

    Attributes:
        t: When, in seconds.
        is_outgoing: Whether the node sent it.
        is_tcp: Else it is UDP.
        endpoints: The node's end and the other one.
        seq: The number of the first byte of data in its stream; 0 for UDP.
        data: What it carries, as far as it was captured.
        is_cut: Whether it carries more.
    """

    t: float
    is_outgoing: bool
    is_tcp: bool
    endpoints: Endpoints
    seq: int
    data: bytes
    is_cut: bool


def read_packet(frame: bytes, t: float, *, is_outgoing: bool) -> Packet | None:
    """The packet of a frame that may be cut; None where it has no TCP or UDP, or is a later fragment."""
    ip = ETHERNET_BYTES
    if len(frame) < ip + MIN_IPV4_BYTES + _UDP_BYTES or frame[12:14] != b"\x08\x00" or frame[ip] >> 4 != 4:
        return None
    header = (frame[ip] & 0x0F) * 4
    if header < MIN_IPV4_BYTES or (frame[ip + 6] & 0x1F) or frame[ip + 7]:
        return None
    at, protocol = ip + header, frame[ip + 9]
    end = ip + int.from_bytes(frame[ip + 2 : ip + 4], "big")  # Ethernet pads short frames
    if protocol == _TCP and len(frame) >= at + _MIN_TCP_BYTES:
        data_at = at + (frame[at + 12] >> 4) * 4
        seq = int.from_bytes(frame[at + 4 : at + 8], "big")
        if data_at < at + _MIN_TCP_BYTES:
            return None
    elif protocol == _UDP and len(frame) >= at + _UDP_BYTES:
        data_at, seq = at + _UDP_BYTES, 0
    else:
        return None
    source = frame[ip + 12 : ip + 16], int.from_bytes(frame[at : at + 2], "big")
    destination = frame[ip + 16 : ip + 20], int.from_bytes(frame[at + 2 : at + 4], "big")
    endpoints = Endpoints(*source, *destination) if is_outgoing else Endpoints(*destination, *source)
    return Packet(t, is_outgoing, protocol == _TCP, endpoints, seq, frame[data_at:end], end > len(frame))
