"""``wotemu plan``: what a run would do, without running it."""

from __future__ import annotations

import contextlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wotemu.cli.commands.run import Duration
from wotemu.cli.failures import reporting_errors
from wotemu.units import Seconds
from wotemu.wording import counted

if TYPE_CHECKING:
    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver

PIPE_WIDTH = 140
"""Characters a line has on a pipe or in a file, where there is no terminal to ask."""


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
    from wotemu_report.planned.plan_page import plan_page

    page = plan_page(
        deployment.path.stem, deployment.topology, resolver.timeline, resolver.warnings, version("wotemu")
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"it can't be written: {error.strerror or error}", where=str(path)) from error


def _show(deployment: Deployment, resolver: Resolver, *, whole: bool) -> None:
    from rich.text import Text

    from wotemu.cli.screen.terminal import console, harmless
    from wotemu.cli.screen.timeline_tables import guard_line, guard_table, timeline_table
    from wotemu.cli.screen.topology_tables import hops_table, members_table

    timeline, out = resolver.timeline, console()
    if not out.is_terminal:
        out.width = max(out.width, PIPE_WIDTH)
    head = (
        f"{deployment.path.name}: {Seconds(timeline.duration_s)}, {counted(len(timeline.changes), 'change')}"
    )
    out.print(Text.assemble((head, "bold"), (f", seed {timeline.seed}, hash {timeline.hash}", "dim")))
    out.print(members_table(deployment.topology))
    out.print(hops_table(deployment.topology))
    out.print(timeline_table(timeline, whole=whole))
    for guard in timeline.guards:
        out.print(guard_line(guard))
        if guard.changes:
            out.print(guard_table(guard))
    for warning in resolver.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), harmless(warning)))
