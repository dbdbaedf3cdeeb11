"""Who probes whom, how often, on how little of a rate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wotemu.scenario import Scenario, at
from wotemu.scenario.resolver import Resolver
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.agent.namespaces import HostsFile
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.planning.probe_rounds import Rounds
from wotemu_runtime.planning.probe_schedule import MAX_PEERS, places_of, rounds_of


def plan(network: Network, scale: int = 5, scenario: Scenario | None = None) -> Plan:
    topology = Topology([Node("n", command=["sleep", "1"], scale=scale, networks=[network])])
    timeline = Resolver(topology, scenario or Scenario()).timeline
    return make_plan(topology, timeline, stack="test", root=Path.cwd())


def rounds(found: Plan) -> dict[str, Rounds]:
    given = rounds_of(found, [replica.name for replica in found.replicas])
    return {name: Rounds.from_dict(first) for name, (first, *_) in given.items()}


def every_s(conditions: NetworkConditions, **more: Any) -> float:
    shared = more.pop("shared", False)
    found = rounds(plan(Network("field", conditions, shared=shared), **more))
    (interval,) = {each.every_s for each in found.values()}
    return interval


def test_every_member_gets_one_probe_a_round_and_each_pair_its_turn() -> None:
    found = rounds(plan(Network("field", NetworkConditions())))
    for turn in range(4):
        assert Counter(each.peers[turn] for each in found.values()) == dict.fromkeys(found, 1)
    for name, each in found.items():
        assert set(each.peers) == set(found) - {name}


def test_members_take_turns_within_a_round() -> None:
    phases = sorted(each.phase_s for each in rounds(plan(Network("field", NetworkConditions()))).values())
    assert phases == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_the_seed_decides_the_order_and_many_peers_are_enough() -> None:
    network = Network("field", NetworkConditions())
    peers = [rounds(plan(network, 40, Scenario(seed=seed)))["n-1"].peers for seed in (1, 1, 2)]
    assert peers[0] == peers[1] != peers[2]
    assert len(peers[0]) == MAX_PEERS


def test_probes_take_a_hundredth_of_a_rate_at_most() -> None:
    assert every_s(NetworkConditions(rate="1mbit")) == 1.0
    assert every_s(NetworkConditions(rate="4320bit")) == pytest.approx(8 * SIZE / 43.2)
    assert every_s(NetworkConditions(rate="43.2kbit"), shared=True) == pytest.approx(5 * 8 * SIZE / 432)


def test_a_rate_that_falls_for_a_while_makes_probes_rarer_up_to_a_point() -> None:
    def falls_to(rate: str) -> Scenario:
        return Scenario(events=[at("5s").set("field", rate=rate)], duration="10s")

    fast = NetworkConditions(rate="1mbit")
    assert every_s(fast, scenario=falls_to("8640bit")) == pytest.approx(5.0)
    assert every_s(fast, scenario=falls_to("10bit")) == pytest.approx(10.0)


def test_who_is_alone_on_a_network_probes_nobody() -> None:
    found = plan(Network("field", NetworkConditions()), scale=1)
    assert rounds_of(found, ["n"]) == {"n": []}


def test_the_witness_knows_the_networks_as_they_begin() -> None:
    (place,) = places_of(plan(Network("field", NetworkConditions(latency="20ms"), shared=True), scale=2))
    assert (place.name, place.shared, place.nodes) == ("field", True, {"n-1": "n", "n-2": "n"})
    latencies = {key: float(conditions.latency) for key, conditions in place.hops.items()}
    assert latencies == {
        ("field", None, "up"): 0.02,
        ("field", None, "down"): 0.0,
        ("field", "n", "up"): 0.0,
        ("field", "n", "down"): 0.0,
    }


def test_addresses_are_read_again_when_the_hosts_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.64.0.2 a a.field # me\n\n")
    hosts = HostsFile(path)
    assert hosts.address("a.field") == "10.64.0.2"
    with pytest.raises(OSError, match=r"b\.field"):
        hosts.address("b.field")
    path.with_suffix(".new").write_text("10.64.0.2 a a.field\n10.64.0.3 b b.field\n")
    path.with_suffix(".new").replace(path)
    assert hosts.address("b.field") == "10.64.0.3"
