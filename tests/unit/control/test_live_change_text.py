"""What a change is called, for people."""

from __future__ import annotations

from wotemu.topology.conditions import NetworkConditions
from wotemu_runtime.control.live_changes import SetConditions


def test_a_preset_is_described_by_what_is_not_by_default() -> None:
    change = SetConditions.of("phone", NetworkConditions(latency="40ms"), "up", 3.0, rate="1mbit")
    assert change.text == "set phone up latency=40ms rate=1mbit and nothing else for 3s"
    assert "jitter" in change.source(1.0)  # which sets it back to none


def test_single_conditions_are_described_as_they_were_given() -> None:
    assert SetConditions.of("phone", loss="0%").text == "set phone loss=0%"
