"""Probes meet what packets meet, and count nowhere."""

from __future__ import annotations

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.packets import probe as probes
from wotemu_gateways.packets.ethernet import flow_of
from wotemu_gateways.packets.flow_table import FlowTable

from .network import FakeNetwork, Hops, ipv4

MS_10 = NetworkConditions(latency="10ms")
MS_20 = NetworkConditions(latency="20ms")
LOSSY = NetworkConditions(loss="100%")


def probe(net: FakeNetwork, source: str = "a", target: str = "b", number: int = 1) -> bytes:
    """Have a replica's agent send a probe."""
    return net.send(source, target, bytes(4) + probes.pack(number), sport=probes.PORT, dport=probes.PORT)


def counted(net: FakeNetwork) -> list[object]:
    """Everything that a drain tells of packets."""
    flows, hops = net.drain()
    facts = [(hop.sent, hop.sent_bytes, hop.dropped_loss, hop.dropped_queue, hop.dropped_cut, hop.backlog)
             for hop in hops.values()]  # fmt: skip
    return [flow for flow in flows if flow.packets] + [fact for fact in facts if any(fact)]


def test_a_payload_tells_its_number_and_nothing_else_does() -> None:
    assert probes.unpack(probes.pack(2**40 + 7)) == 2**40 + 7
    assert probes.unpack(b"hello") is None
    assert probes.unpack(bytes(12)) is None


def test_probes_are_told_by_both_ports() -> None:
    with FakeNetwork("a", "b") as net:
        a, b = net.members["a"], net.members["b"]
        frame = ipv4(a, b, sport=probes.PORT, dport=probes.PORT)
        assert probes.is_probe(frame)
        assert probes.is_probe_flow(flow_of(frame))
        assert not probes.is_probe(ipv4(a, b, sport=probes.PORT, dport=5000))
        assert not probes.is_probe(ipv4(a, b, sport=probes.PORT, dport=probes.PORT, transport=6))
        assert not probes.is_probe(ipv4(a, b, sport=probes.PORT, dport=probes.PORT, fragment=0x2000))


def test_a_probe_takes_both_hops_and_is_in_no_figure() -> None:
    with FakeNetwork("a", "b", "c", hops={("a", "up"): MS_10, ("b", "down"): MS_20}) as net:
        frame = probe(net)
        net.advance(0.0299)
        assert net.received("b") == []
        assert counted(net) == []
        net.advance(0.0002)
        assert net.received("b") == [frame]
        assert counted(net) == net.received("c") == []
        assert net.switch.packets_in_flight == 0


def test_a_probe_waits_behind_an_apps_packets_and_they_behind_it() -> None:
    slow: Hops = {("a", "up"): NetworkConditions(rate="8kbit", queue="10s")}
    with FakeNetwork("a", "b", hops=slow) as net:
        first = net.send("a", "b", bytes(58))
        second = probe(net)
        net.send("a", "b", b"last")
        net.advance((len(first) + len(second)) / 1000 - 0.001)
        assert net.received("b") == [first]
        net.advance(0.002)
        assert net.received("b") == [second]
        net.advance(1)
        assert net.payloads("b") == [b"last"]


def test_lost_probes_are_no_lost_packets() -> None:
    lossy_ways: list[Hops] = [{("a", "up"): LOSSY}, {("b", "down"): LOSSY}]
    for hops in lossy_ways:
        with FakeNetwork("a", "b", hops=hops) as net:
            probe(net)
            assert net.received("b") == []
            assert counted(net) == []
            net.send("a", "b")
            _, counters = net.drain()
            assert sum(hop.dropped_loss for hop in counters.values()) == 1


def test_probes_that_find_no_room_are_no_refused_packets() -> None:
    full: Hops = {("a", "up"): NetworkConditions(rate="8kbit", queue="1p")}
    with FakeNetwork("a", "b", hops=full) as net:
        net.send("a", "b", bytes(1000))
        probe(net)
        _, counters = net.drain()
        assert counters["a", "up"].dropped_queue == 0


def test_probes_do_not_pass_cuts_and_partitions_and_do_not_count_as_cut_off() -> None:
    with FakeNetwork("a", "b") as net:
        for replica in ("a", "b"):
            net.switch.cut(replica, True)
            probe(net)
            net.switch.cut(replica, False)
        net.switch.partition([["a"], ["b"]])
        probe(net)
        assert net.received("b") == []
        assert counted(net) == []
        net.switch.partition([])
        frame = probe(net)
        assert net.received("b") == [frame]


def test_a_change_holds_for_probes_from_then_on() -> None:
    with FakeNetwork("a", "b") as net:
        probe(net)
        assert len(net.received("b")) == 1
        net.switch.set_hop("a", "up", MS_20)
        probe(net)
        assert net.received("b") == []
        net.advance(0.021)
        assert len(net.received("b")) == 1


def test_a_shared_rate_is_shared_with_probes() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.switch.set_shared_bucket(NetworkConditions(rate="8kbit", queue="10s"))
        size = len(net.send("a", "c", bytes(58)))
        probe(net, "b", "c")
        net.advance(size / 1000 + 0.001)
        assert len(net.received("c")) == 1


def test_how_late_a_probe_leaves_is_how_late_its_hop_is() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): MS_10}) as net:
        probe(net)
        net.clock.advance(0.013)
        net.switch.timers.release(net.clock.now())
        _, counters = net.drain()
        late_max = counters["a", "up"].late_max
        assert late_max is not None
        assert 0.0029 < late_max < 0.0031
        assert counters["a", "up"].sent == 0


def test_a_gateway_that_counts_probes_by_flow_tells_them_apart() -> None:
    table = FlowTable("field", {}, {})
    channel = table.add_pair("a", "b")
    with FakeNetwork("a", "b") as net:
        members = net.members["a"], net.members["b"]
    for port in (probes.PORT, probes.PORT, 5000):
        counter = channel.counter(ipv4(*members, sport=probes.PORT, dport=port))
        counter.packets_up += 1
        counter.bytes_up += 54
    assert [row.dport for row in table.drain(1.0)] == [5000]
    assert table.probes == {("a", "up"): (2, 108), ("b", "down"): (0, 0)}
    assert not list(table.drain(2.0))
    assert table.probes == {}
