"""``wotemu doctor``: what this machine has of what WoTemu can use, and what to do about the rest."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option
from wotemu.errors import EXIT_BAD_INPUT

if TYPE_CHECKING:
    from rich.table import Table

    from wotemu_runtime.doctor.check import Check, State

_WIDE = 110
"""Columns of a terminal from which on there is room for what each check is for."""
_BETWEEN, _EDGES = 3, 2
"""Characters between two columns, and at both ends of a row."""
_STYLES: dict[State, str] = {"OK": "green", "limited": "yellow", "missing": "red"}


@click.command(short_help="Check what this machine can run, and say what to do about the rest.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@debug_option
def doctor(as_json: bool, debug: bool) -> None:
    """Check this machine: kernel, namespaces, TUN, NetEm, control groups, limits, programs, clock, Docker.

    OK is all that could be wished for; limited means that runs work, with less; missing is not there. Exits
    with 0 where the local engine can run, and with 2 where it can't. What is tried is removed again.
    """
    with reporting_errors(debug=debug):
        import asyncio

        from wotemu_runtime.doctor.check import can_run_locally
        from wotemu_runtime.doctor.examination import examine

        checks = asyncio.run(examine())
        can_run = can_run_locally(checks)
        if as_json:
            each = [check.to_dict() for check in checks]
            click.echo(json.dumps({"can_run_locally": can_run, "checks": each}, indent=2))
        else:
            show(checks)
        if not can_run:
            sys.exit(EXIT_BAD_INPUT)


def show(checks: list[Check]) -> None:
    """Print a row for each check, and below what to do about those that are not OK."""
    from rich.text import Text

    from wotemu.cli.screen.tables import table_console
    from wotemu.cli.screen.terminal import harmless

    out = table_console()
    out.print(_table(checks, out.width))
    todo = [check for check in checks if check.remedy]
    for check in todo:
        style = _STYLES[check.state]
        out.print(Text.assemble((f"{check.name}: ", style), harmless(check.remedy)), soft_wrap=False)
    if todo:
        out.print()
    if blocking := [check for check in checks if check.blocks]:
        names = ", ".join(check.name for check in blocking)
        out.print(Text(f"The local engine can't run here; it needs: {names}.", style="bold red"))
    else:
        out.print(Text("The local engine can run here.", style="bold"))


def _table(checks: list[Check], width: int) -> Table:
    """The table of the checks; on a narrow terminal, only those that are not OK say what they are for."""
    from rich.text import Text

    from wotemu.cli.screen.tables import columns, wrapped
    from wotemu.cli.screen.terminal import harmless

    is_wide = width >= _WIDE
    table = columns("", "state", "found", *(["what it is for"] if is_wide else []))
    named = max((len(check.name) for check in checks), default=0)
    left = width - named - max(map(len, _STYLES)) - _EDGES - _BETWEEN * (3 if is_wide else 2)
    room = left // 2 if is_wide else left
    for check in checks:
        found, purpose = (wrapped(harmless(text), room) for text in (check.found, check.purpose))
        cells = [Text(harmless(check.name)), Text(check.state, style=_STYLES[check.state])]
        if is_wide:
            cells += [Text(found), Text(purpose, style="dim")]
        elif check.state == "OK":
            cells.append(Text(found))
        else:
            cells.append(Text.assemble(found, "\n", (purpose, "dim")))
        table.add_row(*cells)
    return table
