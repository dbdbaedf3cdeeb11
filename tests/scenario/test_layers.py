"""Periods lie over what instants set: whatever ends leaves what lies below it, as it is by then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, SENSOR, story, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Scenario, at, during, resolve
from wotemu.scenario.state.partitions import Groups, NotOnePartitionError, combined
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import LinkConditions, NetworkConditions, Node, Topology
from wotemu_gateways.conditions.partition import partition_of, reaches

FIELD_UP = "field up"


def latency(*events: Action, target: str = FIELD_UP) -> list[tuple[float, float]]:
    """When the latency of a hop, 40 ms before, becomes what."""
    return [
        (at_s, after["latency_s"])
        for at_s, place, after in story(*events)
        if place == target and "latency_s" in after
    ]


def final(events: Sequence[Action]) -> dict[str, dict[str, Any]]:
    """What holds in the end on every hop that ever changed to something else than it was at first."""
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for change in timeline_of(*events, duration=100).changes:
        first.setdefault(change.target, change.before)
        last[change.target] = change.after
    return {target: after for target, after in last.items() if after != first[target]}


# One over another


def test_two_waves_that_overlap_leave_nothing_behind() -> None:
    waves = (
        during(0, 20).wave(FIELD, latency=("10ms", "100ms"), period="7s"),
        during(10, 30).wave(FIELD, latency=("50ms", "200ms"), period="7s"),
    )
    found = latency(*waves)
    assert found[-1] == (30.0, 0.04)
    assert len({at_s for at_s, _ in found}) == len(found), "at one time there is one change"
    alone = {at_s: value for at_s, value in latency(waves[1]) if at_s < 30}
    assert {at_s: value for at_s, value in found if 10 <= at_s < 30} == pytest.approx(alone)


def test_what_an_instant_sets_below_a_period_shows_after_it() -> None:
    set_then = during(10, 20).set(FIELD, latency="1s"), at(15).set(FIELD, latency="7ms", loss="2%")
    assert story(*set_then) == [
        (10.0, FIELD_UP, {"latency_s": 1.0}),
        (15.0, FIELD_UP, {"loss": 0.02}),
        (20.0, FIELD_UP, {"latency_s": 0.007}),
    ]


def test_the_period_that_began_later_lies_above_whatever_was_written_first() -> None:
    inner, outer = during(12, 15).set(FIELD, latency="2s"), during(10, 20).set(FIELD, latency="1s")
    expected = [(10.0, 1.0), (12.0, 2.0), (15.0, 1.0), (20.0, 0.04)]
    assert latency(inner, outer) == latency(outer, inner) == expected


def test_periods_that_begin_together_lie_as_they_are_written() -> None:
    one, two = during(10, 20).set(FIELD, latency="1s"), during(10, 15).set(FIELD, latency="2s")
    assert latency(one, two) == [(10.0, 2.0), (15.0, 1.0), (20.0, 0.04)]
    assert latency(two, one) == [(10.0, 1.0), (20.0, 0.04)]


def test_one_period_after_another_meets_it_in_one_change() -> None:
    assert latency(during(10, 20).set(FIELD, latency="1s"), during(20, 30).set(FIELD, latency="2s")) == [
        (10.0, 1.0),
        (20.0, 2.0),
        (30.0, 0.04),
    ]


def test_factors_multiply_whatever_lies_below_them() -> None:
    events = (
        during(5, 30).scale(FIELD, latency=2),
        at(10).set(FIELD, latency="100ms"),
        during(15, 20).scale(FIELD, latency=3),
        during(22, 25).set(FIELD, latency="1s"),
    )
    assert latency(*events) == [
        (5.0, 0.08),
        (10.0, 0.2),
        (15.0, pytest.approx(0.6)),
        (20.0, 0.2),
        (22.0, 1.0),
        (25.0, 0.2),
        (30.0, 0.1),
    ]


def test_a_scaled_value_beyond_what_conditions_may_have_is_refused() -> None:
    with pytest.raises(ScenarioError, match="latency") as caught:
        timeline_of(during(5, 6).scale(FIELD, latency=1e12))
    assert re.match(r"test_layers\.py:\d+, during\(5s, 6s\)\.scale", str(caught.value.where))
    with pytest.raises(ScenarioError, match="latency"):
        timeline_of(at(5).scale(FIELD, latency=1e12))


def test_a_restore_leaves_the_periods_alone() -> None:
    events = at(1).set(FIELD, latency="5s"), during(5, 10).set(FIELD, latency="1s"), at(7).restore(FIELD)
    assert latency(*events) == [(1.0, 5.0), (5.0, 1.0), (10.0, 0.04)]


def test_what_is_kept_lies_below_the_periods_that_go_on() -> None:
    events = (
        during(0, 20).set(FIELD, latency="1s"),
        during(5, 10).ramp(FIELD, latency=("2s", "3s"), every="5s", keep=True),
    )
    assert latency(*events) == [(0.0, 1.0), (5.0, 2.0), (10.0, 1.0), (20.0, 3.0)]


def test_a_preset_sets_everything() -> None:
    gprs = NetworkConditions.GPRS
    (change,) = timeline_of(at(5).set("reader@home", gprs, "up", loss="3%")).changes
    assert NetworkConditions.from_dict(change.after) == gprs.replaced({"loss": 0.03})
    assert story(during(5, 6).set(RADIO, gprs))[-1][2]["rate_bps"] is None


def test_a_preset_of_two_ways_sets_each() -> None:
    nb_iot = LinkConditions.NB_IOT
    up, down = timeline_of(at(5).set("reader@home", nb_iot, loss="3%")).changes
    assert (up.target, down.target) == ("reader@home up", "reader@home down")
    assert NetworkConditions.from_dict(up.after) == nb_iot.up.replaced({"loss": 0.03})
    assert NetworkConditions.from_dict(down.after) == nb_iot.down.replaced({"loss": 0.03})
    (down,) = timeline_of(at(5).set("reader@home", nb_iot, "down")).changes
    assert NetworkConditions.from_dict(down.after) == nb_iot.down


def test_a_period_with_a_preset_of_two_ways_ends_with_what_was_before() -> None:
    told = story(during(5, 6).set("reader@home", LinkConditions.NB_IOT))
    assert [(at_s, target, after["rate_bps"]) for at_s, target, after in told] == [
        (5.0, "reader@home up", 62e3),
        (5.0, "reader@home down", 26e3),
        (6.0, "reader@home up", None),
        (6.0, "reader@home down", None),
    ]


PERIODS = st.builds(
    lambda start, length, make: make(during(start, start + length)),
    st.integers(0, 40),
    st.integers(1, 40),
    st.sampled_from(
        [
            lambda period: period.set(FIELD, latency="1s", loss="5%"),
            lambda period: period.set(RADIO, rate="1mbit"),
            lambda period: period.scale(FIELD, latency=2, rate=0.5),
            lambda period: period.scale("reader@field", loss=3),
            lambda period: period.ramp(FIELD, latency=("0s", "2s")),
            lambda period: period.wave(FIELD, loss=("1%", "9%"), period="7s"),
            lambda period: period.random_walk([FIELD, RADIO], latency=("10ms", "90ms")),
            lambda period: period.follow(HOME, lambda t: {"loss": t / 100}),
            lambda period: period.travel(
                READER, [(0, (0, 0)), (30, (300, 0))], stations={FIELD: (0, 0), HOME: (300, 0)}
            ),
            lambda period: period.move(READER, [(0, FIELD), (5, HOME)]),
            lambda period: period.flap("reader@home", up="2s", down="1s"),
            lambda period: period.cut(RADIO),
            lambda period: period.partition([READER]),
            lambda period: period.stop(SENSOR),
            lambda period: period.crash("sensor-1"),
            lambda period: period.churn(SENSOR, rate="30/min", downtime="2s"),
        ]
    ),
)
INSTANTS = st.builds(
    lambda time, make: make(at(time)),
    st.integers(0, 90),
    st.sampled_from(
        [
            lambda moment: moment.set(FIELD, latency="7ms"),
            lambda moment: moment.set(RADIO, "up", loss="8%", rate="2mbit"),
            lambda moment: moment.scale(FIELD, latency=3),
            lambda moment: moment.restore(FIELD),
            lambda moment: moment.partition("sensor-1", name="one"),
            lambda moment: moment.heal(),
            lambda moment: moment.cut("reader@home"),
            lambda moment: moment.reconnect(READER),
            lambda moment: moment.stop(SENSOR),
            lambda moment: moment.start(SENSOR),
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PERIODS, max_size=5), st.lists(INSTANTS, max_size=5))
def test_after_all_periods_what_instants_gave_holds(periods: list[Action], instants: list[Action]) -> None:
    assert final([*periods, *instants]) == final(instants)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(4)), st.tuples(*[st.tuples(st.integers(0, 40), st.integers(1, 40))] * 4))
def test_the_order_of_periods_on_different_conditions_does_not_matter(
    order: list[int], times: tuple[tuple[int, int], ...]
) -> None:
    spans = [during(start, start + length) for start, length in times]
    events = [
        spans[0].ramp(FIELD, latency=("0s", "2s")),
        spans[1].wave(FIELD, loss=("1%", "9%"), period="7s"),
        spans[2].scale(FIELD, rate=0.5),
        spans[3].set(RADIO, jitter="1ms"),
    ]
    assert sorted(map(repr, story(*events, duration=100))) == sorted(
        map(repr, story(*(events[number] for number in order), duration=100))
    )


# Cuts, partitions and apps


def test_a_link_is_cut_for_a_while_or_for_good() -> None:
    assert story(during(1, 2).cut("reader@home"), at(5).cut(READER), at(6).reconnect("reader@field")) == [
        (1.0, "reader@home", True),
        (2.0, "reader@home", False),
        (5.0, "reader@field", True),
        (5.0, "reader@home", True),
        (6.0, "reader@field", False),
    ]


def test_one_replica_is_cut_off() -> None:
    assert story(during(1, 2).cut("sensor-2"), during(3, 4).flap("sensor-1@field", down=1)) == [
        (1.0, "sensor-2@field", True),
        (2.0, "sensor-2@field", False),
        (3.0, "sensor-1@field", True),
        (4.0, "sensor-1@field", False),
    ]


def test_an_app_is_stopped_for_a_while() -> None:
    assert story(during(1, 5).stop(READER)) == [(1.0, "reader", "stopped"), (5.0, "reader", "running")]
    assert story(during(1, 5).stop(READER), at(2).stop(READER)) == [(1.0, "reader", "stopped")]
    assert story(during(1, 5).stop(READER), at(2).restart(READER)) == [
        (1.0, "reader", "stopped"),
        (5.0, "reader", "running"),
    ]


def test_a_node_is_down_for_a_while() -> None:
    assert story(during(1, 5).crash("sensor-1")) == [
        (1.0, "sensor-1@field", True),
        (1.05, "sensor-1", "crashed"),
        (5.0, "sensor-1@field", False),
        (5.0, "sensor-1", "running"),
    ]


# Partitions


def partitions(*events: Action) -> list[tuple[float, Any]]:
    return [(at_s, after) for at_s, place, after in story(*events) if place == "home"]


def test_partitions_add_up_and_heal_by_name_or_all_together() -> None:
    events = (
        at(1).partition([READER], name="a"),
        at(2).partition(["sensor-1"], name="b"),
        at(3).heal("a"),
        at(4).partition(["sensor-2"]),
        at(5).heal(),
    )
    apart = [["reader"], ["sensor-1"], ["sensor-2"]]
    assert partitions(*events) == [
        (1.0, [["reader"]]),
        (2.0, apart),
        (3.0, [["sensor-1"]]),
        (4.0, [["reader"], ["sensor-1"], ["sensor-2"]]),
        (5.0, []),
    ]


def test_a_partition_replaces_the_one_of_its_name() -> None:
    events = at(1).partition([READER], name="a"), at(2).partition(["sensor-1"], name="a")
    assert partitions(*events) == [(1.0, [["reader"]]), (2.0, [["sensor-1"]])]


def test_a_partition_for_a_while_outlasts_a_heal() -> None:
    events = during(1, 5).partition([READER]), at(2).partition(["sensor-1"]), at(3).heal()
    assert partitions(*events)[-2:] == [(3.0, [["reader"]]), (5.0, [])]


def test_partitions_that_no_groups_can_say_together_are_refused() -> None:
    """c reaches a and b, which do not reach each other, but not d."""
    topology = Topology([Node(name, command=["x"], networks=[HOME]) for name in "abcd"])
    events = [at(1).partition("a", "b"), at(2).partition("d")]
    with pytest.raises(ScenarioError, match="'c' would reach 'a' and 'b'") as caught:
        resolve(topology, Scenario(events=events))
    assert re.fullmatch(r"test_layers\.py:\d+, at\(2s\)\.partition", str(caught.value.where))


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=3),
        min_size=1,
        max_size=3,
    )
)
def test_combined_partitions_keep_apart_whom_any_of_them_does(given: list[list[set[str]]]) -> None:
    partitions = [_disjoint(sets) for sets in given]
    try:
        both = combined(partitions, "abcdef")
    except NotOnePartitionError as error:
        assert not _reach(partitions, error.one, error.other)
        assert _reach(partitions, error.between, error.one)
        assert _reach(partitions, error.between, error.other)
        return
    for one, other in product("abcdef", repeat=2):
        assert _reach([both], one, other) == _reach(partitions, one, other)


def _disjoint(sets: list[set[str]]) -> Groups:
    """Sets without what an earlier one has."""
    seen: set[str] = set()
    found = []
    for names in sets:
        found.append(tuple(sorted(names - seen)))
        seen |= names
    return tuple(group for group in found if group)


def _reach(partitions: Sequence[Groups], one: str, other: str) -> bool:
    return all(reaches(partition_of("abcdef", each), one, other) for each in partitions if each)
