"""The pcapng format (draft-ietf-opsawg-pcapng): the blocks of a capture of Ethernet frames. Pure.

Blocks are in this machine's byte order, which the section header tells readers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

LINKTYPE_ETHERNET = 1
SNAPLEN = 262_144
"""More than any frame has."""

_SECTION_HEADER, _INTERFACE_DESCRIPTION, _INTERFACE_STATISTICS, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFF

_SHB_USERAPPL = 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_EPB_FLAGS = 2
_ISB_IFRECV, _ISB_OSDROP, _ISB_USRDELIV = 4, 7, 8
_NANOSECONDS = bytes([9])
"""Of if_tsresol: units of 10**-9 s."""

PACKET_HEADER = struct.Struct("=IIIIIII")
"""Of an enhanced packet block: type, its length, interface, time (high, low), captured and full length."""
PACKET_TYPE = _ENHANCED_PACKET
PADS = (b"", b"\0\0\0", b"\0\0", b"\0")
"""Padding to a multiple of four bytes, by the data's length modulo four."""
_PACKET_END = struct.Struct("=HHIII")
"""The option epb_flags, opt_endofopt (0) and the block's length once more."""
PACKET_OVERHEAD = PACKET_HEADER.size + _PACKET_END.size
_INBOUND, _OUTBOUND = 1, 2


def section_header(application: str) -> bytes:
    """The block that a file begins with; `application` is the program that wrote it."""
    body = struct.pack("=IHHQ", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(_SECTION_HEADER, body + _options([(_SHB_USERAPPL, application.encode())]))


def interface_description(name: str, description: str) -> bytes:
    """The block of an interface, whose number is that of such blocks before it; times are in nanoseconds."""
    options = [
        (_IF_NAME, name.encode()),
        (_IF_DESCRIPTION, description.encode()),
        (_IF_TSRESOL, _NANOSECONDS),
    ]
    return _block(
        _INTERFACE_DESCRIPTION, struct.pack("=HHI", LINKTYPE_ETHERNET, 0, SNAPLEN) + _options(options)
    )


def packet_end(block_bytes: int, *, is_outgoing: bool) -> bytes:
    """What follows the padded data of a packet's block, which has `block_bytes` in all."""
    return _PACKET_END.pack(_EPB_FLAGS, 4, _OUTBOUND if is_outgoing else _INBOUND, 0, block_bytes)


def packet(interface: int, time_ns: int, data: bytes, size: int, *, is_outgoing: bool) -> bytes:
    """The block of a packet.

    Args:
        interface: Number of its interface.
        time_ns: Nanoseconds since the epoch.
        data: Its first bytes, from the Ethernet header on.
        size: How many it had.
        is_outgoing: Whether the node sent it.
    """
    pad = PADS[len(data) & 3]
    total = PACKET_OVERHEAD + len(data) + len(pad)
    header = PACKET_HEADER.pack(
        PACKET_TYPE, total, interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), size
    )
    return header + data + pad + packet_end(total, is_outgoing=is_outgoing)


def interface_statistics(interface: int, time_ns: int, *, received: int, dropped: int, stored: int) -> bytes:
    """The block of what became of an interface's packets.

    Args:
        interface: Its number.
        time_ns: Nanoseconds since the epoch.
        received: Packets that it passed.
        dropped: Those for which the kernel's buffer had no room.
        stored: Those in the capture.
    """
    counts = [(_ISB_IFRECV, received), (_ISB_OSDROP, dropped), (_ISB_USRDELIV, stored)]
    options = _options([(code, struct.pack("=Q", count)) for code, count in counts])
    body = struct.pack("=III", interface, time_ns >> 32, time_ns & 0xFFFFFFFF)
    return _block(_INTERFACE_STATISTICS, body + options)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    parts = [struct.pack("=HH", code, len(value)) + value + PADS[len(value) & 3] for code, value in options]
    return b"".join(parts) + bytes(4)  # opt_endofopt


def _block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return struct.pack("=II", kind, total) + body + struct.pack("=I", total)
