"""Blocked traffic: what stacks, what ends what, which networks it concerns, and what can't be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.deployment import READER, SENSOR, TOPOLOGY, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Scenario, at, during, resolve
from wotemu.scenario.blocks import Block
from wotemu.scenario.change_text import describe_change, differences
from wotemu.scenario.vocabulary.actions import Action


def blocked(*events: Action) -> list[tuple[float, str, list[str]]]:
    """When, on which network, and what is blocked from then on."""
    changes = timeline_of(*events).changes
    assert {change.applier for change in changes} <= {"gateway:field", "gateway:home"}
    return [
        (change.at_s, str(change.network), [Block.from_dict(each).traffic for each in change.after])
        for change in changes
    ]


def test_a_block_is_a_change_of_the_networks_that_have_both_sides() -> None:
    assert blocked(at(1).block(READER, SENSOR, port=1883, protocol="tcp"), at(2).heal()) == [
        (1.0, "field", ["tcp port 1883"]),
        (2.0, "field", []),
    ]


def test_blocks_add_up_and_each_is_healed_by_its_name_or_with_its_period() -> None:
    events = (
        at(1).block(READER, port=80, name="web"),
        during(2, 6).block(READER, SENSOR, protocol="udp"),
        at(3).block(READER, SENSOR, protocol="icmp", name="ping"),
        at(4).heal("web"),
        at(5).heal(),
    )
    assert blocked(*events) == [
        (1.0, "field", ["port 80"]),
        (2.0, "field", ["port 80", "udp"]),
        (3.0, "field", ["port 80", "udp", "icmp"]),
        (4.0, "field", ["udp", "icmp"]),
        (5.0, "field", ["udp"]),
        (6.0, "field", []),
    ]


def test_a_block_of_the_same_name_takes_the_place_of_the_other_and_equal_ones_are_one() -> None:
    named = at(1).block(READER, port=80, name="x"), at(2).block(READER, port=81, name="x")
    assert blocked(*named)[1:] == [(2.0, "field", ["port 81"])]
    assert len(blocked(at(1).block(READER, port=80), at(2).block(READER, port=80))) == 1


def test_what_a_block_is_about() -> None:
    mqtt = Block(("a",), ("b", "c"), "tcp", 1883, "out")
    assert [mqtt.concerns(*pair) for pair in ("ab", "ba", "ad", "bc")] == [True, False, False, False]
    assert mqtt.matches("tcp", 1883, 9)
    assert mqtt.matches("tcp", 9, 1883)
    assert not mqtt.matches("udp", 9, 1883)
    assert not mqtt.matches("tcp", 9, 10)
    rest = Block(("a", "b"), heading="in")
    assert [rest.concerns(*pair) for pair in ("ca", "ac", "ab")] == [True, False, False]
    assert rest.matches("icmp", 0, 0)
    assert Block(("a",), port=53).protocols == ("tcp", "udp")


def test_a_block_in_words() -> None:
    change = timeline_of(at(1).block(READER, "sensor-1", port=1883, direction="out")).changes[0]
    assert describe_change(change) == "field: blocked reader → sensor-1: port 1883"
    assert differences(change) == [("blocked", "none", "reader → sensor-1: port 1883")]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"port": 0}, "0 is no port"),
        ({"port": "80"}, "'80' is no port"),
        ({"protocol": "tpc"}, "'tpc' is no protocol"),
        ({"protocol": "icmp", "port": 80}, "icmp has no ports"),
        ({"direction": "up"}, "'up' is no direction of a block"),
        ({"name": ""}, "is not a name"),
        ({"others": "reader"}, "'reader' is on both sides"),
    ],
)
def test_what_can_not_be_is_refused_where_it_is_written(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem) as refused:
        timeline_of(at(1).block(READER, **given))
    assert "test_blocks.py" in str(refused.value)


def test_a_block_that_heals_nothing_and_one_that_is_there_already_are_pointed_out() -> None:
    events = at(1).block(READER, port=80, name="web"), at(2).heal("wbe"), at(3).heal("web"), at(4).heal("web")
    warnings = resolve(TOPOLOGY, Scenario(events=events))[1]
    assert any("no partition or block is called 'wbe'" in warning for warning in warnings)
    assert any("at(4s).heal: it changes nothing" in warning for warning in warnings)
