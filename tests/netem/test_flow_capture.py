"""Flows counted from packets' first bytes."""

from __future__ import annotations

from ipaddress import IPv4Address

from wotemu_gateways.netem.flow_capture import FlowClassifier
from wotemu_gateways.packets.flow_table import FlowTable

NAMES = {IPv4Address("10.64.0.2").packed: "a", IPv4Address("10.64.0.3").packed: "b"}


def frame(target: IPv4Address, sport: int = 4000) -> bytes:
    """The first bytes of a UDP packet from a."""
    addresses = IPv4Address("10.64.0.2").packed + target.packed
    header = b"\x45" + bytes(5) + b"\x00\x00\x40\x11\x00\x00" + addresses
    return bytes(12) + b"\x08\x00" + header + sport.to_bytes(2, "big") + b"\x13\x88" + bytes(4)


def test_a_node_that_scans_a_network_makes_no_channel_for_each_address() -> None:
    table = FlowTable("field", NAMES, {}, max_flows=100)
    counting = FlowClassifier(table, NAMES)
    for number in range(1 << 16):
        counting.counter(frame(IPv4Address(0x0A410000 + number))).packets_up += 1
    counting.counter(frame(IPv4Address("10.64.0.3"))).packets_up += 1
    assert len(table._pairs) == 2
    assert len(counting._by_addresses) <= 4096
    rows = list(table.drain(1.0))
    assert sum(row.packets for row in rows) == (1 << 16) + 1
    assert {row.src for row in rows} == {"a"}


def test_a_flow_has_one_counter_however_often_addresses_are_forgotten() -> None:
    table = FlowTable("field", NAMES, {})
    counting = FlowClassifier(table, NAMES)
    first = counting.counter(frame(IPv4Address("10.64.0.3")))
    for number in range(5000):
        counting.counter(frame(IPv4Address(0x0A410000 + number)))
    assert counting.counter(frame(IPv4Address("10.64.0.3"))) is first
