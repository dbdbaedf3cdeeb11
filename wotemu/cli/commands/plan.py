"""``wotemu plan``: show the topology, its conditions and the timeline, and start nothing."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from wotemu.cli.completing import DeploymentFile
from wotemu.cli.failures import reporting_errors
from wotemu.cli.loading import check_plan, load_and_resolve
from wotemu.cli.options import (
    checked_engine_option,
    debug_option,
    duration_option,
    seed_option,
    shaper_option,
)
from wotemu.units import Seconds
from wotemu.wording import counted

if TYPE_CHECKING:
    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver
    from wotemu_runtime.engines.local.cgroups.limits import PlanLimits


@click.command(short_help="Show a deployment's topology, conditions and timeline, without running it.")
@click.argument("path", metavar="FILE", type=DeploymentFile())
@duration_option
@seed_option
@checked_engine_option
@shaper_option
@click.option("--html", metavar="FILE", help="Write a page with a chart of each hop's conditions over time.")
@click.option("--json", "as_json", is_flag=True, help="Print the timeline, topology and warnings as JSON.")
@click.option(
    "--as-yaml", is_flag=True, help="Print the deployment as a YAML file, which is read without running code."
)
@click.option("--as-json", "as_json_form", is_flag=True, help="Print it as a JSON file of the same form.")
@click.option("--all", "whole", is_flag=True, help="Print every change; by default, at most 200.")
@debug_option
def plan(
    path: str,
    duration: Seconds | None,
    seed: int | None,
    engine: str,
    shaper: str,
    html: str | None,
    as_json: bool,
    as_yaml: bool,
    as_json_form: bool,
    whole: bool,
    debug: bool,
) -> None:
    """Show the topology of the FILE, each hop's conditions at T0, and its scenario's timeline.

    Nothing is started. What a run with this engine and shaper would refuse is refused here, too, such as
    programs that are not there, and faults that can't be imposed. The same file, duration and seed always
    give the same timeline, with the same hash.

    \b
    wotemu plan deployment.py
    wotemu plan deployment.py --as-yaml > deployment.yml

    What only Python can say is refused as YAML.
    """
    if as_json + as_yaml + as_json_form > 1:
        raise click.UsageError("give one of --json, --as-yaml and --as-json")
    is_form = as_yaml or as_json_form
    with reporting_errors(debug=debug):
        deployment, resolver = load_and_resolve(path, duration, seed, as_json=as_json or is_form)
        limits = check_plan(deployment, resolver, engine, shaper)
        if html is not None:
            _write_page(Path(html), deployment, resolver)
        if as_json:
            click.echo(json.dumps(_json(deployment, resolver, limits), indent=1))
            return
        if is_form:
            click.echo(_form(deployment, duration, seed, "yaml" if as_yaml else "json"), nl=False)
            return
        _show(deployment, resolver, whole=whole)
        if limits is not None:
            _show_limits(limits)
        if html is not None:
            from wotemu.cli.screen.terminal import console, path_link

            console().print(path_link(Path(html)))


def _json(deployment: Deployment, resolver: Resolver, limits: PlanLimits | None) -> dict[str, Any]:
    from wotemu.topology.to_json import topology_to_json

    return {
        **resolver.timeline.to_dict(),
        "topology": topology_to_json(deployment.topology),
        "warnings": resolver.warnings,
        "devices": list(limits.devices) if limits else [],
        "unenforced": list(limits.unenforced) if limits else [],
    }


def _show_limits(limits: PlanLimits) -> None:
    from rich.text import Text

    from wotemu.cli.screen.tables import table_console
    from wotemu.cli.screen.terminal import harmless

    out = table_console()
    for sentence in limits.devices:
        out.print(Text(harmless(sentence)))
    for sentence in limits.unenforced:
        out.print(Text.assemble(("not enforced: ", "yellow"), harmless(sentence)))


def _form(
    deployment: Deployment, duration: Seconds | None, seed: int | None, language: Literal["yaml", "json"]
) -> str:
    from wotemu.forms.written_deployment import written_form

    scenario = deployment.scenario.overridden(duration=duration, seed=seed)
    return written_form(deployment.topology, scenario, file=deployment.path, language=language)


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

    from wotemu.cli.screen.tables import table_console
    from wotemu.cli.screen.terminal import harmless
    from wotemu.cli.screen.timeline_tables import (
        guard_line,
        guard_table,
        objectives_table,
        timeline_table,
    )
    from wotemu.cli.screen.topology_tables import hops_table, members_table

    timeline, out = resolver.timeline, table_console()
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
    if timeline.objectives:
        out.print(objectives_table(timeline.objectives))
    for warning in resolver.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), harmless(warning)))
