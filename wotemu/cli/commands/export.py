"""``wotemu export``: the tables and figures of a run in the formats of other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from wotemu.cli.completing import FigureName, RunName, TableName
from wotemu.cli.failures import print_message, reporting_errors
from wotemu.cli.options import debug_option
from wotemu.errors import InputError

if TYPE_CHECKING:
    from wotemu.recorded_run import RecordedRun
    from wotemu_report.blocks import Section
    from wotemu_report.recorded.run_data import RunData

T = TypeVar("T")

PICTURES = ("svg", "png")
BINARY = ("parquet", "png")
WHOLE = ("junit", "openmetrics")
"""Formats of a whole run."""
FORMATS = ("json", "csv", "parquet", *WHOLE, *PICTURES)


class Wanted(NamedTuple):
    """The command line, parsed."""

    run: str
    form: str
    table: str | None
    figure: str | None
    out: Path | None


@click.command(short_help="Export the tables and figures of a run to other programs.")
@click.argument("run", type=RunName())
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="json",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--table", type=TableName(), metavar="T", help="Export this table of records alone, such as interactions."
)
@click.option("--figure", type=FigureName(), metavar="F", help="Export this figure of the report alone.")
@click.option("--out", metavar="PATH", help="The file or folder to write.  [default: stdout]")
@click.option("--list", "listing", is_flag=True, help="List the run's tables and figures instead.")
@debug_option
def export(
    run: str,
    form: str,
    table: str | None,
    figure: str | None,
    out: str | None,
    listing: bool,
    debug: bool,
) -> None:
    """Export RUN, a run's directory or its name under runs/, also one that still runs.

    \b
    wotemu export quickstart --format csv --out tables     # every table
    wotemu export quickstart --format parquet --table flows --out flows.parquet
    wotemu export quickstart --list
    wotemu export quickstart --format svg --figure system-cpu-per-node --out a.svg

    json is the whole report, or an array of rows with --table or --figure. Each row of a table has `s`
    (seconds since T0), `phase` and `group` (the node of the topology). docs/export.md describes all of it.
    """
    with reporting_errors(debug=debug):
        if table is not None and figure is not None:
            raise click.UsageError("give either --table or --figure")
        from wotemu.cli.local_runs import found_run
        from wotemu.recorded_run import RecordedRun

        wanted = Wanted(run, form, table, figure, None if out is None else Path(out))
        recorded = RecordedRun(found_run(run))
        if listing:
            _list(recorded)
            return
        _check(wanted)
        _exporter(wanted)(recorded, wanted)


def _check(wanted: Wanted) -> None:
    """Refuse what can't be put where it is wanted, before anything is read."""
    if wanted.form in PICTURES and wanted.table is not None:
        raise InputError(
            "a table is no picture", where=f"--format {wanted.form}", hint="give --figure, or csv or parquet"
        )
    is_whole = wanted.table is None and wanted.figure is None
    if wanted.form in WHOLE and not is_whole:
        raise InputError(
            "it is of the whole run", where=f"--format {wanted.form}", hint="leave --table and --figure out"
        )
    if is_whole and wanted.form not in ("json", *WHOLE) and wanted.out is None:
        raise InputError(
            "it takes several files",
            where=f"--format {wanted.form}",
            hint="give --out FOLDER, or choose one with --table or --figure",
        )
    if wanted.out is None and wanted.form in BINARY and sys.stdout.isatty():
        raise InputError(
            "it is no text for a terminal", where=f"--format {wanted.form}", hint="give --out, or a pipe"
        )


def _exporter(wanted: Wanted) -> Callable[[RecordedRun, Wanted], None]:
    if wanted.form in WHOLE:
        return _junit if wanted.form == "junit" else _openmetrics
    if wanted.table is not None:
        return _one_table
    if wanted.figure is not None:
        return _one_figure
    if wanted.form == "json":
        return _report
    return _all_pictures if wanted.form in PICTURES else _all_tables


def _one_table(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import file_for
    from wotemu_report.export.files import write_frame

    name = str(wanted.table)
    frame = run.exported(name)
    with file_for(wanted.out, f"{name}.{wanted.form}") as path:
        write_frame(frame, path, wanted.form, name)  # type: ignore[arg-type]  # a picture was refused above


def _all_tables(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import folder_for
    from wotemu_report.export.data_package import FILE, data_package
    from wotemu_report.export.files import write_frame

    written, damaged = {}, {}
    with folder_for(_out(wanted)) as folder:
        for name in run.tables:
            path = folder / f"{name}.{wanted.form}"
            try:
                frame = run.exported(name)
                write_frame(frame, path, wanted.form, name)  # type: ignore[arg-type]  # no picture
            except InputError as error:
                path.unlink(missing_ok=True)
                damaged[name] = str(error)
            else:
                written[name] = (path.name, frame.collect_schema())
        (folder / FILE).write_text(json.dumps(data_package(run.name, written, damaged), indent=1) + "\n")
    for name, why in damaged.items():
        print_message(f"the table {name} is left out: {why}", title="Warning: ")
    click.echo(wanted.out)


def _one_figure(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import file_for
    from wotemu_report.export.figures import figure_named, figures

    name = str(wanted.figure)
    block = figure_named(name, figures(_sections(run)))
    write = _figure_writer(name, block, wanted.form)
    with file_for(wanted.out, f"{name}.{wanted.form}") as path:
        write(path)


def _figure_writer(name: str, block: Any, form: str) -> Callable[[Path], object]:
    from wotemu_report.blocks import Figure
    from wotemu_report.export.figures import frame_of, png, svg
    from wotemu_report.export.files import write_frame

    if form not in PICTURES:
        return lambda path: write_frame(frame_of(block).lazy(), path, form, name)  # type: ignore[arg-type]
    if not isinstance(block, Figure):
        raise InputError(
            f"it is a {block.KIND}, not a chart", where=f"--figure {name}", hint="choose json, csv or parquet"
        )
    if form == "svg":
        return lambda path: path.write_text(svg(block), encoding="utf-8")
    return lambda path: path.write_bytes(png(block))


def _all_pictures(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import folder_for
    from wotemu_report.blocks import Figure
    from wotemu_report.export.figures import figures

    charts: Mapping[str, Any] = figures(_sections(run))
    with folder_for(_out(wanted)) as folder:
        for name, block in charts.items():
            if isinstance(block, Figure):
                _figure_writer(name, block, wanted.form)(folder / f"{name}.{wanted.form}")
    click.echo(wanted.out)


def _report(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import file_for
    from wotemu.emulation.reports import report_json

    text = report_json(run.run_dir)
    with file_for(wanted.out, "report.json") as path:
        path.write_text(text + "\n", encoding="utf-8")


def _junit(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import file_for
    from wotemu_report.export.as_junit import as_junit
    from wotemu_report.objectives.evaluate import evaluate

    if not run.timeline.objectives:
        raise InputError(
            "the run has no objectives",
            where="--format junit",
            hint='write Scenario(expect=[expect(p95("readproperty") < "500ms")])',
        )
    text = _read(run, lambda data: as_junit(data, evaluate(data)))
    with file_for(wanted.out, "junit.xml") as path:
        path.write_text(text, encoding="utf-8")


def _openmetrics(run: RecordedRun, wanted: Wanted) -> None:
    from wotemu.cli.output import file_for
    from wotemu_report.export.openmetrics import write_openmetrics

    with file_for(wanted.out, "metrics.txt") as path:
        write_openmetrics(run.exported, run.manifest, run.timeline, path)


def _list(run: RecordedRun) -> None:
    from wotemu_report.export.figures import figures

    click.echo("Tables:")
    for name in run.tables:
        click.echo(f"  {name}")
    click.echo("Figures:")
    for name, block in figures(_sections(run)).items():
        click.echo(f"  {name} ({'chart' if block.KIND == 'figure' else block.KIND})")


def _sections(run: RecordedRun) -> list[Section]:
    from wotemu_report.sections import sections

    return _read(run, sections)


def _read(run: RecordedRun, work: Callable[[RunData], T]) -> T:
    """What `work` makes of a run whose tables are there, also where it still runs."""
    from wotemu_report.recorded.run_data import reading
    from wotemu_runtime.recording.run_directory import is_being_recorded, tabulate

    goes_on = is_being_recorded(run.run_dir)
    return reading(run.run_dir, work, tabulate(run.run_dir), goes_on=goes_on)


def _out(wanted: Wanted) -> Path:
    """Where several files go; `_check` has refused stdout."""
    assert wanted.out is not None  # noqa: S101  # for mypy
    return wanted.out
