"""The program by which the kernel passes on only packets that may begin a request or an answer.

All others, which are almost all, cost a few instructions of it and reach no process.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from wotemu_gateways.packets.packet_socket import (
    AND,
    ETH_P_IP,
    INTERFACE_AT,
    JUMP_IF_EQUAL,
    LOAD_HALF,
    LOAD_WORD,
    PACKET_OUTGOING,
    PACKET_TYPE_AT,
    RETURN,
    Instruction,
)

SNAPLEN = 512
"""Bytes of a packet that are looked at: the first line of HTTP and some headers, or all options of CoAP."""
HTTP_STARTS = (b"GET ", b"POST", b"PUT ", b"DELE", b"HEAD", b"OPTI", b"PATC", b"HTTP")
"""The first bytes of a request or an answer."""

_LOAD_BYTE, _LOAD_IP_HEADER_SIZE = 0x30, 0xB1
"""BPF_LD|BPF_B|BPF_ABS; BPF_LDX|BPF_B|BPF_MSH, which loads X with four times the low half of a byte."""
_BYTE_BEHIND_X, _HALF_BEHIND_X, _WORD_BEHIND_X = 0x50, 0x48, 0x40
"""BPF_LD with BPF_IND: the operand is added to X."""
_SHIFT_RIGHT, _ADD_X, _COPY_TO_X = 0x74, 0x0C, 0x07
"""BPF_ALU|BPF_RSH|BPF_K, BPF_ALU|BPF_ADD|BPF_X, BPF_MISC|BPF_TAX."""
_JUMP_IF_ANY_BIT, _JUMP_IF_AT_LEAST = 0x45, 0x35
"""BPF_JMP|BPF_JSET|BPF_K, BPF_JMP|BPF_JGE|BPF_K."""
_LOOPBACK = 1
_TCP, _UDP = 6, 17
_IP = 14
"""Where the IPv4 header begins, behind that of Ethernet."""

_Line = tuple[int, str, str, int]
"""An instruction with labels in the place of jumps; "" is the next one."""


def packet_filter(
    coap_ports: Collection[int], measured_tcp: Collection[int] = (), measured_udp: Collection[int] = ()
) -> list[Instruction]:
    """The program for all interfaces but the loopback one; a packet that is too short ends it with 0.

    Args:
        coap_ports: UDP ports of servers of CoAP.
        measured_tcp: TCP ports of the node's servers that measure their requests themselves.
        measured_udp: UDP ports of such servers.
    """
    # Loads are most of what it costs, so what is true of almost all packets is checked last.
    lines: list[_Line | str] = [
        (LOAD_WORD, "", "", _IP + 6),  # flags and fragment, time to live, protocol
        (_JUMP_IF_ANY_BIT, "drop", "", 0x1FFF_0000),  # a later fragment
        (AND, "", "", 0xFF),
        (_LOAD_IP_HEADER_SIZE, "", "", _IP),
        (JUMP_IF_EQUAL, "tcp", "", _TCP),
        (JUMP_IF_EQUAL, "udp", "drop", _UDP),
        "tcp",
        (_BYTE_BEHIND_X, "", "", _IP + 12),
        (AND, "", "", 0xF0),
        (_SHIFT_RIGHT, "", "", 2),
        (_ADD_X, "", "", 0),
        (_COPY_TO_X, "", "", 0),
        (_WORD_BEHIND_X, "", "", _IP),
        *((JUMP_IF_EQUAL, "http", "", int.from_bytes(start, "big")) for start in HTTP_STARTS),
        (RETURN, "", "", 0),
        "udp",
        (_HALF_BEHIND_X, "", "", _IP),
        *((JUMP_IF_EQUAL, "coap", "", port) for port in coap_ports),
        (_HALF_BEHIND_X, "", "", _IP + 2),
        *((JUMP_IF_EQUAL, "coap", "", port) for port in coap_ports),
        (RETURN, "", "", 0),
        "coap",
        (_BYTE_BEHIND_X, "", "", _IP + 8),
        (AND, "", "", 0xC0),
        (JUMP_IF_EQUAL, "", "drop", 0x40),  # version 1
        (_BYTE_BEHIND_X, "", "", _IP + 9),
        (JUMP_IF_EQUAL, "drop", "", 0),  # an empty message
        (_JUMP_IF_AT_LEAST, "drop", "", 0xC0),  # codes from 6.00 on are reserved
        *_without_own(measured_udp, "coap_out"),
        "http",
        *_without_own(measured_tcp, "http_out"),
        "found",
        (LOAD_HALF, "", "", 12),
        (JUMP_IF_EQUAL, "", "drop", ETH_P_IP),
        (LOAD_WORD, "", "", INTERFACE_AT),
        (JUMP_IF_EQUAL, "drop", "", _LOOPBACK),
        (RETURN, "", "", SNAPLEN),
        "drop",
        (RETURN, "", "", 0),
    ]
    return assembled(lines)


def _without_own(ports: Collection[int], outgoing: str) -> list[_Line | str]:
    """Drop what goes from or to the node's own ports, and take all else; `outgoing` is a label for it."""
    if not ports:
        return [(_JUMP_IF_AT_LEAST, "found", "found", 0)]
    return [
        (_LOAD_IP_HEADER_SIZE, "", "", _IP),
        (LOAD_WORD, "", "", PACKET_TYPE_AT),
        (JUMP_IF_EQUAL, outgoing, "", PACKET_OUTGOING),
        (_HALF_BEHIND_X, "", "", _IP + 2),
        *((JUMP_IF_EQUAL, "drop", "", port) for port in ports),
        (_JUMP_IF_AT_LEAST, "found", "found", 0),
        outgoing,
        (_HALF_BEHIND_X, "", "", _IP),
        *((JUMP_IF_EQUAL, "drop", "", port) for port in ports),
        (_JUMP_IF_AT_LEAST, "found", "found", 0),
    ]


def assembled(lines: Sequence[_Line | str]) -> list[Instruction]:
    """Instructions with the distances of their jumps, of lines among which labels stand."""
    places: dict[str, int] = {}
    instructions: list[_Line] = []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(instructions)
        else:
            instructions.append(line)

    def distance(at: int, label: str) -> int:
        return places[label] - at - 1 if label else 0

    return [
        (operation, distance(at, if_true), distance(at, if_false), operand)
        for at, (operation, if_true, if_false, operand) in enumerate(instructions)
    ]
