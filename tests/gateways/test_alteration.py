"""Duplication, corruption and marks of congestion."""

from __future__ import annotations

import math
import struct
from random import Random
from typing import Any

import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.alteration import Alteration
from wotemu_gateways.impairments.loss import loss_processes
from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, flip_bit, mark_congestion

from .network import FakeNetwork, ipv4, members

A, B = members(["a", "b"])
FRAME = ipv4(A, B, payload=bytes(100))
PACKETS = 20_000


def alteration(**conditions: Any) -> Alteration:
    given = NetworkConditions.of(**conditions)
    assert Alteration.is_needed(given)
    return Alteration(given, loss_processes(given, Random(1)), Random(2))


def interval(share: float) -> float:
    return 2.576 * math.sqrt(share * (1 - share) / PACKETS)


def checksummed(frame: bytes, tos: int) -> bytes:
    """The frame with a type of service and a checksum that is right."""
    header = bytearray(frame[ETHERNET_BYTES:34])
    header[1], header[10:12] = tos, b"\0\0"
    total = sum(struct.unpack("!10H", header))
    header[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return frame[:ETHERNET_BYTES] + bytes(header) + frame[34:]


def test_a_share_of_packets_comes_twice() -> None:
    treated = alteration(duplicate="5%").alter([FRAME] * PACKETS)
    doubled = sum(copies == [FRAME, FRAME] for copies in treated)
    assert doubled / PACKETS == pytest.approx(0.05, abs=interval(0.05))
    assert doubled + sum(copies == [FRAME] for copies in treated) == PACKETS


def test_a_share_of_packets_has_one_bit_wrong_behind_the_ethernet_header() -> None:
    treated = alteration(corrupt="5%").alter([FRAME] * PACKETS)
    wrong = [copy for (copy,) in treated if copy != FRAME]
    assert len(wrong) / PACKETS == pytest.approx(0.05, abs=interval(0.05))
    for copy in wrong:
        different = int.from_bytes(copy, "big") ^ int.from_bytes(FRAME, "big")
        assert different.bit_count() == 1
        assert copy[:ETHERNET_BYTES] == FRAME[:ETHERNET_BYTES]


def test_each_copy_is_lost_by_itself() -> None:
    crossed = alteration(duplicate="100%", loss="50%")
    treated = crossed.alter([FRAME] * PACKETS)
    shares = [sum(len(copies) == n for copies in treated) / PACKETS for n in range(3)]
    assert shares == [pytest.approx(share, abs=interval(share)) for share in (0.25, 0.5, 0.25)]
    assert crossed.lost == 2 * PACKETS - sum(map(len, treated))


@pytest.mark.parametrize("tos", [0x01, 0x02, 0xB9])
def test_a_packet_that_can_be_marked_is_marked_and_not_lost(tos: int) -> None:
    sent = checksummed(FRAME, tos)
    ((arrived,),) = alteration(loss="100%", ecn=True).alter([sent])
    assert arrived == checksummed(FRAME, tos | 0x03)


def test_a_packet_that_cannot_be_marked_is_lost() -> None:
    crossed = alteration(loss="100%", ecn=True)
    assert crossed.alter([checksummed(FRAME, 0x00)]) == [[]]
    assert crossed.lost == 1


def test_a_mark_once_made_stays() -> None:
    marked = checksummed(FRAME, 0x03)
    assert mark_congestion(marked) == marked


def test_what_is_not_ipv4_or_too_short_takes_no_mark() -> None:
    assert mark_congestion(FRAME[:20]) is None
    assert mark_congestion(FRAME[:12] + b"\x86\xdd" + FRAME[14:]) is None


def test_a_flipped_bit_flipped_back_is_the_frame() -> None:
    assert flip_bit(flip_bit(FRAME, 500), 500) == FRAME


def test_duplicates_are_delivered_counted_and_leave_nothing_under_way() -> None:
    with FakeNetwork(
        "a", "b", hops={("a", "up"): NetworkConditions(duplicate="100%", latency="10ms")}
    ) as net:
        net.send("a", "b", b"twice")
        net.advance(0.02)
        assert net.payloads("b") == [b"twice", b"twice"]
        assert net.switch.packets_in_flight == 0
        flows, counters = net.drain()
        assert [(flow.direction, flow.packets) for flow in flows] == [("up", 1), ("down", 2)]
        assert counters["b", "down"].sent == 2


def test_losses_of_copies_are_reported_and_every_value_goes_back_to_zero() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): NetworkConditions(loss="100%", duplicate="100%")}) as net:
        net.send("a", "b")
        assert net.drain()[1]["a", "up"].dropped_loss == 2
        net.switch.set_hop("a", "up", NetworkConditions())
        net.send("a", "b", b"through")
        assert net.payloads("b") == [b"through"]
        assert net.drain()[1]["a", "up"].dropped_loss == 0
        assert net.switch.packets_in_flight == 0
