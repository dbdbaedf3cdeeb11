"""``wotemu ps`` and ``wotemu rm``: list the emulations of this machine and of a swarm, and remove these."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import attrs
import click

from wotemu.cli.completing import SwarmEmulationName
from wotemu.cli.failures import print_error, reporting_errors
from wotemu.cli.options import debug_option
from wotemu.errors import HostError, NotRunningError, WotemuError
from wotemu.wording import counted_each

if TYPE_CHECKING:
    from wotemu_runtime.control.requests import RunStatus
    from wotemu_runtime.runs.emulations import ListedEmulation


@click.command(short_help="List the emulations that run, here and on a swarm.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array; of a swarm, with every service.")
@debug_option
def ps(as_json: bool, debug: bool) -> None:
    """List your runs that a process of this machine drives, then the emulations on the swarm of DOCKER_HOST.

    \b
    wotemu ps
    DOCKER_HOST=ssh://manager wotemu ps

    The swarm's list also has what is left over from crashed runs. MADE BY is run for `wotemu run`, stack for
    `docker stack deploy`. COORDINATOR is the process that drives the run; none if that died: then
    `wotemu attach` takes the run over, or `wotemu rm` removes it. Without DOCKER_HOST, a machine that has no
    swarm is no error.
    """
    with reporting_errors(debug=debug):
        import asyncio

        here = asyncio.run(_here())
        if not as_json:
            _print_here(here)
        found = asyncio.run(_on_swarm(bool(here)))
        if as_json:
            print(json.dumps([*map(_as_dict, here), *_swarm_dicts(found)], indent=2))
        elif found:
            if here:
                print()
            _print_table(found)


async def _here() -> list[RunStatus]:
    """The runs of this user that a process of this machine drives."""
    import asyncio

    from wotemu_runtime.control.client import ControlClient, control_names

    asked = (ControlClient(name).status() for name in control_names())
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, WotemuError) and not isinstance(answer, NotRunningError):
            print_error(answer)  # a run of another version; the others are listed all the same
        elif isinstance(answer, BaseException) and not isinstance(answer, WotemuError):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


async def _on_swarm(is_any_here: bool) -> list[ListedEmulation]:
    """The emulations on the swarm; without one that was asked for by DOCKER_HOST, none."""
    try:
        from wotemu_runtime.runs.emulations import list_emulations

        return await list_emulations()
    except HostError as error:
        if "DOCKER_HOST" in os.environ:
            raise
        if not is_any_here:
            print("no emulation of yours runs on this machine", file=sys.stderr)
            print(f"no swarm: {error.message}", file=sys.stderr)
        return []


def _as_dict(status: RunStatus) -> dict[str, Any]:
    return {"on": "machine", **attrs.asdict(status)}


def _swarm_dicts(found: list[ListedEmulation]) -> list[dict[str, Any]]:
    return [{"on": "swarm", **each.to_dict()} for each in found]


def _print_here(here: list[RunStatus]) -> None:
    if here:
        from wotemu.cli.screen.run_tables import runs_table
        from wotemu.cli.screen.tables import table_console

        table_console().print(runs_table(here))


def _print_table(found: list[ListedEmulation]) -> None:
    from wotemu.cli.screen.tables import add_row, columns, table_console

    table = columns("NAME", "MADE BY", "TASKS", "AGE", "COORDINATOR", "MACHINES", ruled=False)
    for each in found:
        inventory = each.inventory
        age_s = max(0.0, time.time() - inventory.created)  # by the manager's clock, which may be ahead
        machines = ", ".join(inventory.nodes) or "-"
        add_row(
            table,
            *(inventory.name, inventory.made_by, tasks_text(each)),
            *(age_text(age_s), each.coordinator, machines),
        )
    table_console().print(table)


def tasks_text(each: ListedEmulation) -> str:
    """``6/6 running``; with the services that lack some, or what is left where there are none."""
    inventory = each.inventory
    if not inventory.services:
        return f"left over: {counted_each(inventory.held)}"
    complete = sum(service.complete for service in inventory.services)
    text = f"{inventory.running}/{inventory.desired} running"
    text += f", {complete} complete" if complete else ""
    lacking = [service for service in inventory.services if not service.is_whole]
    return text + "".join(f", {each.name} {each.running}/{each.desired}" for each in lacking)


def age_text(seconds: float) -> str:
    """The two largest units: ``42s``, ``3m 20s``, ``2h 5m``, ``4d 3h``."""
    whole = int(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part}{smaller}"
    return f"{whole}s"


@click.command(short_help="Remove emulations from a swarm.")
@click.argument("names", metavar="NAME...", nargs=-1, type=SwarmEmulationName(orphaned=False))
@click.option("--all", "everything", is_flag=True, help="Remove all emulations that wotemu ps lists.")
@click.option("--force", is_flag=True, help="Remove also emulations that a wotemu run still drives.")
@debug_option
def rm(names: tuple[str, ...], everything: bool, force: bool, debug: bool) -> None:
    """Remove emulations from the swarm of DOCKER_HOST: everything that carries their labels.

    This includes what crashed runs and incomplete stacks left. Run directories stay; records that wait on an
    event bus are lost with it.
    """
    with reporting_errors(debug=debug):
        if bool(names) == everything:
            raise click.UsageError("give either NAMEs, or --all")
        import asyncio

        from wotemu.cli.screen.waiting import waiting
        from wotemu_runtime.runs.emulations import remove_emulations

        try:
            with waiting() as show:
                show("asking the swarm")
                removing = remove_emulations(
                    list(names),
                    everything=everything,
                    force=force,
                    on_begin=lambda found: show(
                        f"removing {', '.join(found)}: containers may take 10 s to end"
                    ),
                )
                removed = asyncio.run(removing)
        except HostError as error:
            if here := _hint_of_local_runs(names):
                error.hint = here
            raise
        for name, counts in removed.items():
            print(f"{name}: removed {counted_each(counts)}")
        if not removed:
            print("no emulations are on this swarm", file=sys.stderr)


def _hint_of_local_runs(names: tuple[str, ...]) -> str | None:
    """What ends the runs of this machine, or removes their records, that are meant by these names."""
    from wotemu_runtime.control.socket_path import control_names

    if running := [name for name in control_names() if name in names]:
        return f"rm is for a swarm; a run of this machine is ended by wotemu stop {running[0]}"
    from wotemu.cli.local_runs import RUNS

    recorded = [RUNS / name for name in names if (RUNS / name / "manifest.json").is_file()]
    return f"rm is for a swarm; a record is its folder: rm -r {recorded[0]}" if recorded else None
