"""``wotemu plan``: what a run would do, without running it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import told
from wotemu.cli.run import Duration
from wotemu.units import Seconds

if TYPE_CHECKING:
    from rich.table import Table

    from wotemu.load import Loaded
    from wotemu.scenario import Resolver
    from wotemu.scenario.timeline import Change, Guard, Timeline

SHOWN = 200
"""Changes that the table has without ``--all``: the first ones, and the last ten."""
LAST = 10
PIPE_WIDTH = 140
"""Characters of a line for who reads it from a pipe or a file."""


@click.command(short_help="Show what a deployment's scenario comes to.")
@click.argument("path")
@click.option("--duration", type=Duration(), metavar="TIME", help="How long, such as 90s or 5m.")
@click.option("--seed", type=int, metavar="N", help="What every random choice follows from.")
@click.option("--html", metavar="FILE", help="Write it as a picture: each hop's conditions over time.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--all", "whole", is_flag=True, help="Print every change, however many.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def plan(
    path: str,
    duration: Seconds | None,
    seed: int | None,
    html: str | None,
    as_json: bool,
    whole: bool,
    debug: bool,
) -> None:
    """Resolve the scenario of the Python file PATH to its timeline, and show it with the linter's warnings.

    Nothing is started. The same file, duration and seed always come to the same timeline, with the same hash.
    """
    with told(debug=debug):
        loaded, resolver = _resolved(path, duration, seed, as_json=as_json)
        if html is not None:
            _write_page(Path(html), loaded, resolver)
        if as_json:
            click.echo(json.dumps({**resolver.timeline.to_dict(), "warnings": resolver.warnings}, indent=1))
            return
        _show(loaded, resolver, whole=whole)
        if html is not None:
            from wotemu.cli.terminal import console, path_link

            console().print(path_link(Path(html)))


def _resolved(
    path: str, duration: Seconds | None, seed: int | None, *, as_json: bool
) -> tuple[Loaded, Resolver]:
    from wotemu.load import load
    from wotemu.scenario import Resolver

    # What the user's file prints is not for who parses JSON.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        loaded = load(path)
    return loaded, Resolver(loaded.topology, loaded.scenario.overridden(duration=duration, seed=seed))


def _write_page(path: Path, loaded: Loaded, resolver: Resolver) -> None:
    from wotemu.errors import InputError
    from wotemu_report.planned import plan_page

    page = plan_page(
        loaded.path.stem, loaded.topology, resolver.timeline, resolver.warnings, version("wotemu")
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"it can't be written: {error.strerror or error}", where=str(path)) from error


def _show(loaded: Loaded, resolver: Resolver, *, whole: bool) -> None:
    from rich.text import Text

    from wotemu.cli.terminal import console, harmless
    from wotemu.cli.wording import count

    timeline, out = resolver.timeline, console()
    if not out.is_terminal:
        out.width = max(out.width, PIPE_WIDTH)
    head = f"{loaded.path.name}: {Seconds(timeline.duration_s)}, {count(len(timeline.changes), 'change')}"
    out.print(Text.assemble((head, "bold"), (f", seed {timeline.seed}, hash {timeline.hash}", "dim")))
    if timeline.changes:
        out.print(_table(timeline, whole=whole))
    for guard in timeline.guards:
        out.print(_guard_line(guard))
        if guard.changes:
            out.print(_guard_table(guard))
    for warning in resolver.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), harmless(warning)))


def _table(timeline: Timeline, *, whole: bool) -> Table:
    """The changes in order; a long one's middle is left out."""
    rows = _rows(timeline.changes)
    hidden = 0 if whole or len(rows) <= SHOWN else len(rows) - SHOWN
    table = _columns("t", "phase", "target", "what", "before", "after")
    last_phase = ""
    for number, row in enumerate(rows):
        if hidden and number == SHOWN - LAST:
            table.add_row("…", "", f"{hidden:,} more", "--all shows them", "", "", style="dim")
        if hidden and SHOWN - LAST <= number < len(rows) - LAST:
            continue
        phase = timeline.phase_at(row[0])
        _add(table, row, "" if phase == last_phase else phase)
        last_phase = phase
    return table


def _guard_line(guard: Guard) -> str:
    deadline = "" if guard.deadline_s is None else f" within {Seconds(guard.deadline_s)}"
    return f"guard {guard.id}: once {guard.text}{deadline}, otherwise {guard.otherwise}"


def _guard_table(guard: Guard) -> Table:
    table = _columns("after it", "", "target", "what", "before", "after")
    for row in _rows(guard.changes)[:SHOWN]:
        _add(table, row, "")
    return table


def _columns(*names: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, justify="right" if name in ("t", "after it") else "left", overflow="fold")
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
    from rich.text import Text

    from wotemu.cli.terminal import harmless

    at_s, target, differences = row
    first = (f"{at_s:.6g}", phase, target)
    for what, before, after in differences:
        cells = (*first, what, before, after)
        table.add_row(*(Text(harmless(cell)) for cell in cells))
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
