"""What packets, first lines of HTTP and messages of CoAP say, and that no bytes at all raise anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wire.frames import NODE, PEER, UDP, coap, frame
from wotemu_runtime.wire.coap_messages import Block, read_message
from wotemu_runtime.wire.exchange import MAX_PATH
from wotemu_runtime.wire.http_messages import request_line, status_code
from wotemu_runtime.wire.packet import read_packet
from wotemu_runtime.wire.seen_requests import SeenRequests


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/")),
        (b"POST /things/7?key=secret HTTP/1.0\r\n\r\n", ("POST", "/things/7")),
        (b"GET http://sensor:80/a/b#c HTTP/1.1\r\n", ("GET", "/a/b")),
        (b"GET http://sensor HTTP/1.1\r\n", ("GET", "/")),
        (b"OPTIONS * HTTP/1.1\r\n", ("OPTIONS", "*")),
        (b"PATCH /\xff\xfe HTTP/1.1\n", ("PATCH", "/\\xff\\xfe")),
        (b"GET /" + b"a" * 400 + b" HTTP/1.1\r\n", ("GET", "/" + "a" * (MAX_PATH - 1))),
        (b"GET /a HTTP/2.0\r\n", None),
        (b"GET /a\r\n", None),
        (b"GETTING /a HTTP/1.1\r\n", None),
        (b"GET /\x1b[2J HTTP/1.1\r\n", None),
        (b"GET /" + b"a" * 400, None),
    ],
)
def test_a_request_line_has_a_method_and_a_path_without_its_query(
    data: bytes, found: tuple[str, str] | None
) -> None:
    assert request_line(data) == found


def test_a_request_line_that_was_cut_is_one_all_the_same() -> None:
    assert request_line(b"GET /" + b"a" * 400, is_cut=True) == ("GET", "/" + "a" * (MAX_PATH - 1))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.0 404\r\n", 404),
        (b"HTTP/1.1 099 no\r\n", None),
        (b"HTTP/1.1 2000\r\n", None),
        (b"HTTPS\r\n", None),
    ],
)
def test_an_answer_begins_with_its_status(data: bytes, code: int | None) -> None:
    assert status_code(data) == code


def test_a_message_of_coap_has_its_path_and_options() -> None:
    long = "d" * 300
    message = read_message(coap("0.02", 7, b"tok", ["a", "b c", "é"], observe=0, block1=(3, True)))
    assert message is not None
    assert (message.method, message.code, message.message_id, message.token) == ("POST", "", 7, b"tok")
    assert (message.path, message.observe, message.block1) == ("/a/b c/é", 0, Block(3, True))
    answer = read_message(coap("4.04", 8, b"", kind=2, block2=(0, False)))
    assert answer is not None
    assert (answer.method, answer.code, answer.block2) == ("", "4.04", Block(0, False))
    strange = read_message(coap("0.01", 9, path=["\x1b[2J", "x" * 20]))
    assert strange is not None
    assert strange.path == "/\\x1b[2J/" + "x" * 20
    assert read_message(coap("0.00", 9)) is None  # an empty message
    assert read_message(coap("7.01", 9)) is None
    assert len(long) == 300


def test_options_that_end_behind_the_message_make_it_none_unless_it_was_cut() -> None:
    data = coap("0.01", 1, path=["abcdefgh", "rest"])[:-2]
    assert read_message(data) is None
    cut = read_message(data, is_cut=True)
    assert cut is not None
    assert cut.path == "/abcdefgh"


def test_a_packet_is_read_behind_options_and_without_padding() -> None:
    sent = frame((NODE, 4000), (PEER, 80), b"GET / HTTP/1.1\r\n", seq=7, ip_options=8, tcp_options=0)
    packet = read_packet(sent + bytes(9), 1.5, is_outgoing=True)
    assert packet is not None
    assert (packet.data, packet.seq, packet.is_tcp, packet.is_cut) == (b"GET / HTTP/1.1\r\n", 7, True, False)
    assert packet.endpoints == (bytes([10, 0, 0, 1]), 4000, bytes([10, 0, 0, 2]), 80)
    received = read_packet(sent[:-3], 1.5, is_outgoing=False)
    assert received is not None
    assert received.is_cut
    assert received.endpoints == (bytes([10, 0, 0, 2]), 80, bytes([10, 0, 0, 1]), 4000)
    assert read_packet(frame((NODE, 1), (PEER, 2), b"x", protocol=1), 0.0, is_outgoing=True) is None
    assert read_packet(frame((NODE, 1), (PEER, 2), b"x" * 9, fragment=3), 0.0, is_outgoing=True) is None
    datagram = read_packet(frame((NODE, 1), (PEER, 2), b"hi", protocol=UDP), 0.0, is_outgoing=True)
    assert datagram is not None
    assert datagram.data == b"hi"


garbage = st.binary(max_size=120)


@given(garbage, st.booleans(), st.booleans())
def test_no_bytes_raise_anything(data: bytes, is_outgoing: bool, is_udp: bool) -> None:
    seen = SeenRequests()
    ends = ((NODE, 5683), (PEER, 5683)) if is_outgoing else ((PEER, 80), (NODE, 80))
    for each in (data, b"GET " + data, b"HTTP/1.1 " + data, b"\x40\x01" + data, b"\x60\x45" + data):
        seen.take(each, 0.0, is_outgoing=is_outgoing)
        seen.take(frame(*ends, each, protocol=UDP if is_udp else 6), 0.0, is_outgoing=is_outgoing)
    assert len(list(seen.ended(1.0, is_last=True))) <= 5
