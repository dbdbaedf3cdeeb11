"""The help: options of a swarm have a heading of their own, and examples fit a terminal."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tests.cli.conftest import Invoke
from wotemu.cli import main

USABLE_ALONE = {"calibrate", "doctor", "list", "open", "ps", "schema"}
"""Commands that need no argument."""


@pytest.mark.parametrize(
    ("command", "options"),
    [("run", ["--keep"]), ("stop", ["--compose-file", "--stack"]), ("report", ["--stack", "--redis-url"])],
)
def test_options_of_a_swarm_have_a_heading_of_their_own(
    invoke: Invoke, command: str, options: list[str]
) -> None:
    text = invoke(command, "--help").stdout
    usual, _, swarm = text.partition("Options on a swarm:")
    usual = usual.partition("\nOptions:")[2]
    assert "--debug" in usual and "--debug" not in swarm
    for option in options:
        assert f"  {option} " in swarm and f"  {option} " not in usual


@pytest.mark.parametrize("command", ["", *main.commands])
def test_no_line_is_wider_than_a_terminal(command: str) -> None:
    shown = CliRunner().invoke(main, [*command.split(), "--help"], terminal_width=80).output
    assert [line for line in shown.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", [name for name in main.commands if name not in USABLE_ALONE])
def test_a_command_without_its_arguments_says_what_is_missing(command: str) -> None:
    result = CliRunner().invoke(main, [command])
    assert (result.exit_code, result.stderr.count("Error: ")) == (2, 1), result.output
    assert isinstance(result.exception, SystemExit)
