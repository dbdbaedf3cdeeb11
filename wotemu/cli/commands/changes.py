"""Shared by the commands that change a run while it goes on: how a change is made and shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs
import click

from wotemu.cli.completing import EmulationName, NodeName
from wotemu.cli.failures import reporting_errors
from wotemu.errors import ScenarioError
from wotemu.units import Seconds
from wotemu.wording import counted, lateness

if TYPE_CHECKING:
    from wotemu_runtime.control.live_changes import LiveChange
    from wotemu_runtime.control.requests import Changed

name_argument = click.argument("name", type=EmulationName())
nodes_argument = click.argument("nodes", metavar="NODE...", nargs=-1, required=True, type=NodeName())


def make(name: str, change: Callable[[], LiveChange], *, as_json: bool, debug: bool) -> None:
    """Make a change, wait until it holds, and print how it went.

    Args:
        name: The run's name.
        change: Makes the change of what was typed.
        as_json: Print what the run answered as JSON.
        debug: Show tracebacks of errors.
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.running import ask

        # Made only once it is connected: a run that is not there is the larger mistake.
        changed = ask(name, lambda client: client.change(change()))
        if as_json:
            print(json.dumps(attrs.asdict(changed)))
        else:
            from wotemu.cli.screen.terminal import console, harmless

            console().print(harmless(changed_text(changed)))
        changed.check()


def makes_change(change: Callable[..., LiveChange]) -> Callable[..., None]:
    """Make the function of a command of one that makes a change, from all that was typed but the run's name.

    The command also has `name_argument`, ``--json`` and ``--debug``.
    """

    @functools.wraps(change)
    def run(name: str, *, as_json: bool, debug: bool, **typed: Any) -> None:
        make(name, lambda: change(**typed), as_json=as_json, debug=debug)

    return run


def changed_text(changed: Changed) -> str:
    """``+12.345 set backbone latency=200ms: 4 changes, the latest 1.2 ms late``."""
    if not changed.changes:
        return f"{changed.at_s:+.3f} {changed.text}: it was so already, nothing is changed"
    late = "" if changed.late_s is None else f", the latest {lateness(changed.late_s)}"
    return f"{changed.at_s:+.3f} {changed.text}: {counted(changed.changes, 'change')}{late}"


def names_in(text: str) -> list[str]:
    """Names with commas between them.

    Raises:
        ScenarioError: One is empty.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ScenarioError(f"{text!r} has an empty name in it", hint="write names with commas: a,b")
    return names


def all_names(texts: Iterable[str]) -> list[str]:
    """The names of several such texts."""
    return [name for text in texts for name in names_in(text)]


def seconds_of(lasting: Seconds | None) -> float | None:
    """How long a change is to hold, as a change has it."""
    return None if lasting is None else float(lasting)
