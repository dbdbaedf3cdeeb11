"""Nodes that move are on one network at a time, and their signal follows the distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, SENSOR, story, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import PathLoss, at, during
from wotemu.scenario.vocabulary.actions import Action

CUTS = tuple[float, str, Any]


def cuts(*events: Action) -> list[CUTS]:
    return [(at_s, place, after) for at_s, place, after in story(*events) if isinstance(after, bool)]


# Hand-overs


def test_a_moving_node_is_on_one_network_and_on_none_in_the_gap() -> None:
    move = during(10, 40).move(READER, [("0s", FIELD), ("10s", "home"), ("20s", FIELD)], gap="200ms")
    assert cuts(move) == [
        (10.0, "reader@home", True),
        (20.0, "reader@field", True),
        (20.2, "reader@home", False),
        (30.0, "reader@home", True),
        (30.2, "reader@field", False),
        (40.0, "reader@home", False),
    ]


def test_what_lies_behind_the_period_s_end_is_not_gone_to() -> None:
    assert cuts(during(10, 15).move(READER, [("0s", FIELD), ("10s", HOME)])) == [
        (10.0, "reader@home", True),
        (15.0, "reader@home", False),
    ]


def test_a_moving_node_that_crashes_comes_back_where_it_is() -> None:
    events = (
        during(0, 40).move(READER, [("0s", FIELD), ("20s", HOME)]),
        at(10).crash(READER),
        at(30).restart(READER),
    )
    assert cuts(*events) == [
        (0.0, "reader@home", True),
        (10.0, "reader@field", True),
        (30.0, "reader@home", False),
        (40.0, "reader@field", False),
    ]


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: during(0, 9).move(READER, []), "is no path"),
    (lambda: during(0, 9).move(READER, "home"), "is no path"),  # type: ignore[arg-type]
    (lambda: during(0, 9).move(READER, [("1s", HOME)]), "nothing says where the node is at first"),
    (lambda: during(0, 9).move(READER, [(0, HOME), (0, FIELD)]), "does not come after"),
    (lambda: during(0, 9).move(READER, [(0, HOME), (1, FIELD)], gap=1), "shorter than the gap"),
    (lambda: during(0, 9).move(READER, [(0, 7)]), "7 is no Network"),  # type: ignore[list-item]
    (
        lambda: timeline_of(during(0, 9).move(SENSOR, [(0, HOME)])),
        "'sensor' is not attached to Network 'home'",
    ),
    (lambda: timeline_of(during(0, 9).move(READER, [(0, "x")])), "no node is on a network 'x'"),
    (lambda: during(0, 9).travel(READER, [(0, (0, 0))], stations={}), "there is no station"),
    (lambda: during(0, 9).travel(READER, [(0, 7)], stations={HOME: (0, 0)}), "7 is no position"),  # type: ignore[list-item]
    (lambda: PathLoss(exponent=0), "exponent=0 is not from 0.1 to 20"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_paths_that_can_t_be_gone_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()


# Signal by distance


def test_the_model_is_log_distance_path_loss() -> None:
    model = PathLoss()
    assert model.noise_dbm == pytest.approx(-174 + 73.01 + 7, abs=0.01)
    assert model.signal_dbm(1) == 20 - 40
    assert model.signal_dbm(100) == pytest.approx(20 - 40 - 60)
    assert model.signal_dbm(0) == model.signal_dbm(1)


@given(st.floats(1, 1e4), st.floats(1.01, 10))
def test_further_away_nothing_gets_better(distance_m: float, factor: float) -> None:
    model = PathLoss()
    near, far = (model.conditions(model.signal_dbm(d)) for d in (distance_m, distance_m * factor))
    assert far["rate"] <= near["rate"]
    assert far["loss"] >= near["loss"]
    assert far["latency"] >= near["latency"]


def test_the_ends_of_a_link_s_range() -> None:
    model = PathLoss()
    near, far = (model.conditions(model.signal_dbm(distance_m)) for distance_m in (5, 5000))
    assert (near["rate"], near["loss"], near["latency"]) == (54e6, 0, 0)
    assert far["rate"] == 540e3
    assert far["loss"] > 0.99
    assert far["latency"] == pytest.approx(7 * 2e-3, rel=0.01)


def test_a_travelling_node_is_handed_over_to_the_louder_network() -> None:
    travel = during(0, 50).travel(
        READER, [("0s", (0, 0)), ("50s", (100, 0))], stations={FIELD: (0, 0), HOME: (100, 0)}, gap="50ms"
    )
    begin, leave, arrive, end = cuts(travel)
    assert begin == (0.0, "reader@home", True)
    assert leave[1:] == ("reader@field", True)
    assert 25 < leave[0] < 30  # past the middle by as much as the hysteresis asks for
    assert arrive == (round(leave[0] + 0.05, 6), "reader@home", False)
    assert end == (50.0, "reader@field", False)


def test_hysteresis_keeps_a_node_from_going_to_and_fro() -> None:
    path = [(float(second), (48.0 + 4 * (second % 2), 0.0)) for second in range(40)]
    stations = {FIELD: (0.0, 0.0), HOME: (100.0, 0.0)}
    assert len(cuts(during(0, 40).travel(READER, path, stations=stations))) == 2
    assert len(cuts(during(0, 40).travel(READER, path, stations=stations, hysteresis_db=0))) > 20


def test_the_link_gets_worse_on_the_way_and_is_as_it_was_at_the_end() -> None:
    travel = during(0, 10).travel(READER, [(0, (1, 0)), (10, (2000, 0))], stations={FIELD: (0, 0)})
    rates = [
        after["rate_bps"]
        for _, place, after in story(travel)
        if place == "reader@field up" and "rate_bps" in after
    ]
    assert rates[0] == 54e6
    assert rates[-1] is None
    assert rates[:-1] == sorted(rates[:-1], reverse=True)


def test_distance_comes_on_top_of_what_the_link_has_of_its_own() -> None:
    """Delays add, the lower rate holds, losses are independent; what is set meanwhile counts too."""
    model = PathLoss()
    far = model.conditions(model.signal_dbm(220))
    travel = during(10, 20).travel(READER, [(0, (220, 0))], stations={FIELD: (0, 0)})
    told = [
        after
        for _, place, after in story(
            at(5).set(RADIO, "up", latency="5ms", rate="100kbit"),
            travel,
            at(15).set(RADIO, "up", latency="50ms"),
        )
        if place == "reader@field up"
    ]
    assert 0.01 < far["loss"] < 0.9
    assert far["latency"] > 0
    loss = pytest.approx(1 - (1 - 0.01) * (1 - far["loss"]))
    assert told == [
        {"latency_s": 0.005, "rate_bps": 100e3},
        {"latency_s": pytest.approx(0.005 + far["latency"]), "loss": loss},
        {"latency_s": pytest.approx(0.05 + far["latency"])},
        {"latency_s": 0.05, "loss": 0.01},
    ]


def test_shadowing_is_drawn_from_the_seed() -> None:
    travel = during(0, 10).travel(
        READER,
        [(0, (100, 0)), (10, (101, 0))],
        stations={FIELD: (0, 0)},
        model=PathLoss(shadowing_db=8),
    )
    assert timeline_of(travel, seed=1).hash == timeline_of(travel, seed=1).hash
    assert timeline_of(travel, seed=1).changes != timeline_of(travel, seed=2).changes
