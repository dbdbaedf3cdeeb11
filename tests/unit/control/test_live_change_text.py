"""What a change is called, for people."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
from wotemu_runtime.control.live_changes import LiveChange, SetConditions


def test_a_preset_is_described_by_what_is_not_by_default() -> None:
    change = SetConditions.of("phone", NetworkConditions(latency="40ms"), "up", 3.0, rate="1mbit")
    assert change.text == "set phone up latency=40ms rate=1mbit and nothing else for 3s"


def test_single_conditions_are_described_as_they_were_given() -> None:
    assert SetConditions.of("phone", loss="0%").text == "set phone loss=0%"


@pytest.mark.parametrize(
    ("preset", "source"),
    [
        (NetworkConditions.LTE, 'at("2s").set("phone", NetworkConditions.LTE, "up")'),
        (
            NetworkConditions(latency="40ms", rate="1mbit"),
            'at("2s").set("phone", NetworkConditions(latency="40ms", rate="1mbit"), "up")',
        ),
    ],
)
def test_a_preset_is_one_in_a_script(preset: NetworkConditions, source: str) -> None:
    """Of some twenty conditions, those that matter; read back it is the same preset."""
    written = SetConditions.of("phone", preset, direction="up").source(2.0).replace("'", '"')
    assert written == source
    given: list[Any] = []
    moment = SimpleNamespace(set=lambda *arguments: given.extend(arguments))
    eval(written, {"at": lambda _: moment, "NetworkConditions": NetworkConditions})
    assert given == ["phone", preset, "up"]


def test_a_preset_of_two_ways_is_one_in_a_script_and_on_the_wire() -> None:
    change = SetConditions.of("phone", LinkConditions.NB_IOT, for_s=3.0)
    assert change.source(2.0) == "during('2s', '5s').set('phone', LinkConditions.NB_IOT)"
    assert LiveChange.from_dict(change.to_dict()) == change
    assert change.text == (
        "set phone up: latency=418.5ms rate=62kbit down: latency=418.5ms rate=26kbit and nothing else for 3s"
    )
    down = SetConditions.of("phone", LinkConditions.NB_IOT, direction="down")
    assert down == SetConditions.of("phone", LinkConditions.NB_IOT.down, direction="down")


def test_two_ways_without_a_name_are_written_out() -> None:
    written = SetConditions.of("phone", LinkConditions.NB_IOT, loss="2%").source(2.0)
    given: list[Any] = []
    moment = SimpleNamespace(set=lambda *arguments: given.extend(arguments))
    known = {"NetworkConditions": NetworkConditions, "LinkConditions": LinkConditions}
    eval(written, {"at": lambda _: moment, **known})
    up, down = (
        attrs.evolve(each, loss=0.02) for each in (LinkConditions.NB_IOT.up, LinkConditions.NB_IOT.down)
    )
    assert given == ["phone", LinkConditions(up=up, down=down)]
