"""Hops don't touch each other, changes touch nothing that is under way, and nothing finds a way around."""

from __future__ import annotations

import socket
import statistics
import subprocess
from itertools import pairwise

import pytest

from wotemu.scenario.blocks import Block
from wotemu.topology.conditions import GilbertElliott, NetworkConditions
from wotemu.units import Fraction
from wotemu_gateways.netlink.namespaces import entered
from wotemu_gateways.packets import probe as probe_format
from wotemu_gateways.packets.ethernet import mac_of, mac_text

from .field import LATE_S, PORT, Field, Stream
from .findings import Findings

EVERYTHING = NetworkConditions(
    latency="40ms",
    jitter="5ms",
    distribution="pareto",
    loss=0.1,
    loss_model=GilbertElliott(Fraction(0.1), Fraction(0.5)),
    duplicate=0.05,
    corrupt=0.05,
    reorder=0.1,
    rate="1mbit",
    burst="3000B",
    queue="50ms",
    overhead=10,
    ecn=True,
)


def median_s(stream: Stream) -> float:
    return statistics.median(stream.delays_s)


def test_the_two_directions_are_independent(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(latency="40ms"))
    field.set("a", "down", NetworkConditions(latency="10ms"))
    with field.stream("a", "b") as there, field.stream("b", "a") as back:
        field.send([there, back], 200, per_second=200)
        assert findings.within("up 40 ms, down 10: up", 0.04, median_s(there), (0.04, 0.04 + LATE_S), "ms")
        assert findings.within("up 40 ms, down 10: down", 0.01, median_s(back), (0.01, 0.01 + LATE_S), "ms")


def test_two_nodes_are_independent(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(latency="30ms", rate="400kbit", queue="50ms"))
    with field.stream("a", "c", size=958) as slow, field.stream("b", "c") as free:
        field.send([slow, free], 200, per_second=200)
        assert len(slow.arrived) < 200
        assert len(free.arrived) == 200
        assert findings.within("beside a full hop: another's delay", 0.0, median_s(free), (0.0, LATE_S), "ms")


def test_every_condition_goes_back_to_none(field: Field, findings: Findings) -> None:
    for node in ("a", "b"):
        for direction in ("up", "down"):
            field.set(node, direction, EVERYTHING)
    with field.stream() as stream:
        field.send(stream, 200, per_second=400)
        assert len(set(stream.numbers)) < 200
    field.clear()
    with field.stream(size=1472) as stream:
        field.send(stream, 1000, per_second=1000)
        assert stream.numbers == list(range(1000))
        assert stream.marked == 0
        assert not any(any(arrival.payload[12:]) for arrival in stream.arrived)
        assert findings.within("after everything, nothing: delay", 0.0, median_s(stream), (0.0, LATE_S), "ms")
    _, hops = field.drain()
    assert all(hop.dropped_loss == hop.dropped_queue == hop.dropped_cut == 0 for hop in hops.values())


def test_no_packet_is_lost_or_reordered_because_of_a_changed_rate(field: Field, findings: Findings) -> None:
    def change(number: int) -> None:
        conditions = NetworkConditions(latency="20ms", rate=(None, "50mbit", "10mbit")[number % 3])
        for node, direction in (("a", "up"), ("b", "down")):
            field.post("set_hop", node, direction, conditions)

    count = 6000
    with field.stream() as stream:
        field.send(stream, count, per_second=2000, every_s=0.1, then=change)
        field.await_answers()
        numbers = stream.numbers
    disordered = sum(later < earlier for earlier, later in pairwise(numbers))
    lost = count - len(set(numbers))
    assert findings.within("10 changes of rate a second, 2,000 packets/s: lost", 0, lost, (0, 0), "packets")
    assert findings.within("10 changes of rate a second: out of order", 0, disordered, (0, 0), "packets")


def test_no_packet_is_lost_because_of_a_changed_delay(field: Field) -> None:
    def change(number: int) -> None:
        latency = ("20ms", "60ms", "5ms", "0ms", "30ms")[number % 5]
        field.post("set_hop", "a", "up", NetworkConditions(latency=latency, rate="50mbit"))

    with field.stream() as stream:
        field.send(stream, 4000, per_second=2000, every_s=0.1, then=change)
        assert sorted(stream.numbers) == list(range(4000))


def test_what_has_jitter_loses_nothing_to_changes(field: Field) -> None:
    def change(number: int) -> None:
        jitter = ("5ms", "0ms", "10ms")[number % 3]
        field.post("set_hop", "a", "up", NetworkConditions(latency="30ms", jitter=jitter))

    with field.stream() as stream:
        field.send(stream, 4000, per_second=2000, every_s=0.1, then=change)
        assert sorted(stream.numbers) == list(range(4000))


def test_what_is_under_way_keeps_its_fate(field: Field) -> None:
    field.set("a", "up", NetworkConditions(latency="200ms"))
    with field.stream() as stream:
        stream.send(10)
        field.await_taken("a", 10)
        field.set("a", "up", NetworkConditions(loss="100%"))
        stream.settle(10, 0.5)
        assert stream.numbers == list(range(10))
        assert min(stream.delays_s) >= 0.2


def test_a_cut_stops_both_ways_and_its_end_lets_packets_pass_again(field: Field) -> None:
    with field.stream("a", "b") as there, field.stream("b", "a") as back, field.stream("a", "c") as other:
        for is_cut in (False, True, False):
            field.call("cut", "b", is_cut)
            field.send([there, back, other], 50, per_second=500, settle_s=0.1)
        assert there.numbers == back.numbers == [*range(50), *range(100, 150)]
        assert other.numbers == list(range(150))
    _, hops = field.drain()
    assert (hops["b", "down"].dropped_cut, hops["b", "up"].dropped_cut) == (50, 50)
    assert hops["a", "down"].dropped_cut == hops["c", "down"].dropped_cut == 0


@pytest.mark.parametrize(
    ("groups", "apart"),
    [
        ([["a", "b"], ["c"]], {"ac", "bc"}),
        ([["a"]], {"ab", "ac"}),
        ([["a"], ["b"]], {"ab"}),
        ([["a"], ["b"], ["c"]], {"ab", "ac", "bc"}),
        ([], set()),
    ],
)
def test_a_partition_keeps_groups_apart(field: Field, groups: list[list[str]], apart: set[str]) -> None:
    field.call("partition", [["a", "b", "c"]])
    field.call("partition", groups)
    pairs = ["ab", "ac", "bc"]
    streams = []
    for pair in pairs:
        with field.stream(*pair) as stream:
            field.send(stream, 20, per_second=1000, settle_s=0.05)
            streams.append(stream)
    assert {pair for pair, stream in zip(pairs, streams, strict=True) if not stream.arrived} == apart
    assert all(len(stream.arrived) in (0, 20) for stream in streams)


@pytest.mark.parametrize(
    ("block", "apart"),
    [
        (Block(("a",), ("b",)), {"ab", "ba"}),
        (Block(("a",), heading="out"), {"ab", "ac"}),
        (Block(("a",), ("b",), "udp", heading="in"), {"ba"}),
        (Block(("a", "b"), ("c",), "udp", PORT), {"ac", "bc", "ca"}),
        (Block(("a", "b"), ("c",), "udp", PORT + 1), set()),
        (Block(("a",), protocol="tcp"), set()),
        (Block(("a",), port=PORT), {"ab", "ac", "ba", "ca"}),
    ],
)
def test_a_block_drops_what_it_says_and_nothing_else(field: Field, block: Block, apart: set[str]) -> None:
    field.call("partition", [["a", "b", "c"]])
    field.call("block", [block])
    pairs = ["ab", "ba", "ac", "ca", "bc"]
    assert _separated(field, pairs) == apart
    dropped = sum(hop.dropped_cut for hop in field.drain()[1].values())
    assert dropped == 20 * len(apart & {*pairs})
    field.call("block", [])
    assert _separated(field, pairs) == set()


def _separated(field: Field, pairs: list[str]) -> set[str]:
    """The pairs of which nothing comes through; of the others all does."""
    streams = {}
    for pair in pairs:
        with field.stream(*pair, port=PORT) as stream:
            field.send(stream, 20, per_second=1000, settle_s=0.05)
            streams[pair] = len(stream.arrived)
    assert set(streams.values()) <= {0, 20}
    return {pair for pair, arrived in streams.items() if not arrived}


def test_nothing_gets_around_the_gateway(field: Field, findings: Findings) -> None:
    """A node that ignores its routes, and knows the other's MAC, is stopped by a cut all the same."""
    field.call("cut", "b", True)
    target = field.addresses["b"]
    mac = mac_text(mac_of(target))
    tricks = [
        f"ip rule add to {target} lookup main priority 1",
        f"ip neigh replace {target} lladdr {mac} dev eth0 nud reachable",
    ]
    try:
        for trick in tricks:
            field.run("a", trick)
        with field.stream("a", "b") as stream:
            field.send(stream, 100, per_second=500)
            passed = len(stream.arrived)
    finally:
        field.run("a", "ip rule del priority 1")
        field.run("a", f"ip neigh del {target} dev eth0")
    assert findings.within("around the gateway", 0, passed, (0, 0), "packets")


def test_nothing_passes_under_a_strangers_address(field: Field) -> None:
    """A packet whose sender the gateway doesn't know belongs to no hop: it must not pass unshaped."""
    field.run("a", "ip addr add 10.64.9.9/32 dev eth0")
    try:
        ran = subprocess.run(
            field.nodes["a"].command(
                "ping", "-I", "10.64.9.9", "-c", "3", "-i", "0.05", "-W", "1", field.addresses["b"]
            ),
            capture_output=True,
            check=False,
        )
    finally:
        field.run("a", "ip addr del 10.64.9.9/32 dev eth0")
    assert ran.returncode == 1


def test_full_packets_pass_whole_and_no_redirect_comes_back(field: Field) -> None:
    output = field.run("a", f"ping -M do -s 1472 -c 5 -i 0.02 {field.addresses['b']}")
    assert " 0% packet loss" in output
    assert "Redirect" not in output


def test_counters_account_for_every_packet(field: Field) -> None:
    field.set("a", "up", NetworkConditions(loss=0.2, rate="1mbit", queue="20ms"))
    with field.stream(size=458) as stream:
        field.send(stream, 600, per_second=400)
        arrived = len(stream.arrived)
    flows, hops = field.drain()
    up, down = hops["a", "up"], hops["b", "down"]
    assert up.sent + up.dropped_loss + up.dropped_queue == 600
    assert up.sent == down.sent == arrived
    assert down.sent_bytes == arrived * 500
    assert up.dropped_loss > 0
    assert up.dropped_queue > 0
    udp = {(flow.node, flow.direction): flow for flow in flows if flow.transport == "udp"}
    assert udp["a", "up"].packets == 600
    assert (udp["b", "down"].packets, udp["b", "down"].bytes) == (arrived, arrived * 500)
    assert (udp["b", "down"].src, udp["b", "down"].dst) == ("a", "b")


def test_probes_count_in_no_flow_and_no_hop(field: Field) -> None:
    with entered(field.nodes["a"].fd), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", probe_format.PORT))
        for number in range(20):
            probe.sendto(probe_format.pack(number), (field.addresses["b"], probe_format.PORT))
    with field.stream() as stream:
        field.send(stream, 30, per_second=300)
        stream.settle(31, 0.2)  # until the last one is counted, too
    flows, hops = field.drain()
    assert (hops["a", "up"].sent, hops["b", "down"].sent) == (30, 30)
    assert all(flow.dport != probe_format.PORT for flow in flows)


def test_a_node_that_moved_is_shaped_at_its_new_address(field: Field, shaper: str) -> None:
    if shaper != "netem":
        pytest.skip("other shapers are made anew")
    field.set("a", "up", NetworkConditions(latency="40ms"))
    field.run("a", "ip addr add 10.64.7.7/32 dev eth0")
    try:
        field.call("move", "a", "10.64.7.7")
        output = field.run("a", f"ping -I 10.64.7.7 -c 5 -i 0.05 {field.addresses['b']}")
        assert " 0% packet loss" in output
        assert "time=4" in output
    finally:
        field.call("move", "a", field.addresses["a"])
        field.run("a", "ip addr del 10.64.7.7/32 dev eth0")
    with field.stream() as stream:
        field.send(stream, 20, per_second=200)
        assert median_s(stream) >= 0.04
