"""Events in words, and text that others wrote made harmless."""

from __future__ import annotations

from typing import Any

import pytest

from wotemu.cli.screen.base import losses_text
from wotemu.cli.screen.terminal import harmless
from wotemu.scenario.change_text import describe_change, differences, groups_text
from wotemu.scenario.timeline import Change
from wotemu.topology.conditions import NetworkConditions
from wotemu.wording import counted, counted_each, duration, lateness


def change(action: Any, before: Any, after: Any, *, node: str | None = None) -> Change:
    network = None if action == "app" else "field"
    return Change(0, 1.0, action, network, node, "up" if action == "conditions" else None, before, after)


def conditions(before: dict[str, Any], after: dict[str, Any]) -> Change:
    return change("conditions", NetworkConditions(**before).to_dict(), NetworkConditions(**after).to_dict())


@pytest.mark.parametrize(
    ("planned", "words"),
    [
        (conditions({"latency": "20ms"}, {"latency": "1.5s"}), "field up: latency 20ms → 1.5s"),
        (conditions({}, {"loss": "5%", "rate": "1mbit"}), "field up: loss 0% → 5%, rate unlimited → 1mbit"),
        (
            conditions({"rate": "1mbit"}, {"queue": "64K"}),
            "field up: rate 1mbit → unlimited, queue none → 64KiB",
        ),
        (conditions({"loss": 0.1}, {"loss": 0.1}), "field up: as before"),
        (change("partition", [], [["a", "b"], ["c"]]), "field: cut a, b | c"),
        (change("partition", [], [["a"]]), "field: cut a | all others"),
        (change("partition", [["a"]], []), "field: healed"),
        (change("cut", False, True, node="a-1"), "a-1 cut off from field"),
        (change("cut", True, False, node="a-1"), "a-1 back on field"),
        (change("app", "running", "crashed", node="a"), "a: killed"),
        (change("app", "crashed", "running", node="a"), "a: started again"),
    ],
)
def test_a_change_is_described_as_a_person_would_write_it(planned: Change, words: str) -> None:
    assert describe_change(planned) == words


def test_a_plan_s_table_has_a_row_for_each_thing_that_changes() -> None:
    assert differences(conditions({}, {"loss": "5%", "rate": "1mbit"})) == [
        ("loss", "0%", "5%"),
        ("rate", "unlimited", "1mbit"),
    ]
    assert differences(change("partition", [], [["a"]])) == [("partition", "none", "a | all others")]
    assert differences(change("cut", False, True, node="a")) == [("network", "on", "cut off")]
    assert groups_text([["a", "b"], ["c"]]) == "a, b | c"


def test_durations_have_three_digits_in_the_unit_that_suits_them() -> None:
    shown = {0.0: "0 ms", 0.0004: "400 µs", 0.01234: "12.3 ms", 0.9996: "1 s", 1.5: "1.5 s", 150: "2.5 min"}
    assert {seconds: duration(seconds) for seconds in shown} == shown
    assert lateness(-0.001) == "1 ms early"


def test_counts_take_the_plural() -> None:
    assert [counted(n, "node") for n in (0, 1, 2000)] == ["0 nodes", "1 node", "2,000 nodes"]
    assert counted(3, "process", "processes") == "3 processes"
    assert counted_each({"networks": 2, "secrets": 1, "configs": 0}) == "2 networks, 1 secret"
    assert counted_each({}) == "nothing"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with ümläuts → and 漢字", "plain, with ümläuts → and 漢字"),
        ("two\nlines", "two lines"),
        ("tab\there\r", "tab here "),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("bell \x07 del \x7f c1 \x9b", r"bell \x07 del \x7f c1 \x9b"),
        ("turned \u202e round \u2066", r"turned \u202e round \u2066"),
        ("half a pair \ud800", r"half a pair \ud800"),
        ("[bold]markup[/]", "[bold]markup[/]"),
    ],
)
def test_text_of_others_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_losses_of_hundreds_of_roles_are_one_sentence_a_kind() -> None:
    losses = {(f"agent:n-{i}", "logs"): 2 for i in range(300)} | {("gateway:field", "hops"): 1}
    text = losses_text(losses)
    assert text.startswith("600 logs (agent:n-0, ")
    assert text.endswith("1 hops (gateway:field)")
    assert len(text) < 150
    assert losses_text({}) == "none"
