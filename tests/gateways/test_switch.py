"""Where frames go, under whose conditions, and what is counted."""

from __future__ import annotations

import pytest

from wotemu.percentiles import RELATIVE_ERROR, percentile
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Rate, Seconds
from wotemu_gateways.packets import probe
from wotemu_gateways.packets.ethernet import mac_of

from .network import FakeNetwork, Hops, address_of, arp_request, ipv4

MS_10 = NetworkConditions(latency=Seconds(0.01))
MS_20 = NetworkConditions(latency=Seconds(0.02))


def test_a_frame_reaches_its_receiver_unchanged_and_nobody_else() -> None:
    with FakeNetwork("a", "b", "c") as net:
        frame = net.send("a", "b", b"hello")
        assert net.received("b") == [frame]
        assert net.received("a") == net.received("c") == []


def test_a_frame_takes_the_senders_up_and_the_receivers_down() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): MS_10, ("b", "down"): MS_20, ("b", "up"): MS_20}) as net:
        net.send("a", "b", b"1")
        net.advance(0.0299)
        assert net.received("b") == []
        net.advance(0.0002)
        assert net.payloads("b") == [b"1"]


def test_the_two_directions_have_conditions_of_their_own() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): MS_10}) as net:
        net.send("b", "a", b"back")
        assert net.payloads("a") == [b"back"]


def test_packets_from_a_slow_and_a_fast_node_queue_at_the_receiver_as_they_arrive() -> None:
    rate = NetworkConditions(rate=Rate(1e6))
    slow = NetworkConditions(latency=Seconds(0.7))
    with FakeNetwork("slow", "fast", "b", hops={("slow", "up"): slow, ("b", "down"): rate}) as net:
        net.send("slow", "b", b"slow")
        net.advance(0.1)
        net.send("fast", "b", b"fast")
        net.advance(0.01)
        assert net.payloads("b") == [b"fast"]
        net.advance(0.7)
        assert net.payloads("b") == [b"slow"]


def test_a_broadcast_crosses_up_once_and_each_down() -> None:
    hops: Hops = {("a", "up"): MS_10, ("c", "down"): MS_20}
    with FakeNetwork("a", "b", "c", hops=hops) as net:
        net.send_frame("a", ipv4(net.members["a"], "10.64.0.255", payload=b"all"))
        net.advance(0.011)
        assert (net.payloads("b"), net.payloads("c"), net.payloads("a")) == ([b"all"], [], [])
        net.advance(0.02)
        assert net.payloads("c") == [b"all"]
        flows, counters = net.drain()
        assert counters["a", "up"].sent == 1
        assert {(flow.node, flow.direction, flow.packets) for flow in flows} == {
            ("a", "up", 1), ("b", "down", 1), ("c", "down", 1),
        }  # fmt: skip


def test_multicast_reaches_all_others() -> None:
    with FakeNetwork("a", "b", "c") as net:
        frame = b"\x01\x00\x5e\x00\x00\xfb" + ipv4(net.members["a"], "224.0.0.251")[6:]
        net.send_frame("a", frame)
        assert net.received("b") == net.received("c") == [frame]


def test_each_receiver_of_a_multicast_loses_packets_of_its_own() -> None:
    sent, p = 4000, 0.3
    lossy = NetworkConditions(loss=Fraction(p))
    with FakeNetwork("a", "b", "c", "d", hops={("b", "down"): lossy, ("c", "down"): lossy}) as net:
        got: dict[str, set[bytes]] = {"b": set(), "c": set(), "d": set()}
        for number in range(sent):
            multicast = ipv4(net.members["a"], "224.0.0.251", payload=number.to_bytes(2, "big"))
            net.send_frame("a", b"\x01\x00\x5e\x00\x00\xfb" + multicast[6:])
            for node, payloads in got.items():
                payloads.update(net.payloads(node))
        assert len(got["d"]) == sent
        for node in "bc":
            assert abs(len(got[node]) / sent - (1 - p)) < 4.9 * (p * (1 - p) / sent) ** 0.5  # 1e-6
        both = (1 - p) ** 2  # independent: neither the same packets, nor each other's complement
        assert abs(len(got["b"] & got["c"]) / sent - both) < 4.9 * (both * (1 - both) / sent) ** 0.5


def test_by_address_a_packet_to_a_gateways_mac_reaches_the_member_with_its_address() -> None:
    gateway = mac_of("10.64.0.1")
    with FakeNetwork("a", "b", "c", by_address=True) as net:
        frame = ipv4(net.members["a"], net.members["b"], payload=b"1")
        net.send_frame("a", gateway + frame[6:])
        assert net.received("b") == [frame], (
            "for the receiver's own MAC, or its kernel takes it for another's"
        )
        assert net.received("a") == net.received("c") == []
        for target in ("10.64.0.1", "10.64.0.99", net.members["a"].ipv4):
            net.send_frame("a", gateway + ipv4(net.members["a"], target)[6:])
        assert [net.received(name) for name in "abc"] == [[], [], []]
        assert net.switch.losses == {"unknown destination": 3}


def test_by_address_broadcasts_and_multicasts_reach_all_others() -> None:
    with FakeNetwork("a", "b", "c", by_address=True) as net:
        for target in ("255.255.255.255", "10.64.255.255", "239.255.255.250"):
            net.send_frame("a", ipv4(net.members["a"], target, payload=target.encode()))
            assert net.payloads("b") == net.payloads("c") == [target.encode()]
            assert net.payloads("a") == []


def test_address_questions_are_answered_at_once_by_the_switch() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): MS_20, ("a", "down"): MS_20}) as net:
        net.send_frame("a", arp_request(net.members["a"], address_of(1)))
        (answer,) = net.received("a")
        assert answer[22:28] == mac_of(address_of(1))
        assert net.received("b") == []
        assert net.drain()[0] == []


def test_nobody_answers_for_unknown_addresses_or_for_the_askers_own() -> None:
    with FakeNetwork("a", "b") as net:
        for address in ("10.64.0.99", address_of(0)):
            net.send_frame("a", arp_request(net.members["a"], address))
        assert net.received("a") == net.received("b") == []


def test_unknown_destinations_and_rubbish_are_dropped_and_counted() -> None:
    with FakeNetwork("a", "b") as net:
        net.send_frame("a", b"\x02\x00\x01\x02\x03\x04" + ipv4(net.members["a"], net.members["b"])[6:])
        net.send_frame("a", b"short")
        assert net.received("b") == []
        assert net.switch.losses == {"unknown destination": 1, "truncated": 1}


def test_a_cut_lets_nothing_in_or_out_until_it_ends() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.send("a", "b", b"before")
        net.switch.cut("b", True)
        net.send("a", "b", b"in")
        net.send("b", "a", b"out")
        net.send("a", "c", b"others")
        assert (net.payloads("b"), net.payloads("a"), net.payloads("c")) == ([b"before"], [], [b"others"])
        _, counters = net.drain()
        assert (counters["b", "down"].dropped_cut, counters["b", "up"].dropped_cut) == (1, 1)
        net.switch.cut("b", False)
        net.send("a", "b", b"after")
        net.send("b", "a", b"after")
        assert (net.payloads("b"), net.payloads("a")) == ([b"after"], [b"after"])


def test_partitioned_groups_do_not_reach_each_other_but_themselves_and_the_unlisted() -> None:
    with FakeNetwork("a", "b", "c", "d") as net:
        net.switch.partition([["a", "b"], ["c"]])
        reached = {(x, y) for x in "abcd" for y in "abcd" if x != y and _reaches(net, x, y)}
        blocked = {(x, y) for x in "abcd" for y in "abcd" if x != y} - reached
        assert blocked == {("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")}


def test_a_single_group_is_cut_off_from_all_others() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.switch.partition([["a"]])
        assert not _reaches(net, "a", "b")
        assert not _reaches(net, "c", "a")
        assert _reaches(net, "b", "c")


def test_healing_lets_all_reach_all() -> None:
    with FakeNetwork("a", "b") as net:
        net.switch.partition([["a"], ["b"]])
        assert not _reaches(net, "a", "b")
        net.switch.partition([])
        assert _reaches(net, "a", "b")


def test_a_partition_holds_for_broadcasts() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.switch.partition([["a", "b"], ["c"]])
        net.send_frame("a", ipv4(net.members["a"], "10.64.0.255"))
        assert (len(net.received("b")), len(net.received("c"))) == (1, 0)


def test_a_healed_partition_leaves_a_cut_in_force() -> None:
    with FakeNetwork("a", "b") as net:
        net.switch.cut("b", True)
        net.switch.partition([["a"]])
        net.switch.partition([])
        assert not _reaches(net, "a", "b")


def _reaches(net: FakeNetwork, source: str, target: str) -> bool:
    net.send(source, target)
    return bool(net.received(target))


def test_ten_changes_a_second_lose_and_reorder_nothing_at_constant_delay() -> None:
    hops: Hops = {("a", "up"): MS_20, ("b", "down"): MS_20}
    with FakeNetwork("a", "b", hops=hops) as net:
        expected, arrived = [], []
        for i in range(1000):
            if i % 50 == 0:
                rate = Rate(10e6) if i % 100 else None
                net.switch.set_hop("a", "up", NetworkConditions(latency=Seconds(0.02), rate=rate))
            net.send("a", "b", payload := str(i).encode())
            expected.append(payload)
            net.advance(0.002)
            arrived += net.payloads("b")
        net.advance(1.0)
        assert arrived + net.payloads("b") == expected


def test_jittered_packets_leave_in_the_order_of_their_departures() -> None:
    jitter = NetworkConditions(latency=Seconds(0.05), jitter=Seconds(0.02))
    with FakeNetwork("a", "b", hops={("a", "up"): jitter}) as net:
        for i in range(100):
            net.send("a", "b", str(i).encode())
            net.advance(0.001)
        net.advance(1.0)
        order = [int(payload) for payload in net.payloads("b")]
        assert sorted(order) == list(range(100))
        assert order != sorted(order)


def test_a_shared_network_has_one_rate_for_all() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.switch.set_shared_bucket(NetworkConditions(rate=Rate(1e6)))
        size = len(net.send("a", "c", bytes(962)))
        net.send("b", "c", bytes(962))
        serialised_s = size * 8 / 1e6
        net.advance(serialised_s * 1.01)
        assert len(net.received("c")) == 1
        net.advance(serialised_s)
        assert len(net.received("c")) == 1


def test_a_shared_rate_can_be_lifted() -> None:
    with FakeNetwork("a", "b") as net:
        net.switch.set_shared_bucket(NetworkConditions(rate=Rate(1e3)))
        net.switch.set_shared_bucket(None)
        net.send("a", "b", b"free")
        assert net.payloads("b") == [b"free"]


def test_each_hop_reports_what_it_sent_dropped_and_holds() -> None:
    lossy = NetworkConditions(loss=Fraction(1))
    narrow = NetworkConditions(rate=Rate(1e6), queue=Seconds(0.01), latency=Seconds(1))
    with FakeNetwork("a", "b", hops={("b", "up"): lossy, ("a", "up"): narrow}) as net:
        net.send("b", "a")
        for _ in range(3):
            net.send("a", "b", bytes(962))
        _, counters = net.drain()
        assert counters["b", "up"].dropped_loss == 1
        assert (counters["a", "up"].dropped_queue, counters["a", "up"].backlog) == (2, 1)
        net.advance(2.0)
        _, counters = net.drain()
        assert (counters["a", "up"].sent, counters["a", "up"].sent_bytes, counters["a", "up"].backlog) == (
            1,
            1000,
            0,
        )
        assert counters["b", "down"].sent == 1
        assert counters["a", "up"].dropped_queue == 0


def test_a_late_departure_is_reported_as_late() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): MS_10}) as net:
        net.send("a", "b")
        net.clock.advance(0.013)
        net.switch.timers.release(net.clock.now())
        _, counters = net.drain()
        assert counters["a", "up"].late_max == pytest.approx(0.003)
        hop = counters["a", "up"]
        assert percentile(hop.late_bins, hop.late_counts, 0.95) == pytest.approx(0.003, rel=RELATIVE_ERROR)
        assert net.drain()[1]["a", "up"].late_max is None


def test_each_packet_of_a_late_batch_is_as_late_as_itself() -> None:
    with FakeNetwork("a", "b", hops={("a", "up"): MS_10}) as net:
        for _ in range(9):
            net.send("a", "b")
        net.clock.advance(0.004)
        net.send("a", "b")
        net.clock.advance(0.016)
        net.switch.timers.release(net.clock.now())
        hop = net.drain()[1]["a", "up"]
        assert sum(hop.late_counts) == 10
        assert percentile(hop.late_bins, hop.late_counts, 0.1) == pytest.approx(0.006, rel=RELATIVE_ERROR)
        assert percentile(hop.late_bins, hop.late_counts, 0.2) == pytest.approx(0.010, rel=RELATIVE_ERROR)


def test_a_receiver_without_room_costs_the_packet_only() -> None:
    with FakeNetwork("a", "b") as net:
        for _ in range(10_000):
            net.send("a", "b", bytes(1000))
            if (dropped := net.drain()[1]["b", "down"].dropped_queue) > 0:
                break
        assert dropped == 1
        net.received("b")
        net.send("a", "b", b"room again")
        assert net.payloads("b") == [b"room again"]


def test_a_replica_that_is_not_attached_loses_its_packets() -> None:
    with FakeNetwork("a", "b") as net:
        net.switch.attach("b", -1)
        net.send("a", "b")
        assert net.drain()[1]["b", "down"].dropped_queue == 1


def test_the_same_seed_loses_the_same_packets() -> None:
    def survivors(seed: int) -> list[bytes]:
        lossy = NetworkConditions(loss=Fraction(0.5))
        with FakeNetwork("a", "b", hops={("a", "up"): lossy}, seed=seed) as net:
            for i in range(64):
                net.send("a", "b", bytes([i]))
            return net.payloads("b")

    assert survivors(3) == survivors(3) != survivors(4)


def test_a_foreign_source_mac_is_forwarded_and_counted_all_the_same() -> None:
    with FakeNetwork("a", "b") as net:
        frame = (
            net.members["b"].mac + b"\x02\x42\x00\x00\x00\x01" + ipv4(net.members["a"], net.members["b"])[12:]
        )
        net.send_frame("a", frame)
        assert net.received("b") == [frame]
        assert net.drain()[0][0].src == "a"


def test_a_frame_to_oneself_goes_nowhere() -> None:
    with FakeNetwork("a", "b") as net:
        net.send_frame("a", ipv4(net.members["a"], net.members["a"]))
        assert net.received("a") == net.received("b") == []


def test_unknown_replicas_are_refused() -> None:
    with FakeNetwork("a", "b") as net, pytest.raises(KeyError):
        net.switch.set_hop("x", "up", MS_10)


def test_a_shared_network_reports_what_its_rate_served() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.switch.set_shared_bucket(NetworkConditions(rate=Rate(8e4), queue=Seconds(10)))
        for sender in ("a", "b"):
            net.send(sender, "c", bytes(962))
        net.advance(0.15)
        row = net.drain()[1]["", "shared"]
        assert row.busy == pytest.approx(0.15)
        assert (row.served_bytes, row.sent, row.backlog) == (1000, 0, 0)
        net.advance(1.0)
        _, hops = net.drain()
        assert hops["", "shared"].busy == pytest.approx(0.05)
        assert hops["", "shared"].served_bytes == hops["c", "down"].sent_bytes == 1000


def test_a_raised_shared_rate_serves_what_waits_at_once() -> None:
    with FakeNetwork("a", "b", "c") as net:
        net.switch.set_shared_bucket(NetworkConditions(rate=Rate(8e3), queue=Seconds(100)))
        for number in range(10):
            net.send("ab"[number % 2], "c", bytes([number]) * 962)
        net.switch.set_shared_bucket(NetworkConditions(rate=Rate(8e6), queue=Seconds(100)))
        net.advance(0.0101)
        assert [payload[0] for payload in net.payloads("c")] == list(range(10))


def test_probes_wait_in_the_queue_of_their_hop_and_count_in_none_of_its_figures() -> None:
    with FakeNetwork(
        "a", "b", hops={("a", "up"): NetworkConditions(rate=Rate(8e4), queue=Seconds(10))}
    ) as net:
        net.send("a", "b", bytes(962))
        net.send("a", "b", probe.pack(1), sport=probe.PORT, dport=probe.PORT)
        _, hops = net.drain()
        assert hops["a", "up"].backlog == 1
        net.advance(0.1001)
        assert len(net.received("b")) == 1
        net.switch.set_hop("a", "up", NetworkConditions())
        assert len(net.received("b")) == 1
        _, hops = net.drain()
        assert (hops["a", "up"].sent, hops["a", "up"].backlog, hops["b", "down"].sent) == (1, 0, 1)


def test_a_gateway_without_memory_left_drops_and_counts() -> None:
    long = NetworkConditions(latency=Seconds(60))
    with FakeNetwork("a", "b", hops={("a", "up"): long}, max_held_bytes=50_000) as net:
        for _ in range(100):
            net.send("a", "b", bytes(962))
        row = net.drain()[1]["a", "up"]
        assert row.backlog + row.dropped_memory == 100
        assert row.backlog == 50_000 // 1250
        net.advance(61)
        assert net.drain()[1]["b", "down"].sent == row.backlog
        net.send("a", "b")
        assert net.drain()[1]["a", "up"].dropped_memory == 0
