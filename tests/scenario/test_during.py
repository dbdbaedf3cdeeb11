"""What goes on for a while is resolved to steps beforehand, and ends with its period."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, SENSOR, TOPOLOGY, story, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Resolver, Scenario, at, during, every, metric, saw, sine, square, triangle, when
from wotemu.scenario.condition_values import GRADED
from wotemu.scenario.vocabulary.actions import Action, step_times
from wotemu.topology.condition_types import ConditionEnds, ConditionFactors, ConditionRanges, ConditionValues
from wotemu.topology.models import NetworkConditions


def values(events: Sequence[Action], key: str, target: str = "reader@field up", **options: Any) -> list[Any]:
    """When and to what one condition of one hop changes."""
    return [
        (at_s, after[key])
        for at_s, place, after in story(*events, **options)
        if place == target and key in after
    ]


# Ramps


def test_a_ramp_leads_from_one_value_towards_another_and_ends() -> None:
    ramp = during("10s", "14s").ramp(FIELD, rate=("4mbit", "2mbit"))
    steps = [(10.0, 4e6), (11.0, 3.5e6), (12.0, 3e6), (13.0, 2.5e6)]
    assert values([ramp], "rate_bps", "field up") == [*steps, (14.0, 15e6)]
    kept = during("10s", "14s").ramp(FIELD, rate=("4mbit", "2mbit"), keep=True)
    assert values([kept], "rate_bps", "field up") == [*steps, (14.0, 2e6)]


def test_a_ramp_of_one_value_starts_from_what_holds() -> None:
    events = [at(1).set(FIELD, latency="100ms"), during(2, 4).ramp(FIELD, latency="300ms", keep=True)]
    assert values(events, "latency_s", "field up") == [(1.0, 0.1), (3.0, 0.2), (4.0, 0.3)]


def test_a_ramp_may_have_steps_of_equal_ratio() -> None:
    ramp = during(0, 2).ramp(RADIO, "up", shape="log", rate=("1mbit", "100kbit"), keep=True)
    assert values([ramp], "rate_bps") == [(0.0, 1e6), (1.0, pytest.approx(316227.766)), (2.0, 1e5)]


def test_the_last_step_of_a_ramp_is_its_end_however_long_the_steps() -> None:
    assert values([during(0, 5).ramp(RADIO, "up", every="2s", loss=(0, "100%"), keep=True)], "loss") == [
        (0.0, 0.0),
        (2.0, 0.4),
        (4.0, 0.8),
        (5.0, 1.0),
    ]


def test_several_conditions_change_in_one_step() -> None:
    steps = story(during(0, 1).ramp(RADIO, "up", latency=(0, "1s"), loss=("1%", "2%"), keep=True))
    assert steps == [(1.0, "reader@field up", {"latency_s": 1.0, "loss": 0.02})]


@given(start=st.integers(0, 10**8), length=st.integers(1, 10**8), every_us=st.integers(10_000, 10**8))
def test_steps_begin_and_end_with_their_period(start: int, length: int, every_us: int) -> None:
    times = step_times(start, start + length, every_us)
    assert (times[0], times[-1]) == (start, start + length)
    assert all(0 < later - earlier <= every_us for earlier, later in pairwise(times))


# Waves


@pytest.mark.parametrize(
    ("wave", "expected"),
    [
        (sine("4s"), [0, 1, 0, -1, 0]),
        (square("4s"), [1, 1, -1, -1, 1]),
        (saw("4s"), [-1, -0.5, 0, 0.5, -1]),
        (triangle("4s"), [0, 1, 0, -1, 0]),
        (sine("4s", shift=0.25), [1, 0, -1, 0, 1]),
        (sine("4s", weight=3) + square("4s"), [0.25, 1, -0.25, -1, 0.25]),
    ],
)
def test_waves_have_their_shapes(wave: Any, expected: list[float]) -> None:
    assert [wave.at(t_s) for t_s in range(5)] == pytest.approx(expected)


@given(t_s=st.floats(0, 1e6), period=st.floats(0.1, 1e4), shift=st.floats(0, 1))
def test_waves_stay_between_their_ends(t_s: float, period: float, shift: float) -> None:
    for shape in (sine, square, saw, triangle):
        assert -1 <= (shape(period, shift=shift) + sine(period / 3)).at(t_s) <= 1


def test_a_wave_swings_between_two_values_and_ends_where_it_was() -> None:
    wave = during(10, 14).wave(FIELD, "triangle", period="4s", latency=("20ms", "60ms"))
    assert values([wave], "latency_s", "field up") == [(11.0, 0.06), (12.0, 0.04), (13.0, 0.02), (14.0, 0.04)]


def test_what_a_period_changed_holds_again_after_it_unless_it_is_kept() -> None:
    events = [
        at(1).set(RADIO, "up", loss="3%"),
        during(2, 4).wave(RADIO, "square", "up", loss=("10%", "20%")),
    ]
    assert values(events, "loss") == [(1.0, 0.03), (2.0, 0.2), (4.0, 0.03)]
    kept = during(2, 4).wave(RADIO, "square", "up", loss=("10%", "20%"), keep=True)
    assert values([events[0], kept], "loss") == [(1.0, 0.03), (2.0, 0.2)]


# Random walks


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), step=st.floats(0, 1, exclude_max=True))
def test_a_walk_stays_within_its_bounds(seed: int, step: float) -> None:
    walk = during(0, 30).random_walk(RADIO, "up", step=step, keep=True, loss=("2%", "5%"))
    assert all(0.02 <= value <= 0.05 for _, value in values([walk], "loss", seed=seed))


def test_a_walk_starts_from_what_holds_or_from_the_middle() -> None:
    inside = at(0).set(RADIO, "up", loss="3%"), during(1, 9).random_walk(RADIO, "up", loss=("2%", "6%"))
    assert values(inside, "loss")[0] == (0.0, 0.03)
    outside = during(1, 9).random_walk(RADIO, "up", loss=("2%", "6%"))
    assert values([outside], "loss")[0] == (1.0, 0.04)


def test_every_node_walks_by_itself_and_its_two_ways_together() -> None:
    walk = during(0, 5).random_walk([RADIO, "sensor@field"], latency=(0, "1s"))
    reader, sensor = (values([walk], "latency_s", f"{node}@field up") for node in ("reader", "sensor"))
    assert reader != sensor
    assert values([walk], "latency_s", "reader@field down") == reader


def test_another_seed_walks_another_way() -> None:
    walk = during(0, 5).random_walk(RADIO, "up", loss=(0, "100%"))
    assert timeline_of(walk, seed=1).hash == timeline_of(walk, seed=1).hash
    assert values([walk], "loss", seed=1) != values([walk], "loss", seed=2)


def test_chances_of_one_event_do_not_disturb_those_of_another() -> None:
    walk = during(0, 5).random_walk(RADIO, "up", loss=(0, "100%"))
    alone = values([walk], "loss")
    assert values([walk, during(0, 5).random_walk(HOME, "up", loss=(0, "100%"))], "loss") == alone


# Functions of time


def test_a_function_of_time_is_followed() -> None:
    rows = during(10, 13).follow(RADIO, lambda t: {"latency": f"{t / 10}s", "loss": "2%"}, "up")
    assert story(rows) == [
        (10.0, "reader@field up", {"loss": 0.02}),
        (11.0, "reader@field up", {"latency_s": 0.1}),
        (12.0, "reader@field up", {"latency_s": 0.2}),
        (13.0, "reader@field up", {"latency_s": 0.0, "loss": 0.01}),
    ]


def test_a_function_is_asked_once_however_often_the_scenario_is_resolved() -> None:
    """Else a function that draws at random would change what has been published."""
    asked: list[float] = []
    follow = during(0, 3).follow(RADIO, lambda t: asked.append(t) or {"loss": "2%"})  # type: ignore[func-returns-value]
    resolver = Resolver(TOPOLOGY, Scenario(events=[follow]))
    resolver.resolve({})
    assert asked == [0.0, 1.0, 2.0, 3.0]


def test_a_function_may_give_whole_conditions() -> None:
    gprs = during(10, 12).follow(HOME, lambda t: NetworkConditions.GPRS)
    assert values([gprs], "rate_bps", "home down") == [(10.0, 50e3), (12.0, None)]


# Traces in a period


def test_a_trace_is_replayed_scaled_faster_and_again(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("t,rate_bps,loss\n0,1e6,0\n1,2e6,0.1\n")
    replay = during(10, 13).replay(RADIO, path, "up", loop=True, scale={"rate": 2}, speed=2)
    assert values([replay], "rate_bps") == [
        (10.0, 2e6),
        (10.5, 4e6),
        (11.0, 2e6),
        (11.5, 4e6),
        (12.0, 2e6),
        (12.5, 4e6),
        (13.0, None),
    ]


def test_a_trace_that_is_over_leaves_its_last_values_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("t,loss\n0,0.5\n1,0.1\n")
    assert values([during(10, 20).replay(RADIO, path, "up")], "loss") == [
        (10.0, 0.5),
        (11.0, 0.1),
        (20.0, 0.01),
    ]


# Flaps and churn


def test_a_link_flaps_down_and_up_and_ends_up() -> None:
    assert story(during(10, 17).flap("reader@home", down="1s", up="2s")) == [
        (10.0, "reader@home", True),
        (11.0, "reader@home", False),
        (13.0, "reader@home", True),
        (14.0, "reader@home", False),
        (16.0, "reader@home", True),
        (17.0, "reader@home", False),
    ]


def test_a_network_flaps_for_all_replicas_on_it() -> None:
    cut = {place for _, place, after in story(during(1, 2).flap(FIELD, down=1, up=1)) if after}
    assert cut == {"reader@field", "sensor-1@field", "sensor-2@field"}


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_flaps_vary_by_their_jitter(seed: int) -> None:
    flap = during(0, 100).flap("reader@home", down="1s", up="4s", jitter="20%")
    times = [at_s for at_s, _, _ in story(flap, duration=200, seed=seed)][:-2]
    downs = [later - earlier for earlier, later in zip(times[::2], times[1::2], strict=False)]
    ups = [later - earlier for earlier, later in zip(times[1::2], times[2::2], strict=False)]
    assert all(0.8 <= length <= 1.2 for length in downs)
    assert all(3.2 <= length <= 4.8 for length in ups)


def test_a_crash_while_a_link_flaps_keeps_it_cut() -> None:
    """Each reason to be cut off counts by itself: the network is back when none is left."""
    cuts = [
        (at_s, after)
        for at_s, place, after in story(
            during(1, 8).flap("reader@home", down=2, up=2), at(2).crash(READER), at(6).restart(READER)
        )
        if place == "reader@home"
    ]
    assert cuts == [(1.0, True), (7.0, False)]


def test_churn_crashes_nodes_and_brings_each_back() -> None:
    apps = [
        (at_s, place, after)
        for at_s, place, after in story(during(0, 50).churn(SENSOR, rate="12/min", downtime=("1s", "2s")))
        if "@" not in place
    ]
    down: dict[str, float] = {}
    for at_s, replica, after in apps:
        if after == "crashed":
            assert replica not in down
            down[replica] = at_s
        else:
            assert 1 <= at_s - down.pop(replica) <= 2
    assert len(apps) > 6
    assert {replica for _, replica, _ in apps} == {"sensor-1", "sensor-2"}


def test_churn_is_a_poisson_process_of_its_rate() -> None:
    churn = during(0, 2000).churn(SENSOR, rate=0.5, downtime="10ms")
    count = sum(after == "crashed" for _, _, after in story(churn, duration=2000))
    assert abs(count - 1000) < 4 * math.sqrt(1000)


# Repeats


def test_what_is_repeated_happens_each_time_from_its_start() -> None:
    stops = every("20s", start="5s", until="45s").do(at(0).stop(READER), at("3s").start(READER))
    assert story(stops) == [
        (5.0, "reader", "stopped"),
        (8.0, "reader", "running"),
        (25.0, "reader", "stopped"),
        (28.0, "reader", "running"),
    ]


def test_repeats_last_until_the_end() -> None:
    assert [at_s for at_s, _, _ in story(every("20s").do(at(0).restart(READER)))] == [0.0, 20.0, 40.0]


def test_a_repeat_in_a_repeat_goes_on_until_the_next_time() -> None:
    inner = every("5s").do(at(0).stop(READER), at("1s").start(READER))
    stops = [at_s for at_s, _, after in story(every("20s", start="10s").do(inner)) if after == "stopped"]
    assert stops == [10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0]


def test_a_repeat_in_a_repeat_may_end_before() -> None:
    inner = every("5s", until="8s").do(at(0).restart(READER))
    assert [at_s for at_s, _, _ in story(every("20s", until="30s").do(inner))] == [0.0, 5.0, 20.0, 25.0]


def test_a_period_in_a_repeat_lasts_into_the_next_time_and_leaves_nothing() -> None:
    longer = every("10s", until="25s").do(during(0, 15).scale(FIELD, latency=2))
    assert values([longer], "latency_s", "field up") == [
        (0.0, 0.08),
        (10.0, 0.16),
        (15.0, 0.08),
        (20.0, 0.16),
        (25.0, 0.08),
        (35.0, 0.04),
    ]


def test_each_repetition_draws_its_own_chances() -> None:
    walk = every("10s").do(during(0, 5).random_walk(RADIO, "up", loss=(0, "100%")))
    drawn = values([walk], "loss")
    first, second = ([value for at_s, value in drawn if low < at_s < low + 5] for low in (0, 10))
    assert first != second


# What is refused

TWO = during(10, 20)
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: during(20, 10), "ends before it has begun"),
    (lambda: during("a", 10), "is not a duration"),
    (lambda: TWO.ramp(RADIO), "no condition is given"),
    (lambda: TWO.ramp(RADIO, loss=(0, "100%"), every=0), "it is zero"),
    (lambda: TWO.ramp(RADIO, loss=(0, "100%"), every="1us"), "are more than 200000"),
    (lambda: TWO.ramp(RADIO, loss=(0, 1, 2)), "is no pair of values"),  # type: ignore[arg-type]
    (lambda: TWO.ramp(RADIO, queue=("1s", "2s")), "no values in between"),  # type: ignore[call-arg]
    (lambda: TWO.ramp(RADIO, rate=(None, "1mbit")), "is not limited"),  # type: ignore[arg-type]
    (lambda: TWO.ramp(RADIO, shape="round", loss=(0, "100%")), "is no shape"),
    (lambda: timeline_of(TWO.ramp(RADIO, rate="1mbit")), "rate of reader@field has no limit to start from"),
    (lambda: timeline_of(TWO.ramp(RADIO, shape="log", loss=(0, "100%"))), "can't be 0"),
    (lambda: TWO.wave(RADIO, "round", loss=(0, "100%")), "no such shape"),
    (lambda: TWO.wave(RADIO, loss=0.1), "is no pair of values"),  # type: ignore[arg-type]
    (lambda: sine("1s", weight=0), "not above zero"),
    (lambda: sine(0), "it is zero"),
    (lambda: TWO.random_walk(RADIO, loss=("5%", "2%")), "5% is not below 2%"),
    (lambda: TWO.random_walk(RADIO, step=2, loss=(0, "100%")), "more than the whole"),
    (lambda: TWO.follow(RADIO, 7), "is no function of time"),  # type: ignore[arg-type]
    (lambda: timeline_of(TWO.follow(RADIO, lambda t: 7)), "at 0 it gives 7"),  # type: ignore[arg-type, return-value]
    (lambda: timeline_of(TWO.follow(RADIO, lambda t: {"loss": 1 / (t - 2)})), "finite and not negative"),
    (lambda: timeline_of(TWO.follow(RADIO, lambda t: {"loss": 0.1 / t})), "at 0 it raises ZeroDivisionError"),
    (lambda: TWO.replay(RADIO, "none.csv"), "there is no file"),
    (lambda: TWO.flap(RADIO, down=0), "it is zero"),
    (lambda: TWO.flap(RADIO, jitter="200%"), "more than the whole"),
    (lambda: timeline_of(TWO.churn("nobody", rate="1/h")), "there is no node 'nobody'"),
    (lambda: TWO.churn(SENSOR, rate="often"), "says not how often"),
    (lambda: TWO.churn(SENSOR, rate=0), "says not how often"),
    (lambda: TWO.churn(SENSOR, downtime=("5s", "1s")), "is not below"),
    (lambda: every(0), "it is zero"),
    (lambda: every(1, start=5, until=5), "is not after start"),
    (lambda: every(1).do(), "nothing is to be done"),
    (lambda: every(1).do(when(metric("a.x") > 1).do(at(0).heal())), "can't be repeated"),
    (lambda: every(1).do(every(9).do(when(metric("a.x") > 1).do(at(0).heal()))), "can't be repeated"),
    (lambda: every(1).do([at(1).heal()]), "is no event"),  # type: ignore[arg-type]
    (lambda: every(1).do(at(1)), "is no event"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_can_t_be_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()


def test_the_types_of_keyword_arguments_name_the_conditions_that_there_are() -> None:
    names = {field.name for field in attrs.fields(NetworkConditions)}
    assert set(ConditionValues.__annotations__) == names
    for kind in (ConditionRanges, ConditionEnds, ConditionFactors):
        assert set(kind.__annotations__) == GRADED
