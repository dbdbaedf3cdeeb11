"""Packets and bytes of each flow, as the report gets them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.records import Flow
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Seconds
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.packets.flow_table import IDLE_DRAINS, MAX_FLOWS, FlowTable

from .network import FakeNetwork, ipv4

PORTS = {8080: "http", 5683: "coap"}


def test_a_flow_has_a_row_on_each_hop_with_names_and_protocol() -> None:
    with FakeNetwork("reader-1", "lamp", ports=PORTS) as net:
        frames = [net.send("reader-1", "lamp", b"x" * n, dport=8080) for n in (10, 20, 30)]
        up, down = net.drain()[0]
        size = sum(map(len, frames))
        assert up == Flow(
            1.0, "reader-1", "field", "up", "udp", "http", "reader-1", "lamp", 4000, 8080, 3, size
        )
        assert (down.node, down.direction, down.packets, down.bytes) == ("lamp", "down", 3, size)


def test_an_answer_is_of_the_same_protocol() -> None:
    with FakeNetwork("a", "b", ports=PORTS) as net:
        net.send("b", "a", sport=5683, dport=41000)
        assert {flow.protocol for flow in net.drain()[0]} == {"coap"}


def test_unknown_ports_have_no_protocol() -> None:
    with FakeNetwork("a", "b", ports=PORTS) as net:
        net.send("a", "b")
        assert {flow.protocol for flow in net.drain()[0]} == {""}


def test_each_drain_counts_from_zero_and_silent_flows_have_no_row() -> None:
    with FakeNetwork("a", "b") as net:
        net.send("a", "b")
        net.send("a", "b")
        assert [flow.packets for flow in net.drain()[0]] == [2, 2]
        assert net.drain()[0] == []
        net.send("a", "b")
        assert [flow.packets for flow in net.drain()[0]] == [1, 1]


def test_a_lost_packet_counts_as_sent_and_not_as_delivered() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): NetworkConditions(loss=Fraction(1))}) as net:
        net.send("a", "b")
        assert [flow.direction for flow in net.drain()[0]] == ["up"]


def test_tcp_and_udp_between_the_same_ports_are_two_flows() -> None:
    with FakeNetwork("a", "b") as net:
        for transport in (6, 17, 6):
            net.send_frame("a", ipv4(net.members["a"], net.members["b"], transport=transport))
        rows = {(flow.transport, flow.direction): flow.packets for flow in net.drain()[0]}
        assert rows == {("tcp", "up"): 2, ("tcp", "down"): 2, ("udp", "up"): 1, ("udp", "down"): 1}


def test_options_and_another_ttl_make_no_other_flow() -> None:
    with FakeNetwork("a", "b") as net:
        for options, ttl in ((b"", 64), (b"\x01" * 4, 64), (b"", 1), (b"", 64)):
            net.send_frame("a", ipv4(net.members["a"], net.members["b"], options=options, ttl=ttl))
        assert [flow.packets for flow in net.drain()[0]] == [4, 4]


def test_fragments_are_counted_apart_once_their_ports_are_gone() -> None:
    with FakeNetwork("a", "b") as net:
        for fragment in (0x2000, 0x2010, 0x0020):
            net.send_frame("a", ipv4(net.members["a"], net.members["b"], fragment=fragment))
        rows = {(flow.dport, flow.packets) for flow in net.drain()[0]}
        assert rows == {(5000, 1), (0, 2)}


def test_addresses_that_are_no_replicas_stay_addresses() -> None:
    with FakeNetwork("a", "b") as net:
        frame = ipv4(net.members["a"], net.members["b"])
        routed = frame[:30] + bytes([192, 0, 2, 9]) + frame[34:]
        net.send_frame("a", routed)
        assert {(flow.src, flow.dst) for flow in net.drain()[0]} == {("a", "192.0.2.9")}


def test_what_is_not_ip_is_a_flow_of_its_own() -> None:
    with FakeNetwork("a", "b") as net:
        net.send_frame("a", net.members["b"].mac + net.members["a"].mac + b"\x88\xb5" + bytes(50))
        up, down = net.drain()[0]
        assert (up.transport, up.src, up.dst, up.packets, down.packets) == ("other", "a", "b", 1, 1)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_rubbish_behind_the_addresses_is_forwarded_and_counted(rubbish: list[bytes]) -> None:
    with FakeNetwork("a", "b") as net:
        frames = [net.members["b"].mac + net.members["a"].mac + b"\x08\x00" + tail for tail in rubbish]
        for frame in frames:
            net.send_frame("a", frame)
        assert net.received("b") == frames
        assert sum(flow.packets for flow in net.drain()[0] if flow.direction == "down") == len(frames)


def _table(max_flows: int) -> FlowTable:
    return FlowTable("field", {}, {}, max_flows=max_flows)


def _frame(sport: int) -> bytes:
    addresses = bytes([10, 64, 0, 2, 10, 64, 0, 3])
    header = bytes([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0]) + addresses
    return mac_of("10.64.0.3") + mac_of("10.64.0.2") + b"\x08\x00" + header + struct.pack("!HH", sport, 80)


def test_flows_beyond_the_bound_share_a_row_and_are_counted() -> None:
    table = _table(max_flows=3)
    channel = table.add_pair("a", "b")
    for sport in range(1, 11):
        channel.counter(_frame(sport)).packets_up += 1
    rows = {(row.sport, row.transport): row.packets for row in table.drain(1.0)}
    assert rows == {(1, "udp"): 1, (2, "udp"): 1, (3, "udp"): 1, (0, "other"): 7}
    assert table.merged == 7


def test_idle_flows_make_room_for_new_ones() -> None:
    table = _table(max_flows=1)
    channel = table.add_pair("a", "b")
    counter = channel.counter(_frame(1))
    counter.packets_up = counter.packets_down = 1
    for _ in range(IDLE_DRAINS + 1):
        table.drain(1.0)
    assert channel.counter(_frame(2)).flow.sport == 2
    assert table.merged == 0


def test_a_thousand_new_flows_a_second_for_good_have_counters_of_their_own() -> None:
    """As two hundred and fifty readers make that open a connection for each of two requests a second."""
    table = _table(MAX_FLOWS)
    channel = table.add_pair("a", "b")
    for second in range(100):
        for number in range(1000):
            counter = channel.counter(_frame(1 + (second * 1000 + number) % 60_000))
            counter.packets_up += 1
            counter.packets_down += 1
        assert sum(row.packets for row in table.drain(float(second))) == 2000
    assert table.merged == 0


def test_a_flow_with_packets_in_flight_is_remembered_however_long_they_take() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): NetworkConditions(latency=Seconds(100))}) as net:
        net.send("a", "b")
        for _ in range(IDLE_DRAINS * 2):
            net.drain()
        net.advance(101)
        assert [(flow.direction, flow.packets) for flow in net.drain()[0]] == [("down", 1)]


@pytest.mark.parametrize("loss", [0.0, 0.5, 1.0])
def test_nothing_is_under_way_once_all_packets_have_met_their_fate(loss: float) -> None:
    lossy = NetworkConditions(loss=Fraction(loss))
    with FakeNetwork("a", "b", "c", hops={("a", "up"): lossy, ("b", "down"): lossy}) as net:
        for i in range(50):
            net.send("a", "b", sport=i % 3)
            net.send_frame("a", ipv4(net.members["a"], "10.64.0.255"))
        net.switch.cut("b", True)
        net.send("a", "b")
        net.send("b", "a")
        assert net.switch.packets_in_flight == 0


def test_rows_may_be_asked_for_while_packets_go_on() -> None:
    with FakeNetwork("a", "b") as net:
        for port in range(5000, 5010):
            net.send("a", "b", dport=port)
        rows = net.switch.drain(1.0)
        first = next(row for row in rows if isinstance(row, Flow))
        net.send("a", "b", dport=6000)
        rest = [row for row in rows if isinstance(row, Flow)]
        assert {row.dport for row in [first, *rest]} == set(range(5000, 5010))
        assert {row.dport for row in net.drain()[0]} == {6000}
