"""``wotemu ps`` and ``wotemu rm``: what emulations are on a swarm, and their removal."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import reporting_errors
from wotemu.wording import counted_each

if TYPE_CHECKING:
    from wotemu_runtime.runs.emulations import ListedEmulation


@click.command(short_help="List the emulations on a swarm.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array, with every service.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def ps(as_json: bool, debug: bool) -> None:
    """List the emulations on the swarm of DOCKER_HOST, with what is left of those that crashed.

    MADE BY is run, for wotemu run, or stack, for docker stack deploy. COORDINATOR is who drives the run: none
    where that process died, and then `wotemu attach` takes over, and `wotemu rm` removes it.
    """
    with reporting_errors(debug=debug):
        import asyncio

        from wotemu_runtime.runs.emulations import list_emulations

        found = asyncio.run(list_emulations())
        if as_json:
            print(json.dumps([each.to_dict() for each in found], indent=2))
        else:
            _print_table(found)


def _print_table(found: list[ListedEmulation]) -> None:
    rows = [("NAME", "MADE BY", "TASKS", "AGE", "COORDINATOR", "MACHINES")]
    for each in found:
        inventory = each.inventory
        age_s = max(0.0, time.time() - inventory.created)
        rows.append(
            (
                inventory.name,
                inventory.made_by,
                tasks_text(each),
                age_text(age_s),
                each.coordinator,
                ", ".join(inventory.nodes) or "-",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All emulations that wotemu ps lists.")
@click.option("--force", is_flag=True, help="Also those whose wotemu run still drives them.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def rm(names: tuple[str, ...], everything: bool, force: bool, debug: bool) -> None:
    """Remove emulations from the swarm of DOCKER_HOST: everything that carries their labels.

    That is also what a crashed run left, and half-made stacks. What is recorded stays in run directories;
    what waits on an event bus goes with it.
    """
    with reporting_errors(debug=debug):
        if bool(names) == everything:
            raise click.UsageError("give either NAMEs, or --all")
        import asyncio

        from wotemu_runtime.runs.emulations import remove_emulations

        removed = asyncio.run(remove_emulations(list(names), everything=everything, force=force))
        for name, counts in removed.items():
            print(f"{name}: removed {counted_each(counts)}")
        if not removed:
            print("no emulations are on this swarm", file=sys.stderr)
