"""Crashes, stops and restarts that overlap come out as one would expect of a machine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.scenario.deployment import HOME, READER, SENSOR, story, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import at, during
from wotemu.scenario.change_text import describe_change
from wotemu.scenario.vocabulary.actions import Action
from wotemu.units import Bytes, Seconds

ONE = "sensor-1"


def apps(*events: Action, of: str = ONE) -> list[tuple[float, Any]]:
    return [(at_s, after) for at_s, place, after in story(*events) if place == of]


def test_a_crash_that_was_undone_kills_nothing_afterwards() -> None:
    assert story(at(1).crash(ONE), at("1.02s").restart(ONE)) == [
        (1.0, "sensor-1@field", True),
        (1.02, "sensor-1@field", False),
        (1.02, ONE, "running"),
    ]


def test_a_second_crash_kills_at_its_own_time() -> None:
    events = at(1).crash(ONE), at("1.02s").restart(ONE), at("1.04s").crash(ONE)
    assert apps(*events) == [(1.02, "running"), (1.09, "crashed")]


def test_a_crash_of_what_is_down_is_no_change_and_is_undone_with_the_other() -> None:
    events = at(1).crash(ONE), at(2).crash(ONE), at(3).restart(ONE)
    assert apps(*events) == [(1.05, "crashed"), (3.0, "running")]
    assert apps(*events, of="sensor-1@field") == [(1.0, True), (3.0, False)]


def test_a_stop_of_a_stopped_app_is_no_change() -> None:
    assert apps(at(1).stop(ONE), at(2).stop(ONE)) == [(1.0, "stopped")]


def test_what_is_stopped_while_it_is_down_stays_stopped_when_it_comes_back() -> None:
    events = during(1, 5).crash(ONE), at(2).stop(ONE)
    assert story(*events)[-2:] == [(5.0, "sensor-1@field", False), (5.0, ONE, "stopped")]


def test_churn_gives_the_network_back_to_what_was_stopped_while_it_was_down() -> None:
    """Whatever is stopped when: in the end nobody is cut off, and what was stopped is stopped."""
    churn = during(0, 30).churn(SENSOR, rate="60/min", downtime=("1s", "4s"))
    for second in range(1, 30):
        for seed in range(3):
            told = story(churn, at(second).stop(SENSOR), seed=seed)
            last = {place: after for _, place, after in told}
            assert not any(after for place, after in last.items() if "@" in place), (second, seed)
            assert {last[name] for name in ("sensor-1", "sensor-2")} == {"stopped"}, (second, seed)


def test_a_restart_undoes_a_crash_of_churn_and_churn_does_not_restart_again() -> None:
    churn = during(0, 10).churn(ONE, rate="6/min", downtime="10s")
    (down_s, _), (up_s, _) = apps(churn)[:2]
    found = apps(churn, at(down_s + 1).restart(ONE))
    assert found[:2] == [(down_s, "crashed"), (down_s + 1, "running")]
    assert (up_s, "running") not in found


def test_a_crash_within_a_longer_one_ends_with_it() -> None:
    events = during(1, 9).crash(ONE), during(2, 5).crash(ONE)
    assert apps(*events) == [(1.05, "crashed"), (9.0, "running")]


def test_a_node_that_is_moved_and_crashes_is_off_both_networks() -> None:
    move = during(0, 20).move(READER, [(0, "field"), (10, HOME)])
    cuts = [entry for entry in story(move, during(5, 15).crash(READER)) if isinstance(entry[2], bool)]
    assert cuts == [
        (0.0, "reader@home", True),
        (5.0, "reader@field", True),
        (15.0, "reader@home", False),
        (20.0, "reader@field", False),
    ]


def pauses(*events: Action, of: str = ONE, **options: Any) -> list[tuple[float, Any]]:
    changes = timeline_of(*events, **options).changes
    return [(each.at_s, each.after) for each in changes if (each.action, each.target) == ("pause", of)]


def test_a_pause_holds_until_it_is_resumed_and_one_of_a_period_until_its_end() -> None:
    assert pauses(at(1).pause(ONE), at(3).resume(ONE)) == [(1.0, True), (3.0, False)]
    assert pauses(during(1, 3).pause(SENSOR), of="sensor-2") == [(1.0, True), (3.0, False)]
    assert pauses(during(1, 5).pause(ONE), at(2).pause(ONE), at(3).resume(ONE)) == [(1.0, True), (5.0, False)]


def test_a_pause_and_a_crash_leave_each_other_alone() -> None:
    events = during(1, 9).pause(ONE), during(2, 5).crash(ONE)
    assert pauses(*events) == [(1.0, True), (9.0, False)]
    assert apps(*events)[1:3] == [(2.05, "crashed"), (5.0, "running")]


def test_churn_by_pauses_takes_one_that_runs_and_resumes_it() -> None:
    found = pauses(during(0, 40).churn(ONE, rate="60/min", downtime="2s", fault="pause"))
    assert len(found) > 8
    for (begin_s, paused), (end_s, resumed) in zip(found[::2], found[1::2], strict=True):
        assert (paused, resumed) == (True, False)
        assert end_s == pytest.approx(begin_s + 2)


def test_churn_unplugs_one_that_is_plugged_in_from_all_its_networks() -> None:
    churn = during(0, 40).churn(READER, rate="60/min", downtime="2s", fault="disconnect")
    told = story(churn)
    for place in ("reader@field", "reader@home"):
        found = [(at_s, after) for at_s, where, after in told if where == place]
        assert len(found) > 8
        assert [after for _, after in found] == [True, False] * (len(found) // 2)
        pairs = zip(found[::2], found[1::2], strict=True)
        assert all(back_s == pytest.approx(out_s + 2) for (out_s, _), (back_s, _) in pairs)
    assert {where for _, where, _ in told} == {"reader@field", "reader@home"}


@pytest.mark.parametrize(
    ("fault", "given", "set_", "unset"),
    [
        ("limit", {"cpu": 0.1}, {"cpu": 0.1, "mem_bytes": None}, {"cpu": None, "mem_bytes": None}),
        (
            "stress",
            {"memory": "64M"},
            {"cpu": None, "mem_bytes": 64 * 1024**2},
            {"cpu": None, "mem_bytes": None},
        ),
        ("fill_disk", {"leave": "1k"}, {"leave_bytes": 1024}, {"leave_bytes": None}),
        ("fill_disk", {}, {"leave_bytes": 0}, {"leave_bytes": None}),
        ("skew_clock", {"by": "-2h"}, {"by_s": -7200.0}, {"by_s": 0.0}),
    ],
)
def test_churn_sets_something_on_nodes_and_takes_it_back(
    fault: Any, given: Any, set_: Any, unset: Any
) -> None:
    churn = during(0, 40).churn(ONE, rate="20/min", downtime="10ms", fault=fault, **given)
    changes = [change for change in timeline_of(churn).changes if change.action == fault]
    assert len(changes) > 4
    assert [change.after for change in changes] == [set_, unset] * (len(changes) // 2)


@pytest.mark.parametrize(
    ("fault", "given", "says"),
    [
        ("limit", {}, "no limit is given"),
        ("limit", {"leave": "1M"}, "'limit' takes no leave"),
        ("skew_clock", {}, "None is not a duration"),
        ("crash", {"cpu": 0.1}, "'crash' takes no cpu"),
        ("stress", {"cpu": -1}, "cpu"),
    ],
)
def test_churn_refuses_values_that_its_fault_does_not_take(fault: Any, given: Any, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        during(0, 9).churn(ONE, fault=fault, **given)


def test_only_what_an_agent_can_suspend_is_paused_and_its_agent_applies_it() -> None:
    change = timeline_of(at(1).pause(ONE)).changes[0]
    assert (change.applier, describe_change(change)) == (f"agent:{ONE}", f"{ONE}: paused")
    with pytest.raises(ScenarioError, match="is no fault"):
        during(0, 9).churn(ONE, fault="pawse")  # type: ignore[arg-type]


def test_a_pause_is_part_of_the_hash() -> None:
    assert timeline_of(at(1).pause(ONE)).hash != timeline_of().hash


def test_an_unplugged_node_is_off_one_network_until_it_is_plugged_in() -> None:
    events = at(1).disconnect(READER, HOME), during(2, 4).disconnect(READER), at(3).connect(READER)
    changes = timeline_of(*events).changes
    assert {change.action for change in changes} == {"disconnect"}
    assert {(change.at_s, change.target, change.after) for change in changes} == {
        (1.0, "reader@home", True),
        (2.0, "reader@field", True),
        (4.0, "reader@field", False),
        (4.0, "reader@home", False),
    }
    assert changes[0].applier == "gateway:home"
    assert describe_change(changes[0]) == "reader unplugged from home"
    with pytest.raises(ScenarioError, match="'sensor-1' is not on network 'home'"):
        timeline_of(at(1).disconnect(SENSOR, "home"))


def limits(*events: Action) -> list[tuple[float, Any, Any]]:
    changes = timeline_of(*events).changes
    return [(each.at_s, each.after["cpu"], each.after["mem_bytes"]) for each in changes if each.target == ONE]


def test_limits_of_periods_lie_over_those_of_instants_and_each_ends_by_itself() -> None:
    events = (
        at(1).limit(ONE, cpu=0.5, memory="64M"),
        during(2, 6).limit(ONE, cpu=0.2),
        at(3).limit(ONE, cpu=0.4),
        during(4, 5).limit(ONE, memory="32M"),
        at(7).unlimit(ONE),
    )
    assert limits(*events) == [
        (1.0, 0.5, 64 << 20),
        (2.0, 0.2, 64 << 20),
        (4.0, 0.2, 32 << 20),
        (5.0, 0.2, 64 << 20),
        (6.0, 0.4, 64 << 20),
        (7.0, None, None),
    ]
    change = timeline_of(events[0]).changes[0]
    assert describe_change(change) == f"{ONE}: CPU limited to 0.5 cores, memory limited to 64MiB"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "no limit is given"),
        ({"cpu": 0}, "is not from 0.001"),
        ({"cpu": "half"}, "is no number"),
        ({"memory": "1M"}, "too little for any process"),
        ({"memory": "much"}, "much"),
    ],
)
def test_limits_that_can_not_be_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem):
        at(1).limit(ONE, **given)


def settings(action: str, *events: Action) -> list[tuple[float, dict[str, Any]]]:
    return [(each.at_s, each.after) for each in timeline_of(*events).changes if each.action == action]


def test_stress_of_periods_lies_over_that_of_instants_and_each_ends_by_itself() -> None:
    events = (
        at(1).stress(ONE, cpu=0.5),
        during(2, 4).stress(ONE, cpu=1.5, memory="64M"),
        at(3).unstress(ONE),
    )
    assert settings("stress", *events) == [
        (1.0, {"cpu": 0.5, "mem_bytes": None}),
        (2.0, {"cpu": 1.5, "mem_bytes": 64 << 20}),
        (4.0, {"cpu": None, "mem_bytes": None}),
    ]
    begun, _, ended = timeline_of(events[0], at(2).limit(ONE, cpu=1.0), at(3).unstress(ONE)).changes
    assert (begun.applier, describe_change(begun)) == (f"agent:{ONE}", f"{ONE}: stressed by 0.5 cores")
    assert describe_change(ended) == f"{ONE}: not stressed"


def test_a_disk_is_full_until_it_is_freed() -> None:
    events = at(1).fill_disk(ONE, leave="1M"), during(2, 3).fill_disk(ONE), at(4).free_disk(ONE)
    assert [(at_s, after["leave_bytes"]) for at_s, after in settings("fill_disk", *events)] == [
        (1.0, 1 << 20),
        (2.0, 0),
        (3.0, 1 << 20),
        (4.0, None),
    ]
    texts = [describe_change(each) for each in timeline_of(*events).changes]
    assert texts[:2] == [f"{ONE}: scratch folder full, 1MiB left", f"{ONE}: scratch folder full"]


@pytest.mark.parametrize(
    ("by", "by_s"),
    [
        ("+3m", 180.0),
        ("3m", 180.0),
        (" -1h30m ", -5400.0),
        ("- 1:30", -90.0),
        ("-250ms", -0.25),
        (90, 90.0),
        (-1.5, -1.5),
        (timedelta(days=-1), -86400.0),
        (Seconds(2.0), 2.0),
    ],
)
def test_a_clock_is_skewed_by_a_duration_with_a_sign(by: Any, by_s: float) -> None:
    assert settings("skew_clock", at(1).skew_clock(ONE, by=by)) == [(1.0, {"by_s": by_s})]


def test_a_clock_is_wrong_until_it_is_set_right_and_in_a_period_by_that() -> None:
    events = (
        at(1).skew_clock(ONE, by="+3m"),
        during(2, 3).skew_clock(ONE, by="-1h"),
        during(4, 5).skew_clock(ONE, by=0),
        at(6).skew_clock(ONE, by=0),
    )
    assert [(at_s, after["by_s"]) for at_s, after in settings("skew_clock", *events)] == [
        (1.0, 180.0),
        (2.0, -3600.0),
        (3.0, 180.0),
        (4.0, 0.0),
        (5.0, 180.0),
        (6.0, 0.0),
    ]
    changes = timeline_of(*events).changes
    assert [describe_change(each) for each in changes[:2]] == [
        f"{ONE}: wall clock 180s ahead",
        f"{ONE}: wall clock 3600s behind",
    ]
    assert describe_change(changes[-1]) == f"{ONE}: wall clock right"
    assert changes[0].applier == f"agent:{ONE}"


@pytest.mark.parametrize("by", ["soon", "+-3m", "", "5MB", Bytes(5), True, None, float("nan"), "90y"])
def test_a_clock_can_not_be_skewed_by_what_is_no_duration(by: Any) -> None:
    with pytest.raises(ScenarioError) as refused:
        at(1).skew_clock(ONE, by=by)
    assert refused.value.hint == 'write by="+3m", by="-1h30m", or by=0'


def test_stress_and_full_disks_that_can_not_be_are_refused() -> None:
    with pytest.raises(ScenarioError, match="no stress is given"):
        at(1).stress(ONE)
    with pytest.raises(ScenarioError, match=r"is not from 0.01"):
        at(1).stress(ONE, cpu=0.001)
    with pytest.raises(ScenarioError, match="half"):
        at(1).fill_disk(ONE, leave="half")
