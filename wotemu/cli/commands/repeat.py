"""``wotemu repeat``: run a deployment several times, and show how far its figures lie apart."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from wotemu.errors import EXIT_FAILED
from wotemu.units import Seconds
from wotemu.wording import counted

if TYPE_CHECKING:
    from wotemu.emulation.run_options import EngineName, ShaperName
    from wotemu.emulation.sweep import RecordedSweep
    from wotemu.recorded_run import RecordedRun
    from wotemu_report.comparison.spread import Spread

_MAX_ROWS = 40
_SHOWN = ("p50", "p95", "errors", "availability")
"""The figures that are printed; --json has all."""


class Count(click.IntRange):
    """A number of runs."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse it, or fail with the order of the arguments."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is no number of runs: write wotemu repeat 5 deployment.py", param, ctx)
        return super().convert(value, param, ctx)


@click.command(short_help="Run a deployment several times, and show how far its figures lie apart.")
@click.argument("count", metavar="N", type=Count(1, 10_000))
@click.argument("path", metavar="FILE", type=DeploymentFile())
@duration_option
@seed_option
@click.option("--name", help="Name of the runs.  [default: the file's]")
@click.option(
    "--out", metavar="DIR", help="Folder of the runs.  [default: runs/NAME-repeat, numbered if taken]"
)
@engine_option
@shaper_option
@click.option(
    "--parallel",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="K",
    help="How many runs at once, at most one a core. Runs that share cores delay each other's packets:"
    " where it matters, certificates say SUSPECT or INVALID.",
)
@json_option
@debug_option
def repeat(
    count: int,
    path: str,
    duration: Seconds | None,
    seed: int | None,
    name: str | None,
    out: str | None,
    engine: EngineName,
    shaper: ShaperName,
    parallel: int,
    as_json: bool,
    debug: bool,
) -> None:
    """Run the deployment that the FILE describes N times, with seeds that follow from its own.

    \b
    wotemu repeat 5 deployment.py
    wotemu compare runs/before-repeat runs/after-repeat

    Designs are best compared by three runs of each or more. The runs are made one after the other. Shown
    is, for each figure, the median of the runs, the lowest and the highest, and by how much their mean may
    be off (with 95 %).

    Exit codes: 0 done, 2 wrong input or a machine that lacks something, 3 a run failed, 130 interrupted.
    """
    with reporting_errors(debug=debug):
        from wotemu.deployment_file import load
        from wotemu.emulation import repetition
        from wotemu.emulation.run_options import name_of

        with clean_stdout(as_json=as_json):
            deployment = load(path)
        scenario = deployment.scenario.overridden(duration=duration, seed=seed)
        click.echo(f"{counted(count, 'run')} of {scenario.duration}; each is reported as it ends", err=True)
        base = scenario.seed
        runs = asyncio.run(
            repetition.repeat(
                deployment,
                repetition.derived_seeds(base, count),
                name=name or name_of(deployment.path),
                out=out,
                engine=engine,
                shaper=shaper,
                duration=duration,
                parallel=parallel,
                on_run=_print_run,
            )
        )
        _show(runs, as_json=as_json)
        if any(run.status != "done" for run in runs):
            sys.exit(EXIT_FAILED)


def _print_run(run: RecordedRun) -> None:
    click.echo(
        f"{run.run_dir}: seed {run.parameters['seed']}, {run.status}, {run.verdict or run.error}", err=True
    )


def _show(runs: RecordedSweep, *, as_json: bool) -> None:
    from wotemu_report.comparison.spread import spread
    from wotemu_runtime.recording.run_directory import tabulate

    begun = [run for run in runs if run.manifest.t0 is not None]
    found, damaged = spread({run.run_dir: tabulate(run.run_dir) for run in begun})
    verdicts = {run.run_dir.name: run.verdict for run in runs}
    if as_json:
        shown = {
            "schema": 1,
            "folder": str(runs.folder),
            "runs": [
                {
                    **run.parameters,
                    "status": run.status,
                    "verdict": run.verdict,
                    "damages": list(damaged.get(run.run_dir, ())),
                }
                for run in runs
            ],
            "spread": [each.to_dict() for each in found],
        }
        click.echo(json.dumps(shown, indent=1))
        return
    _print_table(found)
    if not_valid := [name for name, verdict in verdicts.items() if verdict != "VALID"]:
        click.echo(f"not VALID: {', '.join(not_valid)}")
    from wotemu.cli.screen.terminal import console, harmless, path_link

    for path, damages in damaged.items():
        for damage in damages:
            click.echo(f"damaged: {harmless(f'{path}: {damage}')}")
    console().print(path_link(Path(runs.folder)))


def _print_table(found: list[Spread]) -> None:
    from rich.table import Table

    from wotemu.cli.screen.tables import table_console
    from wotemu.cli.screen.terminal import harmless
    from wotemu_report.comparison.texts import value_text

    rows = [each for each in found if each.name in _SHOWN]
    table = Table("phase", "node", "operation", "figure", box=None, pad_edge=False)
    for label in ("median", "lowest", "highest", "mean ±"):
        table.add_column(label, justify="right", no_wrap=True)
    for each in rows[:_MAX_ROWS]:
        phase, group, affordance, op, binding = map(harmless, each.subject)
        values = (each.median, min(each.values), max(each.values), each.error)
        operation = f"{affordance} {op} ({binding})" if op else "all"
        table.add_row(phase, group, operation, each.name, *(value_text(each.name, value) for value in values))
    table_console().print(table)
    if len(rows) > _MAX_ROWS:
        click.echo(f"and {len(rows) - _MAX_ROWS} more figures: --json has all")
