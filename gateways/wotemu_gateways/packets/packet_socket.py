"""AF_PACKET sockets and the classic BPF programs that choose what they see: packet(7), linux/filter.h."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, PACKET_VNET_HDR = 5, 6, 10, 15
PACKET_OUTGOING = 4
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
_SO_ATTACH_FILTER = 26

LOAD_HALF, LOAD_WORD, AND, JUMP_IF_EQUAL, RETURN = 0x28, 0x20, 0x54, 0x15, 0x06
"""BPF_LD|BPF_H|BPF_ABS, BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""

PACKET_TYPE_AT = 0xFFFFF004
"""SKF_AD_OFF + SKF_AD_PKTTYPE: where a program loads from which way a packet goes."""
INTERFACE_AT = 0xFFFFF008
"""SKF_AD_OFF + SKF_AD_IFINDEX: from where it loads the number of the packet's interface."""

Instruction = tuple[int, int, int, int]
"""struct sock_filter: the operation, how many instructions to skip if true and if false, the operand."""

_INSTRUCTION = struct.Struct("=HBBI")
_libc = ctypes.CDLL(None, use_errno=True)


def packet_socket(program: Sequence[Instruction] = (), *, flags: int = 0) -> socket.socket:
    """A packet socket that sees nothing until it is bound, and then what the program returns bytes of."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | flags, 0)
    if program:
        attach_filter(opened, program)
    return opened


def attach_filter(opened: socket.socket, program: Sequence[Instruction]) -> None:
    """Have a socket see what a program returns bytes of; it takes the place of an earlier one."""
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in program))
    # struct sock_fprog; the kernel copies the program, so the buffer need not outlive this call.
    described = struct.pack("HL", len(program), ctypes.addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def take_drops(opened: socket.socket, size: int = 8) -> int:
    """Packets that the socket had no room for since the last call: the kernel resets the counter.

    Args:
        size: Of struct tpacket_stats, or of tpacket_stats_v3 for a TPACKET_V3 ring.
    """
    _, drops = struct.unpack_from("=II", opened.getsockopt(SOL_PACKET, PACKET_STATISTICS, size))
    return int(drops)


def bind_to_all(opened: socket.socket) -> None:
    """Have a packet socket see what passes all interfaces of its network namespace.

    Python's own bind wants the name of one, and a socket that has its protocol from the beginning would see
    packets before it has a filter and a ring.

    Raises:
        OSError: The kernel refuses it.
    """
    address = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0)  # struct sockaddr_ll
    if _libc.bind(opened.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, f"bind: {os.strerror(number)}")
