"""Conditions and the states around a change, as the report writes them."""

from __future__ import annotations

import json

import pytest

from wotemu.topology.conditions import GilbertElliott, NetworkConditions
from wotemu_report.state_text import conditions_text, json_state_text


@pytest.mark.parametrize(
    "conditions",
    [
        NetworkConditions(loss_model=GilbertElliott("5%", "50%")),
        NetworkConditions(duplicate="10%"),
        NetworkConditions(rate="0bit"),
        NetworkConditions(rate="1mbit", queue="100p"),
        NetworkConditions(latency="20ms", jitter="5ms", distribution="pareto"),
    ],
)
def test_conditions_read_as_on_the_command_line(conditions: NetworkConditions) -> None:
    assert conditions_text(conditions.to_dict()) == str(conditions)


def test_only_what_imposes_nothing_is_called_unshaped() -> None:
    assert conditions_text(NetworkConditions().to_dict()) == conditions_text(None) == "unshaped"
    assert conditions_text({"latency_s": 0.0, "loss": 0.0, "rate_bps": None}) == "unshaped"


def test_conditions_of_another_version_stay_names_and_values() -> None:
    assert conditions_text({"fog": 3, "latency_s": 0.1, "loss": 0}) == "fog 3, latency_s 0.1"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"cpu": 0.5, "mem_bytes": 64 << 20}, "0.5 cores, 64MiB of memory"),
        ({"cpu": None, "mem_bytes": None}, "none"),
        ({"leave_bytes": 0}, "full, 0B left"),
        ({"leave_bytes": None}, "none"),
        (
            [{"nodes": ["a"], "others": [], "protocol": "tcp", "port": 80, "heading": "out"}],
            "a → all others: tcp port 80",
        ),
    ],
)
def test_what_is_set_on_nodes_and_blocked_is_written_in_words(state: object, text: str) -> None:
    assert json_state_text(json.dumps(state)) == text


def test_the_state_of_a_change_is_written_in_words() -> None:
    conditions = {
        "latency_s": 0.3,
        "jitter_s": 0.15,
        "distribution": "normal",
        "loss": 0.05,
        "rate_bps": 1.5e6,
    }
    assert json_state_text(json.dumps(conditions)) == "latency 300ms, jitter 150ms, loss 5%, rate 1.5mbit"
    assert json_state_text('[["a", "b"], ["c"]]') == "a, b | c"
    assert json_state_text('[["a"]]') == "a | all others"
    states = [json_state_text(text) for text in ("[]", "null", '"killed"', "not JSON")]
    assert states == ["none", "", "killed", "not JSON"]
