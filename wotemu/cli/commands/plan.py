"""``wotemu plan``: what a run would do, without running it."""

from __future__ import annotations

import contextlib
import json
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wotemu.cli.commands.run import Duration
from wotemu.cli.failures import reporting_errors
from wotemu.cli.screen.tables import add_row, columns
from wotemu.units import Seconds

if TYPE_CHECKING:
    from rich.table import Table

    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver
    from wotemu.scenario.timeline import Change, Guard, Phase, Timeline

SHOWN = 200
"""Changes that the table has without ``--all``: the first ones, and the last ten."""
LAST = 10
PIPE_WIDTH = 140
"""Characters of a line for who reads it from a pipe or a file."""


@click.command(short_help="Show what a deployment's scenario comes to.")
@click.argument("path")
@click.option("--duration", type=Duration(), metavar="TIME", help="How long, such as 90s or 5m.")
@click.option("--seed", type=int, metavar="N", help="What every random choice follows from.")
@click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    default="local",
    show_default=True,
    help="Check the apps and programs as a run with this engine does.",
)
@click.option("--html", metavar="FILE", help="Write it as a picture: each hop's conditions over time.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--all", "whole", is_flag=True, help="Print every change, however many.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def plan(
    path: str,
    duration: Seconds | None,
    seed: int | None,
    engine: str,
    html: str | None,
    as_json: bool,
    whole: bool,
    debug: bool,
) -> None:
    """Show the topology of the Python file PATH, each hop's conditions at T0, and its scenario's timeline.

    Nothing is started. What a run would refuse is refused here, too: apps and programs that are not there.
    The same file, duration and seed always come to the same timeline, with the same hash.
    """
    with reporting_errors(debug=debug):
        deployment, resolver = _resolved(path, duration, seed, as_json=as_json)
        _check_programs(deployment, resolver, engine)
        if html is not None:
            _write_page(Path(html), deployment, resolver)
        if as_json:
            click.echo(json.dumps(_json(deployment, resolver), indent=1))
            return
        _show(deployment, resolver, whole=whole)
        if html is not None:
            from wotemu.cli.screen.terminal import console, path_link

            console().print(path_link(Path(html)))


def _resolved(
    path: str, duration: Seconds | None, seed: int | None, *, as_json: bool
) -> tuple[Deployment, Resolver]:
    from wotemu.deployment_file import load
    from wotemu.scenario import Resolver

    # What the user's file prints is not for who parses JSON.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        deployment = load(path)
    return deployment, Resolver(
        deployment.topology, deployment.scenario.overridden(duration=duration, seed=seed)
    )


def _check_programs(deployment: Deployment, resolver: Resolver, engine: str) -> None:
    """Refuse what a run would refuse before anything starts."""
    from wotemu_runtime.planning.planner import make_plan

    make_plan(
        deployment.topology,
        resolver.timeline,
        stack=deployment.path.stem,
        root=deployment.root,
        on_this_machine=engine == "local",
    )


def _json(deployment: Deployment, resolver: Resolver) -> dict[str, Any]:
    topology = deployment.topology.to_dict()
    return {**resolver.timeline.to_dict(), "topology": topology, "warnings": resolver.warnings}


def _write_page(path: Path, deployment: Deployment, resolver: Resolver) -> None:
    from wotemu.errors import InputError
    from wotemu_report.planned.page import plan_page

    page = plan_page(
        deployment.path.stem, deployment.topology, resolver.timeline, resolver.warnings, version("wotemu")
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"it can't be written: {error.strerror or error}", where=str(path)) from error


def _show(deployment: Deployment, resolver: Resolver, *, whole: bool) -> None:
    from rich.text import Text

    from wotemu.cli.screen.narrator import count
    from wotemu.cli.screen.plan_tables import hops_table, members_table
    from wotemu.cli.screen.terminal import console, harmless

    timeline, out = resolver.timeline, console()
    if not out.is_terminal:
        out.width = max(out.width, PIPE_WIDTH)
    head = f"{deployment.path.name}: {Seconds(timeline.duration_s)}, {count(len(timeline.changes), 'change')}"
    out.print(Text.assemble((head, "bold"), (f", seed {timeline.seed}, hash {timeline.hash}", "dim")))
    out.print(members_table(deployment.topology))
    out.print(hops_table(deployment.topology))
    out.print(_table(timeline, whole=whole))
    for guard in timeline.guards:
        out.print(_guard_line(guard))
        if guard.changes:
            out.print(_guard_table(guard))
    for warning in resolver.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), harmless(warning)))


def _table(timeline: Timeline, *, whole: bool) -> Table:
    """Phases and changes in order; the middle of a long timeline is left out."""
    rows = _rows(timeline.changes)
    hidden = 0 if whole or len(rows) <= SHOWN else len(rows) - SHOWN
    table = columns("t", "phase", "target", "what", "before", "after")
    number = 0
    for phase, own in _by_phase(timeline, rows):
        if not own:
            add_row(table, f"{phase.start_s:.6g}", phase.name, "nothing changes", style="dim")
        for place, row in enumerate(own):
            if hidden and number == SHOWN - LAST:
                add_row(table, "…", "", f"{hidden:,} more", "--all shows them", style="dim")
            if not (hidden and SHOWN - LAST <= number < len(rows) - LAST):
                _add(table, row, "" if place else phase.name)
            number += 1
    return table


def _by_phase(timeline: Timeline, rows: list[Row]) -> Iterator[tuple[Phase, list[Row]]]:
    """Each phase with the rows of it; both are in the order of time."""
    starts = [phase.start_s for phase in timeline.phases[1:]]
    ends = [bisect_left(rows, start_s, key=lambda row: row[0]) for start_s in starts]
    for phase, first, last in zip(timeline.phases, [0, *ends], [*ends, len(rows)], strict=True):
        yield phase, rows[first:last]


def _guard_line(guard: Guard) -> str:
    deadline = "" if guard.deadline_s is None else f" within {Seconds(guard.deadline_s)}"
    return f"guard {guard.id}: once {guard.text}{deadline}, otherwise {guard.otherwise}"


def _guard_table(guard: Guard) -> Table:
    table = columns("after it", "", "target", "what", "before", "after")
    for row in _rows(guard.changes)[:SHOWN]:
        _add(table, row, "")
    return table


Row = tuple[float, str, list[tuple[str, str, str]]]
"""When, of what, and each thing that becomes different: what, before, after."""


def _rows(changes: Sequence[Change]) -> list[Row]:
    """The changes in order; what happens to both ways of a link at once is one row."""
    rows: list[Row] = []
    ways: dict[tuple[float, str], int] = {}
    for change in changes:
        place = change.target.removesuffix(" up").removesuffix(" down") if change.direction else ""
        differences, key = _differences(change), (change.at_s, place)
        if place and key in ways and rows[ways[key]][2] == differences:
            rows[ways[key]] = (change.at_s, place, differences)
            continue
        ways[key] = len(rows)
        rows.append((change.at_s, change.target, differences))
    return rows


def _add(table: Table, row: Row, phase: str) -> None:
    """A line for each thing that becomes different."""
    at_s, target, differences = row
    first = (f"{at_s:.6g}", phase, target)
    for what, before, after in differences:
        add_row(table, *first, what, before, after)
        first = ("", "", "")


def _differences(change: Change) -> list[tuple[str, str, str]]:
    """What a change makes different: what, before, after."""
    match change.action:
        case "conditions":
            from wotemu.topology.conditions import NetworkConditions

            was, will = (NetworkConditions.from_dict(side) for side in (change.before, change.after))
            return was.differences(will)
        case "partition":
            return [("partition", _groups(change.before), _groups(change.after))]
        case "cut":
            words = {False: "on", True: "cut off"}
            return [("network", words[change.before], words[change.after])]
        case _:
            return [("app", str(change.before), str(change.after))]


def _groups(groups: list[list[str]]) -> str:
    sides = [", ".join(group) for group in groups]
    return " | ".join([*sides, "others"] if len(sides) == 1 else sides) or "none"
