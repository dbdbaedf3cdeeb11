"""Reads raw Ethernet frames: addresses, ARP requests, flow identities. Pure.

Nothing here trusts a length field: a truncated frame has fewer answers, never an exception.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

import attrs

ETHERNET_BYTES = 14
MIN_IPV4_BYTES = 20
MAX_HEADER_BYTES = 18
"""An Ethernet header with one VLAN tag: the bytes that a frame may have beyond the MTU."""

IPV4_NO_OPTIONS = b"\x08\x00\x45"
"""EtherType IPv4 and the first byte of a header of 20 bytes."""

_IPV4 = b"\x08\x00"
_ECN = 0x03
_ARP = b"\x08\x06"
_ARP_REQUEST = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
_ARP_REPLY = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
_TRANSPORTS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 132: "sctp"}
_WITH_PORTS = frozenset({6, 17, 132})


def mac_of(address: str) -> bytes:
    """The MAC of the interface with an IPv4 address: ``02:00`` and the address, locally administered."""
    return b"\x02\x00" + IPv4Address(address).packed


def mac_text(mac: bytes) -> str:
    """As ``ip link`` prints it."""
    return mac.hex(":")


def is_arp(frame: bytes) -> bool:
    """Whether a frame is ARP."""
    return frame[12:14] == _ARP


def arp_question(frame: bytes) -> bytes | None:
    """The four bytes of the address that an ARP request asks for; None if the frame is none."""
    if frame[12:14] != _ARP or frame[14:22] != _ARP_REQUEST or len(frame) < 42:
        return None
    return frame[38:42]


def arp_answer(request: bytes, mac: bytes) -> bytes:
    """The reply to a request for which `arp_question` had an answer: the address is at `mac`."""
    asker_mac, asker_address, address = request[22:28], request[28:32], request[38:42]
    return asker_mac + mac + _ARP + _ARP_REPLY + mac + address + asker_mac + asker_address


@attrs.frozen
class FlowId:
    """A flow's identity. `src` and `dst` are the four bytes of an IPv4 address, or the six of a MAC."""

    transport: str
    src: bytes
    dst: bytes
    sport: int
    dport: int


def flow_of(frame: bytes, offset: int = ETHERNET_BYTES) -> FlowId:
    """The flow of a frame whose IPv4 header begins at `offset` (0: there is no Ethernet header).

    Later fragments carry no ports and count under port 0, as do transports without ports. What is not
    IPv4, or too short to be, is ``other`` between two MACs.
    """
    if offset and frame[12:14] != _IPV4:
        return FlowId("other", frame[6:12], frame[:6], 0, 0)
    header = frame[offset : offset + MIN_IPV4_BYTES]
    if len(header) < MIN_IPV4_BYTES or header[0] >> 4 != 4:
        return FlowId("other", frame[6:12] if offset else b"", frame[:6] if offset else b"", 0, 0)
    number = header[9]
    transport = _TRANSPORTS.get(number, f"ip-{number}")
    first_fragment = not (header[6] & 0x1F or header[7])
    ports_at = offset + (header[0] & 0x0F) * 4
    ports = frame[ports_at : ports_at + 4]
    if number not in _WITH_PORTS or not first_fragment or len(ports) < 4:
        return FlowId(transport, header[12:16], header[16:20], 0, 0)
    sport, dport = struct.unpack("!HH", ports)
    return FlowId(transport, header[12:16], header[16:20], sport, dport)


def address_text(address: bytes) -> str:
    """An address as text: four bytes dotted, six as `mac_text`."""
    return socket.inet_ntoa(address) if len(address) == 4 else mac_text(address)


def flip_bit(frame: bytes, bit: int) -> bytes:
    """The frame with one bit flipped, counted from the first byte's lowest."""
    wrong = bytearray(frame)
    wrong[bit // 8] ^= 1 << bit % 8
    return bytes(wrong)


def mark_congestion(frame: bytes, offset: int = ETHERNET_BYTES) -> bytes | None:
    """The frame marked with Congestion Experienced (RFC 3168); None if its sender does not take marks."""
    header = bytearray(frame[offset : offset + MIN_IPV4_BYTES])
    if (offset and frame[12:14] != _IPV4) or len(header) < MIN_IPV4_BYTES or not header[1] & _ECN:
        return None
    checksum = header[10] << 8 | header[11]
    # RFC 1624: the checksum's complement changes by the word's change, in one's complement.
    total = (~checksum & 0xFFFF) + (_ECN - (header[1] & _ECN))
    header[1] |= _ECN
    header[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return frame[:offset] + header + frame[offset + MIN_IPV4_BYTES :]
