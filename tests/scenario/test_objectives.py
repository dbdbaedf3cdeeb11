"""Objectives: the words that make them, what they refuse, and what the timeline has of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from wotemu import Broker, Link, Network, Node, NodeApp, Phase, Scenario, ScenarioError, Topology, at, tag
from wotemu.scenario import (
    Resolver,
    app,
    availability,
    errors,
    expect,
    lost_events,
    mean,
    node,
    p50,
    p90,
    p95,
    p99,
    resolve,
    throughput,
)
from wotemu.scenario.timeline import ObjectivePlan, Timeline

NET = Network("net")
PHONE = Node("phone", NodeApp("app.py:phone"), networks=[NET], scale=2)
BROKER = Broker("hub", networks=[NET])
EDGE = Node("edge", NodeApp("app.py:edge", mqtt=True), networks=[Link(NET)], broker=BROKER)
TOPOLOGY = Topology([PHONE, EDGE])
untyped: Any = SimpleNamespace(p95=p95, expect=expect, node=node)
PHASES = [Phase("calm", 0), Phase("fade", "15s"), Phase("heal", "30s")]


def planned(*objectives: Any, **scenario: Any) -> tuple[ObjectivePlan, ...]:
    return resolve(TOPOLOGY, Scenario(**{"phases": PHASES, **scenario}, expect=objectives))[0].objectives


def refused(make: Callable[[], object]) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        make()
    return caught.value


def test_every_form_becomes_data_with_units_and_the_topologys_names() -> None:
    plans = planned(
        expect(p95("readproperty", node=PHONE) < "500ms").during("fade"),
        expect(errors("writeproperty")).below("1%"),
        expect(availability("phone-2") > "99%"),
        expect(p95("readproperty")).recovers(within="10s").after(PHASES[2]),
        expect(lost_events("reading") == 0),
        expect(app("edge.latency").p99 < 2.0),
        expect(node("edge").restarts == 0, abort=True),
        expect(throughput(binding="coap", name="on", thing="urn:x") >= "120/min").after("heal"),
        expect(mean("invokeaction", node=tag("both", PHONE, "edge"), role="producer") < "1s"),
        expect(errors() == 0),
    )
    assert [(each.id, each.figure, each.op, each.limit, each.unit) for each in plans] == [
        (0, "p95", "<", 0.5, "s"),
        (1, "errors", "<", 0.01, "share"),
        (2, "availability", ">", 0.99, "share"),
        (3, "p95", "", None, "s"),
        (4, "lost_events", "==", 0, "count"),
        (5, "app", "<", 2.0, "number"),
        (6, "restarts", "==", 0, "count"),
        (7, "throughput", ">=", 2.0, "/s"),
        (8, "mean", "<", 1.0, "s"),
        (9, "errors", "<=", 0.0, "share"),
    ]
    assert [each.text for each in plans] == [
        "p95 of readproperty of phone during fade",
        "errors of writeproperty",
        "availability of phone-2",
        "p95 of readproperty recovers after heal",
        "lost events of reading",
        "p99 of edge.latency",
        "restarts of edge",
        "throughput of requests on to urn:x over coap after heal",
        "mean of invokeaction of both as producers measured",
        "errors of requests",
    ]
    assert (plans[0].replicas, plans[0].during, plans[0].operation) == (
        ("phone-1", "phone-2"),
        "fade",
        "readproperty",
    )
    assert (plans[3].after, plans[3].within_s) == ("heal", 10.0)
    assert (plans[5].replicas, plans[5].key, plans[5].statistic) == (("edge",), "latency", "p99")
    assert plans[8].replicas == ("phone-1", "phone-2", "edge")
    assert [each.abort for each in plans] == [False] * 6 + [True] + [False] * 3


def test_objectives_are_in_the_timeline_but_not_in_its_hash() -> None:
    plain = resolve(TOPOLOGY, Scenario(phases=PHASES))[0]
    scenario = Scenario(phases=PHASES, expect=[expect(p50() < "1s"), expect(p90() < "1s")])
    timeline = resolve(TOPOLOGY, scenario)[0]
    assert timeline.hash == plain.hash
    assert Timeline.from_dict(json.loads(json.dumps(timeline.to_dict()))) == timeline
    assert scenario == Scenario(
        phases=PHASES, expect=[expect(p50() < "1s"), expect(p90() < "1s")]
    )  # values, wherever they are written
    assert scenario != Scenario(phases=PHASES, expect=[expect(p50() < "1s"), expect(p99() < "1s")])
    assert len({*scenario.expect, *scenario.expect}) == 2


@pytest.mark.parametrize(
    "use",
    [
        lambda: (p95() < "1s") and (errors() < "1%"),
        lambda: 0.1 < app("edge.x").p50 < 2,
        lambda: not (errors() < "1%"),
        lambda: bool(p95()),
    ],
)
def test_a_comparison_is_no_truth_value(use: Callable[[], object]) -> None:
    error = refused(use)
    assert error.message == "its value is known only after the run"
    assert "one comparison to each expect" in (error.hint or "")
    assert "test_objectives.py" in (error.where or "")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: p95() < 500, "500 has no unit"),
        (lambda: p95() < "5%", "'5%' has the unknown unit '%'"),
        (lambda: errors() < "500ms", "unknown unit 'ms'"),
        (lambda: errors() < 1, "may be all or 1 %"),
        (lambda: availability("phone") > "101%", "more than the whole"),
        (lambda: throughput() > 5, "5 has no unit"),
        (lambda: throughput() > "5s", "unknown unit 's'"),
        (lambda: app("edge.x").p99 < "2s", "an app's metric has no unit"),
        (lambda: lost_events("reading") == 0.5, "no whole number"),
        (lambda: p95() == "1s", "rarely equal"),
        (lambda: errors() == "1%", "rarely equal"),
        (lambda: p95() != "1s", "!= is no limit"),
    ],
)
def test_a_limit_has_the_figures_unit(make: Callable[[], object], message: str) -> None:
    error = refused(make)
    assert message in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda: untyped.p95("readpropety"), "operation='readpropety'", "did you mean 'readproperty'"),
        (lambda: untyped.p95("subscribeevent"), "no request", "lost_events"),
        (lambda: untyped.p95(binding="htp"), "binding='htp'", "did you mean 'http'"),
        (lambda: untyped.p95(role="client"), "role='client'", "consumer"),
        (lambda: untyped.p95(nodes="phone"), "no 'nodes'", "did you mean 'node'"),
        (lambda: untyped.p95(thing=3), "thing=3 is no name", ""),
        (lambda: lost_events(""), "name='' is no name", ""),
        (lambda: app("latency"), "'latency' is no metric", "node.key"),
        (lambda: untyped.expect("p95 < 1s"), "is no figure", "expect("),
        (lambda: untyped.expect(p95() < "1s", abort=1), "abort=1", ""),
        (lambda: expect(p95() < "1s").below("2s"), "a limit already", ""),
        (lambda: expect(p95() < "1s").during("fade").after("heal"), "'fade' already", "each phase"),
        (lambda: expect(p95() < "1s").during(3), "3 is no phase", ""),
        (lambda: expect(availability()).recovers(within="9s"), "not judged by windows", "p95"),
        (lambda: expect(app("edge.x").p95).recovers(within="9s"), "not judged by windows", ""),
        (lambda: expect(p95()).recovers(within=0), "it is zero", ""),
        (lambda: expect(p95()).recovers(within="9s").during("fade"), "phase's beginning", ".after"),
        (lambda: expect(p95()).during("fade").recovers(within="9s"), "during 'fade'", ".after"),
    ],
)
def test_a_typo_is_refused_where_it_is_written(make: Callable[[], object], message: str, hint: str) -> None:
    error = refused(make)
    assert message in error.message
    assert hint in (error.hint or "")
    assert "test_objectives.py" in (error.where or "")


@pytest.mark.parametrize(
    ("objectives", "message", "hint"),
    [
        ([expect(p95())], "it has no limit", ".below"),
        ([expect(p95() < "1s").during("fad")], "no phase 'fad'", "did you mean 'fade'"),
        ([expect(p95()).recovers(within="9s").after("start")], "no phase 'start'", "calm"),
        ([p95() < "1s"], "is no objective", "expect="),
        (expect(p95() < "1s"), "no list of objectives", "expect="),
        ([expect(p95() < "1s", abort=True)], "decided only at the run's end", ".during"),
        ([expect(node("edge").restarts > 1, abort=True)], "decided only at the run's end", ".during"),
    ],
)
def test_a_scenario_refuses_what_it_can_know(objectives: Any, message: str, hint: str) -> None:
    error = refused(lambda: Scenario(phases=PHASES, expect=objectives))
    assert message in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("objective", "message", "hint"),
    [
        (expect(p95(node="fone") < "1s"), "no node 'fone'", "did you mean 'phone'"),
        (expect(p95(node=Node("other", NodeApp("a:b"), networks=[NET])) < "1s"), "no node 'other'", "edge"),
        (expect(app("hub.x").p95 < 1), "Broker 'hub' has no app", "edge"),
        (expect(untyped.node(NET).restarts == 0), "net is no node", ""),
    ],
)
def test_the_topology_must_have_the_nodes(objective: Any, message: str, hint: str) -> None:
    error = refused(lambda: planned(objective))
    assert message in error.message
    assert hint in (error.hint or "")


def test_phases_that_actions_begin_can_be_named() -> None:
    named = at("5s").restart(EDGE).named("outage")
    (plan,) = planned(expect(errors() < "1%").during("outage"), phases=(), events=[named])
    assert plan.during == "outage"
    events = [at("5s").set(NET, loss="1%"), at("9s").restore(NET)]
    names = [each.name for each in resolve(TOPOLOGY, Scenario(events=events))[0].phases]
    (plan,) = planned(expect(errors() < "1%").during(names[1]), phases=(), events=events)
    assert plan.during == names[1]


def test_a_shorter_run_leaves_out_the_objectives_of_phases_that_it_does_not_reach_and_says_so() -> None:
    objectives = [expect(errors() < "1%").during("heal"), expect(errors() < "2%"), expect(errors() < "3%")]
    scenario = Scenario(phases=PHASES, expect=objectives)
    resolver = Resolver.overriding(TOPOLOGY, scenario, duration="10s", seed=None)
    assert [plan.limit for plan in resolver.timeline.objectives] == [0.02, 0.03]
    (warning,) = [each for each in resolver.warnings if "not judged" in each]
    assert "test_objectives.py" in warning and "a run of 10s ends before the phase 'heal' begins" in warning
    whole = Resolver.overriding(TOPOLOGY, scenario, duration=None, seed=None)
    assert len(whole.timeline.objectives) == 3 and not [x for x in whole.warnings if "judged" in x]


def test_a_scenario_that_is_too_short_for_a_phase_of_an_objective_is_refused() -> None:
    objective = expect(errors() < "1%").during("heal")
    error = refused(lambda: Scenario(duration="10s", phases=PHASES, expect=[objective]))
    assert error.message == "the phase 'heal' begins only after the scenario's end"
    assert "longer duration" in (error.hint or "")
