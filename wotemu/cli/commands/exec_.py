"""``wotemu exec`` and ``wotemu shell``: run a command in a node of a run."""

from __future__ import annotations

import sys

import click

from wotemu.cli.completing import EmulationName, NodeName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash -i; exec sh -i")


@click.command(
    "exec",
    short_help="Run a command in a node.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("name", type=EmulationName())
@click.argument("node", type=NodeName())
@click.argument("command", metavar="-- CMD...", nargs=-1, type=click.UNPROCESSED)
@debug_option
def exec_(name: str, node: str, command: tuple[str, ...], debug: bool) -> None:
    """Run CMD in a NODE of the run NAME: in its network, and as its app's user.

    \b
    wotemu exec field phone-2 -- ping -c3 sensor
    wotemu exec field sensor -- sh -c 'cat > settings.json' < settings.json

    Standard input is passed on as CMD reads it, and what it prints comes as it does. Ctrl-C and SIGTERM are
    passed on; the second one kills it. It ends with the node's app.

    Exit code: that of CMD, or 128 and the number of the signal that killed it; 127 where the node
    has no such program; 2 where it could not be run at all.
    """
    _execute(name, node, _given(command), is_terminal=False, debug=debug)


@click.command(
    short_help="Open a shell, or another program with a terminal, in a node.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("name", type=EmulationName())
@click.argument("node", type=NodeName())
@click.argument("command", metavar="[-- CMD...]", nargs=-1, type=click.UNPROCESSED)
@debug_option
def shell(name: str, node: str, command: tuple[str, ...], debug: bool) -> None:
    """Open a terminal in a NODE of the run NAME: with bash, or sh where there is none, or with CMD.

    \b
    wotemu shell field phone-2
    wotemu shell field phone-2 -- top

    Ctrl-C goes to the program. Exit code: that of the shell or CMD.
    """
    with reporting_errors(debug=debug):
        from wotemu.errors import InputError

        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            hint = f"wotemu exec {name} {node} -- CMD needs none"
            raise InputError("a shell needs a terminal, and this is none", where="wotemu shell", hint=hint)
    _execute(name, node, _given(command) if command else SHELL, is_terminal=True, debug=debug)


def _given(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command without the ``--`` before it."""
    found = command[1:] if command[:1] == ("--",) else command
    if not found:
        raise click.UsageError("no command is given: write -- ping -c3 sensor")
    return found


def _execute(name: str, node: str, command: tuple[str, ...], *, is_terminal: bool, debug: bool) -> None:
    with reporting_errors(debug=debug):
        from wotemu.cli.remote_command import run_remote

        sys.exit(run_remote(name, node, command, is_terminal=is_terminal))
