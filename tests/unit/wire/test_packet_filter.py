"""The kernel's program, run by a machine of a few lines: what may begin a request or an answer passes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.wire.frames import NODE, PEER, UDP, coap, frame
from wotemu_gateways.packets.packet_socket import INTERFACE_AT, PACKET_OUTGOING, PACKET_TYPE_AT
from wotemu_runtime.wire.packet_filter import SNAPLEN, packet_filter

WIDTHS = {0x28: 2, 0x20: 4, 0x30: 1, 0x48: 2, 0x40: 4, 0x50: 1}


def run(data: bytes, *, interface: int = 2, is_outgoing: bool = True, measured: Sequence[int] = ()) -> int:
    """What the program returns for a frame: classic BPF, as far as it is used."""
    program, at, a, x = packet_filter([5683, 9999], measured, measured), 0, 0, 0
    while True:
        operation, if_true, if_false, operand = program[at]
        at += 1
        if operation in WIDTHS:
            if operand == INTERFACE_AT:
                a = interface
                continue
            if operand == PACKET_TYPE_AT:
                a = PACKET_OUTGOING if is_outgoing else 0
                continue
            start, width = operand + (x if operation & 0x40 else 0), WIDTHS[operation]
            if start + width > len(data):
                return 0
            a = int.from_bytes(data[start : start + width], "big")
        elif operation == 0xB1:
            x = (data[operand] & 0x0F) * 4
        elif operation == 0x54:
            a &= operand
        elif operation == 0x74:
            a >>= operand
        elif operation == 0x0C:
            a += x
        elif operation == 0x07:
            x = a
        elif operation == 0x06:
            return operand
        else:
            is_true = {0x15: a == operand, 0x45: bool(a & operand), 0x35: a >= operand}[operation]
            at += if_true if is_true else if_false


@pytest.mark.parametrize(
    "data", [b"GET /", b"POST", b"PUT /", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"HTTP/"]
)
@pytest.mark.parametrize("options", [0, 20])
def test_first_segments_of_http_pass(data: bytes, options: int) -> None:
    assert run(frame((NODE, 1), (PEER, 2), data, tcp_options=options, ip_options=options)) == SNAPLEN


@pytest.mark.parametrize("port", [5683, 9999])
def test_requests_and_answers_of_coap_pass(port: int) -> None:
    ends = ((NODE, 4000), (PEER, port))
    assert run(frame(*ends, coap("0.01", 1), protocol=UDP)) == SNAPLEN
    assert run(frame(*ends[::-1], coap("5.03", 1), protocol=UDP, ip_options=4)) == SNAPLEN


@pytest.mark.parametrize(
    "dropped",
    [
        frame((NODE, 1), (PEER, 2), b""),
        frame((NODE, 1), (PEER, 2), b"GE"),
        frame((NODE, 1), (PEER, 2), b"\x16\x03\x01\x00 GET "),
        frame((NODE, 1), (PEER, 2), b"GET /", fragment=100),
        frame((NODE, 1), (PEER, 2), b"GET /", protocol=UDP),
        frame((NODE, 1), (PEER, 2), b"GET /", protocol=132),
        frame((NODE, 4000), (PEER, 4001), coap("0.01", 1), protocol=UDP),
        frame((NODE, 4000), (PEER, 5683), coap("0.00", 1), protocol=UDP),
        frame((NODE, 4000), (PEER, 5683), coap("7.00", 1), protocol=UDP),
        frame((NODE, 4000), (PEER, 5683), b"\x00\x01\x00\x00", protocol=UDP),
        bytes(12) + b"\x08\x06" + bytes(60),
        b"\x00",
    ],
)
def test_all_else_is_dropped(dropped: bytes) -> None:
    assert run(dropped) == 0


def test_nothing_of_the_loopback_interface_passes() -> None:
    assert run(frame((NODE, 1), (PEER, 2), b"GET /"), interface=1) == 0


def test_servers_that_measure_themselves_are_left_out_and_clients_of_such_ports_are_not() -> None:
    """Whatever a port is, it has to be the node's own: a peer may serve the same one."""
    sent, received = frame((NODE, 8080), (PEER, 9999), b"HTTP"), frame((PEER, 9999), (NODE, 8080), b"GET ")
    measured = range(8070, 8102)
    assert run(sent, measured=measured) == run(received, is_outgoing=False, measured=measured) == 0
    asked, answered = frame((NODE, 9999), (PEER, 8080), b"GET "), frame((PEER, 8080), (NODE, 9999), b"HTTP")
    assert run(asked, measured=measured) == SNAPLEN
    assert run(answered, is_outgoing=False, measured=measured) == SNAPLEN
    request = frame((PEER, 4000), (NODE, 5683), coap("0.01", 1), protocol=UDP, ip_options=4)
    assert run(request, is_outgoing=False, measured=[5683]) == 0
    assert run(request, is_outgoing=False, measured=[5684]) == SNAPLEN
    to_peer = frame((NODE, 4000), (PEER, 5683), coap("0.01", 1), protocol=UDP)
    assert run(to_peer, measured=[5683]) == SNAPLEN
