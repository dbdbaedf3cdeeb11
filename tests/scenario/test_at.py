"""What happens at one moment becomes atomic changes of exactly the hops and replicas that it names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, SENSOR, TOPOLOGY, story, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Scenario, at, resolve, tag
from wotemu.scenario.state import base_conditions
from wotemu.scenario.vocabulary.actions import Action
from wotemu.scenario.vocabulary.targets import Tag
from wotemu.topology.models import Broker, Link, Network, NetworkConditions, Node, Service, Topology


def test_a_network_delays_once_and_limits_each_way() -> None:
    assert story(at("5s").set(FIELD, latency="300ms", rate="1mbit")) == [
        (5.0, "field up", {"latency_s": 0.3, "rate_bps": 1e6}),
        (5.0, "field down", {"rate_bps": 1e6}),
    ]


def test_a_link_is_set_both_ways() -> None:
    assert story(at(5).set(RADIO, latency="10ms")) == [
        (5.0, "reader@field up", {"latency_s": 0.01}),
        (5.0, "reader@field down", {"latency_s": 0.01}),
    ]


def test_a_direction_is_set_alone() -> None:
    assert story(at(5).set("field", "down", latency="10ms")) == [(5.0, "field down", {"latency_s": 0.01})]
    assert story(at(5).set("reader@home", "up", loss=0.5)) == [(5.0, "reader@home up", {"loss": 0.5})]


def test_a_node_is_all_its_links_and_a_group_is_all_of_it() -> None:
    places = [place for _, place, _ in story(at(5).set(READER, "up", loss="50%"))]
    assert places == ["reader@field up", "reader@home up"]
    mobiles = tag("mobiles", RADIO, tag("inner", "sensor@field", RADIO))
    places = [place for _, place, _ in story(at(5).set(mobiles, "up", loss="50%"))]
    assert places == ["reader@field up", "sensor@field up"]
    places = [place for _, place, _ in story(at(5).set([HOME, "sensor@field"], "up", loss="50%"))]
    assert places == ["home up", "sensor@field up"]


def test_what_is_set_stays_until_it_is_set_again() -> None:
    changes = timeline_of(at(5).set(HOME, "up", loss="5%"), at(8).set(HOME, "up", latency="1s")).changes
    assert changes[1].before == changes[0].after
    assert changes[1].after == {**changes[0].after, "latency_s": 1.0}


def test_the_same_value_again_is_no_change() -> None:
    assert story(at(5).set(FIELD, latency="40ms"), at(6).heal(), at(7).restore(FIELD)) == []


def test_conditions_scale_and_are_restored() -> None:
    assert story(at(1).scale(FIELD, latency=2, rate=0.5), at(2).restore(FIELD)) == [
        (1.0, "field up", {"latency_s": 0.08, "rate_bps": 7.5e6}),
        (1.0, "field down", {"rate_bps": 7.5e6}),
        (2.0, "field up", {"latency_s": 0.04, "rate_bps": 15e6}),
        (2.0, "field down", {"rate_bps": 15e6}),
    ]


def test_scaling_stops_at_the_whole_and_leaves_no_limit_alone() -> None:
    assert story(at(1).scale(RADIO, "up", loss=1000, rate=2)) == [(1.0, "reader@field up", {"loss": 1.0})]


def test_without_a_target_everything_is_restored() -> None:
    events = at(1).set(HOME, loss="9%"), at(2).set(RADIO, rate="1mbit"), at(3).restore()
    assert [entry for entry in story(*events) if entry[0] == 3.0] == [
        (3.0, "home up", {"loss": 0.0}),
        (3.0, "reader@field up", {"rate_bps": None}),
        (3.0, "reader@field down", {"rate_bps": None}),
    ]


def test_a_partition_holds_on_every_network_until_healed() -> None:
    groups = [["reader"], ["sensor-1", "sensor-2"]]
    assert story(at(1).partition([READER], SENSOR), at(2).heal()) == [
        (1.0, "field", groups),
        (1.0, "home", groups),
        (2.0, "field", []),
        (2.0, "home", []),
    ]


def test_one_replica_can_be_set_apart() -> None:
    assert story(at(1).partition("sensor-2"))[0] == (1.0, "field", [["sensor-2"]])


def test_a_crash_silences_the_network_before_the_app_dies() -> None:
    assert story(at(1).crash("sensor-1"), at(2).restart("sensor-1")) == [
        (1.0, "sensor-1@field", True),
        (1.05, "sensor-1", "crashed"),
        (2.0, "sensor-1@field", False),
        (2.0, "sensor-1", "running"),
    ]


def test_a_node_crashes_with_all_its_replicas() -> None:
    assert [place for _, place, after in story(at(1).crash(SENSOR)) if after == "crashed"] == [
        "sensor-1",
        "sensor-2",
    ]


def test_stop_leaves_the_network_and_start_takes_it_up_again() -> None:
    assert story(at(1).stop(READER), at(2).start(READER)) == [
        (1.0, "reader", "stopped"),
        (2.0, "reader", "running"),
    ]


def test_start_does_nothing_to_what_runs_and_restart_does() -> None:
    assert story(at(1).start(READER)) == []
    assert story(at(1).restart(READER)) == [(1.0, "reader", "running")]


def test_a_plain_service_is_cut_off_but_never_crashed() -> None:
    service = Service("db", "postgres", networks=[FIELD])
    topology = Topology([Node("a", command=["x"], networks=[FIELD], services=[service])])
    timeline, _ = resolve(topology, Scenario(events=[at(1).set(service, loss="5%"), at(2).partition("db")]))
    assert [change.target for change in timeline.changes] == ["db@field up", "db@field down", "field"]
    with pytest.raises(ScenarioError, match="not WoTemu's to start or end"):
        resolve(topology, Scenario(events=[at(1).crash(service)]))


def test_start_brings_a_crashed_node_back_with_its_network() -> None:
    assert story(at(1).crash("sensor-1"), at(2).start("sensor-1"))[2:] == [
        (2.0, "sensor-1@field", False),
        (2.0, "sensor-1", "running"),
    ]


def test_a_broker_can_be_aimed_at() -> None:
    broker = Broker("mqtt", [FIELD])
    node = Node("a", command=["x"], networks=[FIELD], broker=broker)
    scenario = Scenario(events=[at(1).crash(broker), at(2).set("mqtt@field", "up", loss="1%")])
    timeline, _ = resolve(Topology([node]), scenario)
    assert [change.target for change in timeline.changes] == ["mqtt@field", "mqtt", "mqtt@field up"]


def test_a_link_means_the_nodes_that_were_given_it() -> None:
    """Two links may be equal; the one in hand is meant, and an equal one only where it is not there."""
    first, second = (Link(FIELD, up=NetworkConditions.LTE) for _ in range(2))
    nodes = [Node(name, command=["x"], networks=[link]) for name, link in (("a", first), ("b", second))]

    def targets(link: Link) -> list[str]:
        timeline, _ = resolve(Topology(nodes), Scenario(events=[at(1).set(link, "up", loss="1%")]))
        return [change.target for change in timeline.changes]

    assert targets(second) == ["b@field up"]
    assert targets(Link(FIELD, up=NetworkConditions.LTE)) == ["a@field up", "b@field up"]


def test_base_conditions_are_the_topology_s() -> None:
    base = base_conditions(TOPOLOGY)
    assert base["field", None, "up"] == FIELD.conditions
    assert base["field", None, "down"] == NetworkConditions.of(rate="15mbit")
    assert base["field", "reader", "up"] == RADIO.up
    assert base["home", "reader", "down"] == NetworkConditions()


WRONG: list[tuple[Callable[[], Action], str, str]] = [
    (lambda: at("soon").heal(), "at('soon')", "is not a duration"),
    (lambda: at(-1).heal(), "at(-1)", "finite and not negative"),
    (lambda: at(5).set(FIELD), "at(5s).set", "no condition is given"),
    (lambda: at(5).set(FIELD, lag=1), "at(5s).set", "no condition 'lag'"),  # type: ignore[call-arg]
    (lambda: at(5).set(FIELD, loss=2), "at(5s).set, NetworkConditions, field 'loss'", "more than the whole"),
    (lambda: at(5).set(FIELD, "left", loss="100%"), "at(5s).set", "'left' is no direction"),  # type: ignore[arg-type]
    (lambda: at(5).set("nowhere", loss="100%"), "at(5s).set", "no network or attached node 'nowhere'"),
    (lambda: at(5).set("reader@nowhere", loss="100%"), "at(5s).set", "no node 'reader' is attached"),
    (lambda: at(5).set(Network("nowhere"), loss="100%"), "at(5s).set", "no node is on a network 'nowhere'"),
    (
        lambda: at(5).set(Link(HOME, up=NetworkConditions.LTE), loss="100%"),
        "at(5s).set",
        "no node has this link",
    ),
    (lambda: at(5).set(7, loss="100%"), "at(5s).set", "7 is no Network"),  # type: ignore[arg-type]
    (lambda: at(5).set([], loss="100%"), "at(5s).set", "aimed at nothing"),
    (lambda: at(5).scale(FIELD), "at(5s).scale", "no condition is given"),
    (lambda: at(5).scale(FIELD, latency=-1), "at(5s).scale", "latency=-1 is not from 0 to"),
    (lambda: at(5).scale(FIELD, rate=-1), "at(5s).scale", "rate=-1 is not from 0 to"),
    (lambda: at(5).scale(FIELD, queue=2), "at(5s).scale", "no values in between"),  # type: ignore[call-arg]
    (lambda: at(5).partition(), "at(5s).partition", "no group is given"),
    (lambda: at(5).partition([READER], [READER]), "at(5s).partition", "'reader' is in two groups"),
    (lambda: at(5).partition(["nobody"]), "at(5s).partition", "there is no node 'nobody'"),
    (lambda: at(5).crash("nobody"), "at(5s).crash", "there is no node 'nobody'"),
    (lambda: at(5).crash(FIELD), "at(5s).crash", "field is no node"),  # type: ignore[arg-type]
    (lambda: at(5).crash(READER).named(" "), "at(5s).crash.named", "is not a name"),
]


@pytest.mark.parametrize(("make", "where", "message"), WRONG)
def test_what_can_t_be_is_refused_with_its_place(
    make: Callable[[], Action], where: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message) as caught:
        timeline_of(make())
    assert re.fullmatch(rf"test_at\.py:\d+, {re.escape(where)}", caught.value.where or "")


def test_a_name_of_both_a_network_and_a_node_is_ambiguous() -> None:
    shared = Network("a")
    topology = Topology([Node("a", command=["x"], networks=[shared])])
    with pytest.raises(ScenarioError, match="both a network and a node"):
        resolve(topology, Scenario(events=[at(1).set("a", loss="1%")]))
    resolve(topology, Scenario(events=[at(1).set(shared, loss="1%")]))
    for target, node in (("network:a", None), ("node:a", "a")):
        action = at(1).set(target, loss="1%")
        timeline, _ = resolve(topology, Scenario(events=[action]))
        assert {change.node for change in timeline.changes} == {node} and action.label == "set a"


@pytest.mark.parametrize("arguments", [("",), (7, FIELD), ("mobiles",)])
def test_a_tag_has_a_name_and_members(arguments: Any) -> None:
    with pytest.raises(ScenarioError):
        tag(*arguments)


def test_a_tag_goes_by_its_name() -> None:
    assert str(Tag("mobiles", (FIELD,))) == "mobiles"
    assert at(1).set(tag("mobiles", FIELD), loss="100%").label == "set mobiles"
