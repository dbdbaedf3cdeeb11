"""Guarded actions wait for their condition; firing them is as though they had been written with that time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenario.deployment import FIELD, RADIO, READER, SENSOR, TOPOLOGY, timeline_of, told
from wotemu.errors import ScenarioError
from wotemu.scenario import Resolver, Scenario, at, during, event, metric, when
from wotemu.scenario.timeline import Timeline
from wotemu.scenario.vocabulary.actions import Action
from wotemu_runtime.coordination.guards import GuardWatch
from wotemu_runtime.coordination.live_timeline import differences

SLOW = metric("reader.latency") > 2.0


def test_a_guard_is_part_of_the_timeline_with_times_from_its_firing() -> None:
    guarded = when(SLOW, held="5s", after="10s").do(
        at(0).set(FIELD, "up", loss="5%"), at("3s").restore(FIELD), within="40s", otherwise="fire"
    )
    timeline = timeline_of(guarded)
    assert timeline.changes == ()
    (guard,) = timeline.guards
    assert guard.text == "reader.latency > 2 for 5s"
    assert guard.condition == {
        "kind": "metric",
        "replicas": ["reader"],
        "key": "latency",
        "op": ">",
        "value": 2.0,
    }
    assert (guard.held_s, guard.after_s, guard.deadline_s, guard.otherwise) == (5.0, 10.0, 40.0, "fire")
    assert [told(change) for change in guard.changes] == [
        (0.0, "field up", {"loss": 0.05}),
        (3.0, "field up", {"loss": 0.0}),
    ]


def test_guards_survive_json_and_count_for_the_hash() -> None:
    timeline = timeline_of(when(event("app.ready", 2, SENSOR)).do(at(0).crash(SENSOR)))
    back = Timeline.from_dict(json.loads(json.dumps(timeline.to_dict())))
    assert back == timeline
    assert back.hash != timeline_of(when(event("app.ready", 3, SENSOR)).do(at(0).crash(SENSOR))).hash
    assert timeline.guards[0].condition["sources"] == ["agent:sensor-1", "agent:sensor-2"]


def test_a_fired_guard_happens_at_its_time_and_later_changes_take_it_into_account() -> None:
    scenario = Scenario(
        events=[
            at(5).set(RADIO, "up", latency="10ms"),
            when(SLOW).do(at(0).set(RADIO, "up", loss="50%"), at(10).restore(RADIO)),
            at(20).set(RADIO, "up", latency="20ms"),
        ]
    )
    resolver = Resolver(TOPOLOGY, scenario)
    fired = resolver.resolve({0: 12.5})
    assert [told(change) for change in fired.changes] == [
        (5.0, "reader@field up", {"latency_s": 0.01}),
        (12.5, "reader@field up", {"loss": 0.5}),
        (20.0, "reader@field up", {"latency_s": 0.02}),
        (22.5, "reader@field up", {"latency_s": 0.0, "loss": 0.01}),
    ]
    assert fired.guards[0].fired_s == 12.5
    changed, dropped = differences(resolver.timeline, fired)
    assert [change.at_s for change in changed] == [12.5, 20.0, 22.5]
    assert dropped == []


def test_a_change_keeps_its_id_when_guards_fire() -> None:
    events: list[Action] = [at(5).crash(READER), when(SLOW).do(at(0).crash(SENSOR)), at(9).restart(READER)]
    resolver = Resolver(TOPOLOGY, Scenario(events=events))
    before = {change.id: change for change in resolver.timeline.changes}
    after = {change.id: change for change in resolver.resolve({0: 7.0}).changes}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 4


def test_what_a_guard_makes_needless_is_dropped() -> None:
    resolver = Resolver(
        TOPOLOGY, Scenario(events=[at(9).crash("sensor-1"), when(SLOW).do(at(0).crash("sensor-1"))])
    )
    changed, dropped = differences(resolver.timeline, resolver.resolve({0: 7.0}))
    assert dropped == [change.id for change in resolver.timeline.changes]
    assert [change.at_s for change in changed] == [7.0, 7.05]


def test_chances_in_a_guard_do_not_depend_on_when_it_fires() -> None:
    walk = during(0, "5s").random_walk(RADIO, "up", loss=(0, "100%"))
    resolver = Resolver(TOPOLOGY, Scenario(seed=3, events=[when(SLOW).do(walk)]))
    early, late = (
        [(round(change.at_s - fired_s, 3), change.after["loss"]) for change in timeline.changes]
        for fired_s in (3.0, 30.25)
        for timeline in [resolver.resolve({0: fired_s})]
    )
    assert early == late
    assert len(early) > 3


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: metric("latency"), "is no metric"),
    (lambda: metric("reader.x") > "2", "is no number"),  # type: ignore[operator]
    (lambda: bool(SLOW), "known only during the run"),
    (lambda: event("ready"), "is no kind of event"),
    (lambda: event("run.done"), "guards don't get 'run.done'"),
    (lambda: event("app.ready", 0), "is no number of events"),
    (lambda: when(True), "is no condition"),  # type: ignore[arg-type]
    (lambda: when(event("app.ready"), held="1s"), "leave out held"),
    (lambda: when(SLOW).do(), "nothing is to be done"),
    (lambda: when(SLOW).do(at(1).heal(), otherwise="panic"), "is not known"),  # type: ignore[arg-type]
    (lambda: when(SLOW, held=5).do(at(1).heal(), within=5), "is before the condition can have held"),
    (lambda: when(SLOW).do(when(SLOW).do(at(1).heal())), "can't wait inside another"),
    (lambda: timeline_of(when(metric("nobody.x") > 1).do(at(0).heal())), "there is no node 'nobody'"),
    (lambda: timeline_of(when(event("app.ready", node="x")).do(at(0).heal())), "there is no node 'x'"),
    (lambda: timeline_of(when(SLOW).do(at(0).crash("nobody"))), "there is no node 'nobody'"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_can_t_be_guarded_is_refused_before_the_start(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()


# Watching


def watch(*events: Action, duration_s: float = 60) -> GuardWatch:
    return GuardWatch(timeline_of(*events, duration=duration_s).guards, duration_s)


def outcomes(watching: GuardWatch, now_s: float) -> list[str]:
    return [verdict.outcome for verdict in watching.due(now_s)]


def test_a_metric_fires_at_once_where_it_need_not_hold() -> None:
    watching = watch(when(SLOW).do(at(0).heal()))
    watching.metric(3, "reader", "latency", 2.0)
    assert outcomes(watching, 3) == []
    watching.metric(4, "reader", "latency", 2.5)
    assert outcomes(watching, 4) == ["fired"]
    assert outcomes(watching, 5) == []
    assert watching.waiting == 0


def test_a_metric_must_hold_without_a_break() -> None:
    watching = watch(when(SLOW, held=5).do(at(0).heal()))
    for t_s, value in ((1, 3), (4, 3), (5, 1), (7, 3), (11, 3)):
        watching.metric(t_s, "reader", "latency", value)
        assert outcomes(watching, t_s) == []
    watching.metric(12, "reader", "latency", 3)
    assert outcomes(watching, 12) == ["fired"]


def test_a_silent_metric_is_believed_after_a_while() -> None:
    watching = watch(when(SLOW, held=5).do(at(0).heal()))
    watching.metric(1, "reader", "latency", 3)
    assert watching.next_s() == 7.5
    assert outcomes(watching, 7.4) == []
    assert outcomes(watching, 7.5) == ["fired"]


def test_what_holds_too_early_counts_from_when_it_is_watched() -> None:
    watching = watch(when(SLOW, held=5, after=10).do(at(0).heal()))
    for t_s in range(16):
        assert outcomes(watching, t_s) == []
        watching.metric(t_s, "reader", "latency", 3)
    assert outcomes(watching, 15) == ["fired"]


def test_other_metrics_and_nodes_are_nothing_to_a_guard() -> None:
    watching = watch(when(SLOW).do(at(0).heal()))
    watching.metric(1, "sensor-1", "latency", 3)
    watching.metric(1, "reader", "jitter", 3)
    assert outcomes(watching, 1) == []


def test_events_are_counted_from_those_who_count() -> None:
    watching = watch(when(event("app.ready", 2, SENSOR)).do(at(0).heal()))
    watching.event(-1, "app.ready", "agent:sensor-1")
    watching.event(1, "app.ready", "agent:reader")
    watching.event(1, "app.crashed", "agent:sensor-2")
    assert outcomes(watching, 1) == []
    watching.event(2, "app.ready", "agent:sensor-2")
    assert outcomes(watching, 2) == ["fired"]


@pytest.mark.parametrize(
    ("otherwise", "outcome"), [("skip", "skipped"), ("fire", "fired"), ("fail", "failed")]
)
def test_a_deadline_decides_as_it_was_told(otherwise: Any, outcome: str) -> None:
    watching = watch(when(SLOW, held=5).do(at(0).heal(), within=20, otherwise=otherwise))
    watching.metric(18, "reader", "latency", 3)
    assert watching.next_s() == 20
    assert outcomes(watching, 19.9) == []
    (verdict,) = watching.due(20)
    assert verdict.outcome == outcome
    assert verdict.why == "not within 20 s: reader.latency > 2 for 5s"


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        ([], "'latency' was never reported: no metric came from there"),
        (["latencies", "count"], "'latency' was never reported: did you mean 'latencies'? known are count, "),
    ],
)
def test_a_metric_that_never_came_is_named(reported: list[str], text: str) -> None:
    watching = watch(when(SLOW).do(at(0).heal()))
    for key in reported:
        watching.metric(3, "reader", key, 9.0)
    watching.metric(3, "sensor-1", "latency", 9.0)
    (verdict,) = watching.due(60)
    assert (verdict.outcome, text in verdict.why) == ("skipped", True)


def test_without_a_deadline_the_end_is_it() -> None:
    watching = watch(when(SLOW).do(at(0).heal(), otherwise="fail"), duration_s=30)
    assert outcomes(watching, 30) == ["failed"]


def test_what_held_before_the_deadline_fires_even_if_that_is_known_later() -> None:
    watching = watch(when(SLOW, held=5).do(at(0).heal(), within=7, otherwise="fail"))
    watching.metric(1, "reader", "latency", 3)
    assert outcomes(watching, 7.1) == []
    assert outcomes(watching, 7.5) == ["fired"]
