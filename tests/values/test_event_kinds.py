"""Every kind of event that the code emits is declared, with its severity."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from wotemu.records.event_kinds import EVENT_KINDS, severity_of

ROOT = Path(__file__).parents[2]
EMITTERS = {"event", "_event", "tell", "_tell", "say", "Event"}


def emitted() -> Iterator[tuple[str, str]]:
    """Each text with one dot that a call of an emitter has as its first or second argument, and where."""
    for package in ("wotemu", "runtime", "gateways"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in EMITTERS:
                    for argument in node.args[:2]:
                        if isinstance(argument, ast.Constant) and _is_kind(argument.value):
                            yield str(argument.value), f"{path.relative_to(ROOT)}:{node.lineno}"


def _name(function: ast.expr) -> str:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _is_kind(value: object) -> bool:
    return (
        isinstance(value, str) and value.count(".") == 1 and value.replace(".", "").replace("_", "").isalpha()
    )


def test_every_emitted_kind_is_declared() -> None:
    found = dict(emitted())
    assert len(found) > 25, "the search finds them"
    assert {kind: where for kind, where in found.items() if kind not in EVENT_KINDS} == {}


def test_a_kind_of_another_version_is_no_alarm() -> None:
    assert severity_of("moon.landed") == "info"


def test_what_breaks_is_an_error() -> None:
    broken = ("app.error", "app.out_of_memory", "role.lost", "role.silent", "role.unplaced", "run.left")
    assert {severity_of(kind) for kind in broken} == {"error"}
