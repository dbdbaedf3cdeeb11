"""``wotemu show``: what a run does now, and the conditions that hold on every hop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import click

from wotemu.cli.completing import EmulationName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option, json_option

if TYPE_CHECKING:
    from wotemu_runtime.control.client import ControlClient
    from wotemu_runtime.control.requests import ConditionsNow, RunStatus


@click.command(short_help="Show what a run does now: time, nodes, conditions of every hop.")
@click.argument("name", type=EmulationName())
@json_option
@debug_option
def show(name: str, as_json: bool, debug: bool) -> None:
    """Show the time since T0 of the run NAME, what its nodes do, and the conditions that hold on every hop.

    Partitions, blocked traffic and faults of nodes that hold are listed before.

    \b
    wotemu show field
    wotemu show field --json | jq .hops

    Hops of a network with the same conditions share a row.
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.running import ask

        status, now = ask(name, _both)
        if as_json:
            print(json.dumps({**attrs.asdict(status), **attrs.asdict(now)}, indent=2))
            return
        from wotemu.cli.screen.run_tables import show_run

        show_run(status, now)


async def _both(client: ControlClient) -> tuple[RunStatus, ConditionsNow]:
    return await client.status(), await client.conditions()
