"""``wotemu search``: the last value of a parameter at which a deployment's objectives hold."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.completing import DeploymentFile
from wotemu.cli.failures import reporting_errors
from wotemu.cli.loading import clean_stdout
from wotemu.cli.options import (
    debug_option,
    duration_option,
    engine_option,
    json_option,
    seed_option,
    shaper_option,
)
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.emulation.bisection import ParameterRange
    from wotemu.emulation.run_options import EngineName, ShaperName
    from wotemu.emulation.search import Found
    from wotemu_report.comparison.trials import Trial


@click.command(short_help="Find the last value of a parameter at which a deployment's objectives hold.")
@click.argument("path", metavar="FILE", type=DeploymentFile())
@click.option(
    "--param",
    required=True,
    metavar="NAME=LOW..HIGH",
    help="What functions topology(NAME) or scenario(NAME) of the FILE take, such as loss=0..20%.",
)
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="TEXT",
    help='What has to hold, such as "p95(readproperty) < 500ms during fade"; may be repeated.'
    "  [default: the scenario's own]",
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Runs of each value; most count.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0.001, 0.5),
    default=0.05,
    show_default=True,
    help="How close to find it, as a share of the value.",
)
@duration_option
@seed_option
@click.option("--name", help="Name of the runs.  [default: the file's]")
@click.option(
    "--out", metavar="DIR", help="Folder of the runs.  [default: runs/NAME-search, numbered if taken]"
)
@engine_option
@shaper_option
@json_option
@debug_option
def search(
    path: str,
    param: str,
    objectives: tuple[str, ...],
    runs: int,
    tolerance: float,
    duration: Seconds | None,
    seed: int | None,
    name: str | None,
    out: str | None,
    engine: EngineName,
    shaper: ShaperName,
    as_json: bool,
    debug: bool,
) -> None:
    """Bisect a parameter of the FILE to the last value at which its objectives hold, and draw the cliff.

    \b
    wotemu search deployment.py --param loss=0..20%
    wotemu search deployment.py --param readers=1..64 --runs 3 \\
        --objective "p95(readproperty) < 500ms"

    Both ends are run first; the objectives have to hold at one of them alone. Each value runs with the same
    seeds. The page index.html in the folder of the runs has a chart of each objective over the parameter.

    Exit codes: 0 found, or the objectives hold everywhere or nowhere, 2 wrong input or a machine that lacks
    something, 3 a run failed or is INVALID, 130 interrupted.
    """
    with reporting_errors(debug=debug):
        from wotemu.emulation.bisection import ParameterRange
        from wotemu.emulation.run_options import name_of
        from wotemu.emulation.search import objective_of
        from wotemu.emulation.search import search as bisect

        parameter = ParameterRange.parse(param)
        low, high = parameter.given(parameter.low), parameter.given(parameter.high)
        say = f"{parameter.name} = {low} and {high} first, then between them; each is reported as it ends"
        click.echo(say, err=True)
        with clean_stdout(as_json=as_json):
            found = asyncio.run(
                bisect(
                    path,
                    parameter,
                    [objective_of(each) for each in objectives],
                    runs=runs,
                    tolerance=tolerance,
                    seed=seed,
                    name=name or name_of(Path(path)),
                    out=out,
                    engine=engine,
                    shaper=shaper,
                    duration=duration,
                    on_trial=lambda trial: _print_trial(parameter, trial),
                )
            )
        _show(found, Path(path).name, as_json=as_json)


def _show(found: Found, file: str, *, as_json: bool) -> None:
    """Write the page, and print what was found, or all of it as JSON."""
    page = _write_page(found, file)
    if as_json:
        click.echo(json.dumps(_json(found), indent=1))
        return
    from wotemu.cli.screen.terminal import harmless, path_link, prose_console

    screen = prose_console()
    screen.print(harmless(verdict_text(found)))
    screen.print(path_link(page))


def verdict_text(found: Found) -> str:
    """What a search found, in a sentence."""
    given, name = found.range.given, found.range.name
    if found.held is not None and found.failed is not None:
        return f"the objectives hold up to {name} = {given(found.held)}, and not at {given(found.failed)}"
    if not any(each.has_figures for each in found.trials):
        return f"no run has a figure of the objectives: {found.trials[0].text}"
    where = "everywhere" if found.trials[0].holds else "nowhere"
    ends = f"{given(found.range.low)} to {given(found.range.high)}"
    return f"the objectives hold {where} from {name} = {ends}: give a wider range"


def _print_trial(parameter: ParameterRange, trial: Trial) -> None:
    from wotemu.cli.screen.terminal import harmless, prose_console

    out, held = prose_console(stderr=True), "hold" if trial.holds else "do not hold"
    out.print(harmless(f"{parameter.name} = {parameter.given(trial.value)}: {held}: {trial.text}"))
    for damage in trial.damaged:
        out.print(harmless(f"  damaged: {damage}"))


def _write_page(found: Found, file: str) -> Path:
    from wotemu_report.comparison.trials import trials_page
    from wotemu_report.page.head import Notice
    from wotemu_report.page.render import save

    title = f"{found.range.name} of {file}"
    said = Notice("warn" if found.held is None else "good", "Found", (verdict_text(found),))
    html = trials_page(title, said, found.range.name, found.range.unit, found.trials, version("wotemu"))
    return save(html, found.folder)


def _json(found: Found) -> dict[str, object]:
    return {
        "schema": 1,
        "folder": str(found.folder),
        "parameter": found.range.name,
        "unit": found.range.unit,
        "held": found.held,
        "failed": found.failed,
        "trials": [each.to_dict() for each in found.trials],
    }
