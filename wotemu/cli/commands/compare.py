"""``wotemu compare``: the same figures of several runs side by side, and how sure each difference is."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.completing import RunName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option, json_option
from wotemu.errors import EXIT_OBJECTIVE_FAILED

if TYPE_CHECKING:
    from wotemu_report.comparison.comparison import Comparison

_MAX_PRINTED = 20
FIGURES = ("p50", "p95", "p99", "errors", "availability", "throughput")
"""`wotemu_report.comparison.FIGURES`, which help has to show without loading what reports need."""


class Percent(click.ParamType[float]):
    """A share, such as ``10%`` or ``0.1``."""

    name = "percent"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse it, or fail as click does."""
        number, percent, _ = value.strip().partition("%")
        try:
            share = float(number) / (100 if percent else 1)
        except ValueError:
            share = math.nan
        if not (0 <= share < math.inf) or (not percent and share >= 1):
            self.fail(f"{value!r} is no share: write 10% or 0.1", param, ctx)
        return share


@click.command(short_help="Compare runs: the same figures side by side, and how sure each difference is.")
@click.argument("runs", nargs=-1, required=True, metavar="A B [C]...", type=RunName())
@click.option("--out", metavar="DIR", help="Write a page of it here, as index.html.")
@json_option
@click.option(
    "--fail-above",
    type=Percent(),
    metavar="SHARE",
    help="Exit with 1 if a figure is surely worse by more than this, such as 10%; of shares, 10 points.",
)
@click.option(
    "--figure",
    "figures",
    type=click.Choice(FIGURES),
    multiple=True,
    help="Compare this figure alone; may be repeated. Fewer figures see smaller differences.",
)
@click.option("--anyway", is_flag=True, help="Compare also runs of other timelines, and INVALID ones.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the resampling.")
@debug_option
def compare(
    runs: tuple[str, ...],
    out: str | None,
    as_json: bool,
    fail_above: float | None,
    figures: tuple[str, ...],
    anyway: bool,
    seed: int,
    debug: bool,
) -> None:
    """Compare runs with the first one, A: each a run, or the folder of several runs of one design.

    \b
    wotemu compare before after
    wotemu compare before after --out page --fail-above 10%
    wotemu compare runs/edge-repeat runs/cloud-repeat --json   # of wotemu repeat

    Durations (p50, p95, p99), errors, availability and throughput are compared by phase, node group and
    operation. docs/compare.md says how sure a difference has to be, and when runs can't be compared.

    Exit codes: 0 done, 1 a figure is surely worse by more than --fail-above, 2 the runs can't be compared.
    """
    with reporting_errors(debug=debug):
        if len(runs) < 2:
            raise click.UsageError("give at least two runs")
        from wotemu.emulation import comparing

        folders = [_folder(each) for each in runs]
        found = comparing.compare(*folders, anyway=anyway, figures=figures or FIGURES, seed=seed)
        if out is not None:
            comparing.write_comparison(found, out)
        if as_json:
            click.echo(json.dumps(found.to_dict(), indent=1))
        else:
            _print(found, out)
        too_bad = [] if fail_above is None else found.worse_by(fail_above)
        if too_bad:
            _print_failure(len(too_bad), float(fail_above or 0))
            sys.exit(EXIT_OBJECTIVE_FAILED)


def _folder(given: str) -> Path:
    """The directory that a user means: of a run, or of runs that `sweep` or `repeat` made."""
    from wotemu.cli.local_runs import RUNS, found_run

    folders = (folder for folder in (Path(given), RUNS / given) if (folder / "sweep.json").is_file())
    return next(folders, None) or found_run(given)


def _print(found: Comparison, out: str | None) -> None:
    from rich.text import Text

    from wotemu.cli.screen.terminal import harmless, path_link, prose_console
    from wotemu_report.comparison.texts import method, sentence, summary

    screen = prose_console()
    for caution in found.cautions:
        screen.print(Text.assemble(("warning: ", "yellow"), harmless(caution)))
    for name, rows in found.differences.items():
        for line in summary(found, name):
            screen.print(Text(harmless(line), style="bold"))
        certain = [each for each in rows if each.verdict in ("worse", "better")]
        for each in sorted(certain, key=lambda each: (each.verdict, abs(each.change or 0)), reverse=True)[
            :_MAX_PRINTED
        ]:
            style = "red" if each.verdict == "worse" else "green"
            screen.print(Text(f"  {harmless(sentence(each))}", style=style))
        if len(certain) > _MAX_PRINTED:
            screen.print(f"  and {len(certain) - _MAX_PRINTED} more: --out DIR and --json have all")
    screen.print(Text(method(found), style="dim"))
    if out is not None:
        screen.print(path_link(Path(out) / "index.html"))


def _print_failure(count: int, limit: float) -> None:
    from wotemu.cli.failures import print_message
    from wotemu.wording import counted

    print_message(f"{counted(count, 'figure')} surely worse by more than {limit * 100:g} %", title="Failed: ")
