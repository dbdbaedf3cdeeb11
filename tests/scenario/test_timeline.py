"""A scenario resolves to one flat, ordered timeline: the same for the same input, in whatever process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, SENSOR, TOPOLOGY, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Phase, Scenario, at, during, resolve
from wotemu.scenario.timeline import Change, Timeline
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Topology

EVENTS: list[Action] = [
    at(5).set(FIELD, loss="5%"),
    during(10, 30).random_walk(RADIO, latency=(0, "200ms")),
    during(10, 30).churn(SENSOR, rate="20/min", downtime="2s"),
    during(0, 60).flap("reader@home", up="5s", down="1s", jitter="30%"),
    at(20).partition(READER),
    at(40).heal(),
]


def test_changes_are_in_the_order_of_their_times_with_numbers_in_that_order() -> None:
    changes = timeline_of(*EVENTS).changes
    assert [change.id for change in changes] == list(range(len(changes)))
    assert [change.at_s for change in changes] == sorted(change.at_s for change in changes)


def test_each_change_begins_where_the_one_before_ended() -> None:
    last: dict[tuple[Any, ...], Any] = {}
    for change in timeline_of(*EVENTS).changes:
        key = (change.action, change.network, change.node, change.direction)
        assert last.get(key, change.before) == change.before
        last[key] = change.after


def test_a_timeline_survives_json() -> None:
    timeline = timeline_of(*EVENTS)
    back = Timeline.from_dict(json.loads(json.dumps(timeline.to_dict())))
    assert back == timeline
    assert back.hash == timeline.hash == timeline.to_dict()["hash"]


def test_the_same_input_has_the_same_hash_and_another_seed_another() -> None:
    assert timeline_of(*EVENTS, seed=7).hash == timeline_of(*EVENTS, seed=7).hash
    assert timeline_of(*EVENTS, seed=7).hash != timeline_of(*EVENTS, seed=8).hash
    assert timeline_of(*EVENTS, duration=50).hash != timeline_of(*EVENTS, duration=60).hash


def test_the_hash_is_the_same_in_another_process() -> None:
    code = "from tests.scenario.test_timeline import *; print(timeline_of(*EVENTS, seed=7).hash)"
    root = Path(__file__).parents[2]
    env = {"PYTHONPATH": f"{root}:{root / 'runtime'}", "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == timeline_of(*EVENTS, seed=7).hash


@settings(max_examples=10)
@given(st.permutations(EVENTS[:1] + EVENTS[4:]))
def test_the_order_in_which_events_are_written_does_not_matter(events: list[Action]) -> None:
    assert timeline_of(*events).changes == timeline_of(*EVENTS[:1], *EVENTS[4:]).changes


def test_at_one_time_what_is_written_later_holds() -> None:
    (change,) = timeline_of(at(5).set(HOME, "up", loss="5%"), at(5).set(HOME, "up", loss="9%")).changes
    assert (change.before["loss"], change.after["loss"]) == (0.0, 0.09)


def test_changes_after_the_end_are_left_out_with_a_warning() -> None:
    scenario = Scenario(
        duration="30s",
        phases=[Phase("a", 0), Phase("z", "30s")],
        events=[during(20, 40).ramp(HOME, "up", loss=(0, "100%")), at(60).crash(READER)],
    )
    timeline, warnings = resolve(TOPOLOGY, scenario)
    assert max(change.at_s for change in timeline.changes) == 29.0
    assert [phase.name for phase in timeline.phases] == ["a"]
    assert [warning.partition(", ")[2] for warning in warnings[1:]] == [
        "during(20s, 40s).ramp: 11 of its changes are left out, as the end is at 30s",
        "at(60s).crash: nothing of it happens, as the end is at 30s",
        "as the end is at 30s",
    ]


def test_ten_thousand_changes_resolve_in_a_second() -> None:
    waves = during(0, 500).wave(FIELD, every="100ms", latency=("1ms", "9ms"), rate=("1mbit", "9mbit"))
    timeline = timeline_of(waves, duration=1000)
    assert len(timeline.changes) > 9_000
    assert len(json.dumps(timeline.to_dict())) < 6e6


# Phases


def phases(*events: Action, named: list[Phase] | None = None) -> list[tuple[str, float]]:
    timeline, _ = resolve(TOPOLOGY, Scenario(phases=named or [], events=events))
    return [(phase.name, phase.start_s) for phase in timeline.phases]


def test_phases_are_those_that_are_named() -> None:
    named = [Phase("b", "20s"), Phase("a", 0)]
    assert phases(at(5).heal(), at(9).heal(), named=named) == [("a", 0.0), ("b", 20.0)]
    assert phases(named=[Phase("b", "20s")]) == [("start", 0.0), ("b", 20.0)]


def test_an_event_may_name_a_phase() -> None:
    events = at("20s").partition(READER).named("alone"), at("30s").heal().named("together")
    assert phases(*events) == [("start", 0.0), ("alone", 20.0), ("together", 30.0)]


def test_without_names_phases_begin_with_the_events() -> None:
    events = (
        at(10).set(RADIO, loss="5%"),
        during(20, 30).wave(HOME, loss=(0, "5%")),
        at(20).crash(READER),
        at(40).set(RADIO, loss="9%"),
    )
    assert phases(*events) == [
        ("start", 0.0),
        ("set link to field at 10s", 10.0),
        ("wave home, crash reader", 20.0),
        ("set link to field at 40s", 40.0),
    ]


def test_one_event_or_very_many_make_no_phases() -> None:
    assert phases() == phases(at(5).heal()) == [("run", 0.0)]
    assert phases(*(at(second).heal() for second in range(1, 40))) == [("run", 0.0)]


def test_a_phase_is_looked_up_by_time() -> None:
    timeline, _ = resolve(TOPOLOGY, Scenario(phases=[Phase("a", 0), Phase("b", 20)]))
    assert [timeline.phase_at(at_s) for at_s in (-1, 0, 19.9, 20, 99)] == ["", "a", "a", "b", "b"]


# Who applies what, and what can't be


def test_each_change_is_one_role_s() -> None:
    timeline = timeline_of(at(1).crash("sensor-1"), at(5).set(FIELD, loss="1%"))
    assert [change.applier for change in timeline.changes] == [
        "gateway:field",
        "agent:sensor-1",
        "gateway:field",
    ]
    assert [change.id for change in timeline.changes if change.applier == "agent:sensor-1"] == [1]


def test_a_change_names_its_target_for_people() -> None:
    def named(**fields: Any) -> str:
        given: dict[str, Any] = {
            "id": 0,
            "at_s": 0.0,
            "action": "conditions",
            "network": "field",
            "node": None,
            "direction": None,
            "before": None,
            "after": None,
        }
        return Change(**(given | fields)).target

    assert named(direction="up") == "field up"
    assert named(node="reader", direction="down") == "reader@field down"
    assert named(action="partition") == "field"
    assert named(action="app", node="reader", network=None) == "reader"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duration": 0}, "lasts no time"),
        ({"duration": "long"}, "is not a duration"),
        ({"seed": 1.5}, "is not a whole number"),
        ({"seed": True}, "is not a whole number"),
        ({"phases": ["a"]}, "is not a Phase"),
        ({"phases": [Phase("a", 0), Phase("a", 1)]}, "two phases are called 'a'"),
        ({"phases": [Phase("a", 0)], "events": [at(1).heal().named("a")]}, "two phases are called 'a'"),
        ({"events": ["crash"]}, "is no event"),
        ({"events": [at(1)]}, "is no event"),
        ({"events": at(1).heal()}, "no list of events"),
    ],
)
def test_a_scenario_that_can_t_be_says_why(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Scenario(**fields)


@pytest.mark.parametrize(("name", "start"), [("", 0), (7, 0), ("a", "soon")])
def test_a_phase_has_a_name_and_a_start(name: Any, start: Any) -> None:
    with pytest.raises(ScenarioError):
        Phase(name, start)


def test_duration_and_seed_can_be_overridden() -> None:
    scenario = Scenario(duration="60s", seed=1)
    assert scenario.overridden(duration="5s").duration_s == 5
    assert scenario.overridden(seed=9).seed == 9
    assert scenario.overridden() == scenario


def _hash(conditions: NetworkConditions, *, up: NetworkConditions, shared: bool = False) -> str:
    network = Network("n", conditions, shared=shared)
    topology = Topology([Node("a", command=["sleep", "9"], networks=[Link(network, up=up)])])
    return resolve(topology, Scenario())[0].hash


def test_other_conditions_at_t0_have_another_hash() -> None:
    clear, slow = NetworkConditions(), NetworkConditions(rate="10mbit")
    hashes = [
        _hash(clear, up=clear),
        _hash(slow, up=clear),
        _hash(clear, up=slow),
        _hash(slow, up=clear, shared=True),
        _hash(NetworkConditions(rate="80mbit", latency="20ms"), up=clear),
    ]
    assert len(set(hashes)) == len(hashes)
    assert _hash(slow, up=clear) == _hash(NetworkConditions(rate="10Mbps"), up=clear)
