"""Options given by environment variables."""

from __future__ import annotations

import json

import click
import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu.cli import main

OPTIONS = [
    (name, option)
    for name, command in main.commands.items()
    for option in command.params
    if isinstance(option, click.Option)
]


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=[f"{n} {o.opts[-1]}" for n, o in OPTIONS])
def test_every_option_has_one_of_its_own_name(name: str, option: click.Option) -> None:
    long = next(each for each in option.opts if each.startswith("--"))
    expected = f"WOTEMU_{name}_{long[2:]}".upper().replace("-", "_")
    assert option.envvar in (expected, "WOTEMU_TOKEN")


def test_one_sets_its_option(invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(TWO_NODES)
    monkeypatch.setenv("WOTEMU_PLAN_JSON", "1")
    assert json.loads(invoke("plan", file).stdout)


def test_one_that_can_not_be_is_refused_by_its_name(
    invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WOTEMU_RUN_DURATION", "soon")
    result = invoke("run", write(TWO_NODES))
    assert result.exit_code == 2
    assert "--duration" in result.stderr
    assert "soon" in result.stderr
