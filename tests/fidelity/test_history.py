"""What held when: as the gateway imposes it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.gateways.network import FakeNetwork
from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Change, Direction, HopKey
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.conditions.partition import partition_of, reaches
from wotemu_runtime.fidelity.history import History

REPLICAS = ("a", "b", "c", "d")
MS_20, MS_50 = (NetworkConditions(latency=latency) for latency in ("20ms", "50ms"))
NONE = NetworkConditions()


def history(*, shared: bool = False, network: NetworkConditions = MS_20) -> History:
    hops: dict[HopKey, NetworkConditions] = {
        ("field", None, "up"): network,
        ("field", None, "down"): NONE,
    }
    hops |= {("field", node, way): NONE for node in REPLICAS for way in ("up", "down")}
    return History(
        NetworkSetup(name="field", shared=shared, nodes={each: each for each in REPLICAS}, hops=hops)
    )


def change(action: Any, after: Any, node: str | None = None, direction: Direction | None = None) -> Change:
    return Change(1, 0.0, action, "field", node, direction, None, after)


def latencies(past: History, replica: str, way: Direction, start: float, end: float) -> list[float]:
    return [float(each.latency) for each in past.conditions(replica, way, start, end)]


def test_a_hop_has_its_networks_and_its_links_conditions() -> None:
    past = history()
    past.apply(10, change("conditions", MS_50.to_dict(), "a", "up"))
    assert latencies(past, "a", "up", 0, 9) == [0.02]
    assert latencies(past, "a", "up", 10, 11) == [0.07]
    assert latencies(past, "b", "up", 10, 11) == [0.02]
    assert latencies(past, "b", "down", 10, 11) == [0.0]


def test_a_time_with_changes_has_all_that_held_in_it() -> None:
    past = history()
    past.apply(10, change("conditions", MS_50.to_dict(), None, "up"))
    past.apply(10.5, change("conditions", MS_20.to_dict(), "b", "up"))
    assert latencies(past, "b", "up", 9, 11) == [0.02, 0.05, 0.07]


def test_changes_may_become_known_in_any_order() -> None:
    past = history()
    past.apply(20, change("conditions", NONE.to_dict(), None, "up"))
    past.apply(10, change("conditions", MS_50.to_dict(), None, "up"))
    assert latencies(past, "a", "up", 5, 25) == [0.02, 0.05, 0.0]


def test_a_shared_networks_rate_is_its_buckets() -> None:
    limited = NetworkConditions(rate="1mbit")
    past = history(shared=True, network=limited)
    (up,) = past.conditions("a", "up", 0, 1)
    assert up.rate is None
    assert past.buckets(0, 1) == [limited]
    assert history(network=limited).buckets(0, 1) == [None]


def test_a_block_closes_the_way_of_probes_where_it_is_about_their_packets() -> None:
    past = history()
    past.apply(10, change("block", [Block(("a",), ("b",), "udp", heading="out").to_dict()]))
    past.apply(20, change("block", [Block(("a",), ("b",), "udp", 53).to_dict()]))
    assert past.ways("a", "b", 12, 14) == {False}
    assert past.ways("b", "a", 12, 14) == past.ways("a", "c", 12, 14) == {True}
    assert past.ways("a", "b", 21, 22) == {True}


def test_cuts_close_both_ways_until_they_end() -> None:
    past = history()
    past.apply(10, change("cut", True, "a"))
    past.apply(20, change("cut", False, "a"))
    for sender, receiver in (("a", "b"), ("b", "a")):
        assert past.ways(sender, receiver, 0, 9) == {True}
        assert past.ways(sender, receiver, 9, 11) == {True, False}
        assert past.ways(sender, receiver, 11, 19) == {False}
        assert past.ways(sender, receiver, 21, 22) == {True}
    assert past.ways("b", "c", 0, 30) == {True}


names = st.lists(st.sampled_from([*REPLICAS, "elsewhere"]), max_size=3)


@given(st.lists(names, max_size=3))
def test_partitions_part_as_the_switch_does(parts: list[list[str]]) -> None:
    past, here = history(), set(REPLICAS)
    past.apply(1, change("partition", parts))
    with FakeNetwork(*REPLICAS) as net:
        net.switch.partition([here.intersection(part) for part in parts])
        for sender in REPLICAS:
            for receiver in REPLICAS:
                if sender != receiver:
                    net.send(sender, receiver)
                    assert past.ways(sender, receiver, 1, 2) == {bool(net.received(receiver))}


def test_replicas_in_no_group_reach_all() -> None:
    parted = partition_of(REPLICAS, [["a"], ["b"]])
    assert not reaches(parted, "a", "b")
    assert reaches(parted, "a", "c")
    assert reaches(parted, "d", "b")
