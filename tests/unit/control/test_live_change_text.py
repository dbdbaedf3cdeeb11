"""What a change is called, for people."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu_runtime.control.live_changes import SetConditions


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
