"""Requests and answers of a node, as its packets show them: matched, counted once, bounded."""

from __future__ import annotations

import pytest

from tests.unit.wire.frames import NODE, PEER, UDP, coap, frame
from wotemu_runtime.app_process.messages import Claim, ClaimKind
from wotemu_runtime.wire import exchange as limits
from wotemu_runtime.wire.exchange import ANSWER_WAIT_S, Exchange
from wotemu_runtime.wire.seen_requests import SeenRequests

GET = b"GET /a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire:
    """What one node sends to and gets from its peer."""

    def __init__(self) -> None:
        self.seen = SeenRequests()

    def http(self, t: float, data: bytes, *, port: int = 4000, seq: int = 0, sent: bool = True) -> None:
        """A segment between a client's port and port 80; `sent` by the node, whichever end it is."""
        is_request = not data.startswith(b"HTTP")
        client, server = ((NODE, port), (PEER, 80)) if sent is is_request else ((PEER, port), (NODE, 80))
        ends = (client, server) if is_request else (server, client)
        self.seen.take(frame(*ends, data, seq=seq), t, is_outgoing=sent)

    def coap(self, t: float, data: bytes, *, port: int = 5000, sent: bool = True) -> None:
        """A datagram between a port of the node, a client, and port 5683 of its peer."""
        ends = ((NODE, port), (PEER, 5683))
        self.seen.take(frame(*(ends if sent else ends[::-1]), data, protocol=UDP), t, is_outgoing=sent)

    def claim(self, kind: ClaimKind, port: int, t: float) -> None:
        self.seen.claim(Claim(kind, port, t))

    def all(self, now: float = 100.0) -> list[Exchange]:
        return list(self.seen.ended(now, is_last=True))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_requests_of_a_connection_are_answered_in_their_order(wire: Wire) -> None:
    for number, path in enumerate((b"/a", b"/b", b"/c")):  # pipelined
        wire.http(1.0 + number / 10, b"PUT %s HTTP/1.1\r\n\r\n" % path, seq=100 * number)
    for number, status in enumerate((b"200", b"404", b"500")):
        wire.http(2.0 + number, b"HTTP/1.1 %s x\r\n" % status, seq=50 * number, sent=False)
    found = wire.all()
    assert [(each.method, each.path, each.code) for each in found] == [
        ("PUT", "/a", "200"),
        ("PUT", "/b", "404"),
        ("PUT", "/c", "500"),
    ]
    assert [each.duration for each in found] == pytest.approx([1.0, 1.9, 2.8])
    assert {each.side for each in found} == {"client"}


def test_segments_that_tcp_sends_again_and_provisional_answers_do_not_count(wire: Wire) -> None:
    for t in (1.0, 1.2):
        wire.http(t, GET, seq=7)
    wire.http(1.5, b"HTTP/1.1 100 Continue\r\n\r\n", seq=1, sent=False)
    for t in (2.0, 2.2):
        wire.http(t, OK, seq=30, sent=False)
    wire.http(2.5, GET, seq=7)
    wire.http(3.0, b"GET /ws HTTP/1.1\r\n\r\n", seq=60)
    wire.http(3.5, b"HTTP/1.1 101 Switching Protocols\r\n", seq=80, sent=False)
    found = wire.all()
    assert [(each.t, each.code, each.duration) for each in found] == [(1.0, "200", 1.0), (3.0, "101", 0.5)]


def test_a_server_sees_requests_too_and_answers_need_the_other_direction(wire: Wire) -> None:
    wire.http(1.0, GET, sent=False)
    wire.http(1.1, OK, seq=1, sent=True)
    (served,) = wire.all()
    assert (served.side, served.endpoints.local_port, served.code) == ("server", 80, "200")


def test_what_is_never_answered_ends_in_time_or_with_the_next_connection_of_its_ports(wire: Wire) -> None:
    wire.http(1.0, GET, seq=7)
    wire.http(50.0, GET, seq=7 + (1 << 28))
    wire.http(50.5, OK, seq=9, sent=False)
    wire.http(60.0, GET, port=4001)
    seen = wire.seen
    assert not [*seen.ended(60.0)]  # programs have a second to say that these are theirs
    assert [(each.t, each.code) for each in seen.ended(61.0)] == [(1.0, ""), (50.0, "200")]
    assert [(each.t, each.duration) for each in seen.ended(61.0 + ANSWER_WAIT_S)] == [(60.0, None)]


def test_only_so_many_requests_are_followed(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OPEN", 3)
    for port in range(5):
        wire.http(1.0, GET, port=port + 1)
        wire.coap(1.0, coap("0.01", port, bytes([port])))
    assert wire.seen.missed == 4
    assert len(wire.all()) == 6


def test_coap_is_matched_by_token_and_copies_are_known_by_message_id(wire: Wire) -> None:
    for t in (1.0, 3.0):  # the second one is the sender's repetition
        wire.coap(t, coap("0.01", 7, b"a", ["temp"]))
    wire.coap(1.1, coap("0.03", 8, b"b", ["led"]))
    wire.coap(3.5, coap("2.04", 8, b"b", kind=2), sent=False)
    for t in (4.0, 4.1):
        wire.coap(t, coap("2.05", 900, b"a"), sent=False)  # separate answers
    wire.coap(5.0, coap("0.01", 7, b"a", ["temp"]))  # a copy that was late
    found = sorted(wire.all(), key=lambda each: each.t)
    assert [(each.method, each.path, each.code, each.duration) for each in found] == [
        ("GET", "/temp", "2.05", 3.0),
        ("PUT", "/led", "2.04", pytest.approx(2.4)),
    ]


def test_notifications_count_once_until_the_observation_ends(wire: Wire) -> None:
    wire.coap(1.0, coap("0.01", 7, b"a", ["temp"], observe=0))
    wire.coap(1.5, coap("2.05", 7, b"a", kind=2, observe=2), sent=False)
    for message_id in (30, 31, 31, 32):
        wire.coap(2.0, coap("2.05", message_id, b"a", observe=3), sent=False)
    wire.coap(2.5, coap("2.05", 40, b"z", observe=3), sent=False)  # nobody's
    wire.coap(3.0, coap("0.01", 8, b"a", ["temp"], observe=1))
    wire.coap(3.1, coap("2.05", 8, b"a", kind=2), sent=False)
    wire.coap(3.5, coap("2.05", 33, b"a", observe=4), sent=False)
    found = wire.all()
    assert [each.registration is not None for each in found] == [False, True, True, True, False]
    assert {each.path for each in found} == {"/temp"}


def test_blocks_are_one_request(wire: Wire) -> None:
    for number in range(3):
        has_more = number < 2
        wire.coap(1.0 + number, coap("0.03", number, bytes([number]), ["fw"], block1=(number, has_more)))
        code = "2.31" if has_more else "2.04"
        answer = coap(code, number, bytes([number]), kind=2, block1=(number, has_more))
        wire.coap(1.5 + number, answer, sent=False)
    wire.coap(10.0, coap("0.01", 20, b"x", ["log"]))
    wire.coap(10.5, coap("2.05", 20, b"x", kind=2, block2=(0, True)), sent=False)
    wire.coap(11.0, coap("0.01", 21, b"y", ["log"], block2=(1, False)))
    wire.coap(11.5, coap("2.05", 21, b"y", kind=2, block2=(1, False)), sent=False)
    found = wire.all()
    assert [(each.method, each.code, each.duration) for each in found] == [
        ("PUT", "2.04", 2.5),
        ("GET", "2.05", 0.5),
    ]


def test_what_programs_measure_themselves_is_left_out(wire: Wire) -> None:
    wire.claim("tcp_server", 80, 0.0)
    wire.http(1.0, GET, sent=False)  # served by WoTPy
    wire.http(1.1, OK, seq=1, sent=True)
    wire.claim("connected", 4000, 1.9999)
    wire.http(2.0, GET, port=4000)  # asked by WoTPy
    wire.http(2.1, OK, port=4000, seq=2, sent=False)
    wire.http(3.0, GET, port=4000, seq=1 << 26)  # by another program, which has the port next
    wire.http(3.1, OK, port=4000, seq=3, sent=False)
    wire.claim("opened", 5000, 4.0)
    wire.coap(4.1, coap("0.01", 1, b"a", ["own"], observe=0))
    wire.coap(4.2, coap("2.05", 1, b"a", kind=2, observe=1), sent=False)
    wire.claim("closed", 5000, 5.0)
    wire.coap(5.5, coap("2.05", 2, b"a", observe=2), sent=False)  # of an observation before
    wire.coap(6.0, coap("0.01", 3, b"b", ["other"]))
    wire.coap(6.1, coap("2.05", 3, b"b", kind=2), sent=False)
    assert [(each.protocol, each.t) for each in wire.all(now=6.5)] == [("http", 3.0), ("coap", 6.0)]


def test_a_claim_may_come_a_little_later_than_the_packet(wire: Wire) -> None:
    wire.http(1.0, GET)
    wire.http(1.01, OK, seq=1, sent=False)
    assert not [*wire.seen.ended(1.02)]
    wire.claim("connected", 4000, 0.9999)
    assert not [*wire.seen.ended(2.02)]
    assert not [*wire.seen.ended(3.02, is_last=True)]


def test_a_claim_whose_request_was_lost_covers_no_later_one(wire: Wire) -> None:
    wire.claim("connected", 4000, 1.0)
    wire.http(30.0, GET)
    assert [each.t for each in wire.all(now=31.0)] == [30.0]


def test_requests_of_wotemus_own_catalogue_client_are_left_out(wire: Wire) -> None:
    wire.http(1.0, b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: WoTemu\r\nAccept: */*\r\n\r\n")
    wire.http(1.1, OK, seq=1, sent=False)
    assert not wire.all()
