"""``wotemu list``: the runs that are recorded here."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option

if TYPE_CHECKING:
    from wotemu.cli.local_runs import LocalRun


@click.command("list", short_help="List the runs that are recorded here, with their verdicts.")
@click.argument("folder", metavar="[DIR]", default="runs", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@debug_option
def list_(folder: Path, as_json: bool, debug: bool) -> None:
    """List the runs whose directories are in DIR (default: runs), the newest last.

    \b
    wotemu list
    wotemu open quickstart                  # the report of one

    LENGTH is from T0 to the run's end. VERDICT is its certificate's.
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.local_runs import RUNS, folders_of_runs, local_runs
        from wotemu.cli.screen.terminal import harmless
        from wotemu.errors import InputError
        from wotemu.wording import counted

        if folder != RUNS and not folder.is_dir():
            raise InputError("there is no such folder", where=str(folder))
        found, folders = local_runs(folder), folders_of_runs(folder)
        if as_json:
            print(json.dumps([run.to_dict() for run in found], indent=1))
        elif found or folders:
            if found:
                _print_table(found)
            for each, count in folders.items():
                click.echo(harmless(f"{counted(count, 'run')} in {each}: wotemu list {each}"))
        else:
            print(f"no runs in {folder}; wotemu run FILE makes one", file=sys.stderr)


def _print_table(found: list[LocalRun]) -> None:
    from wotemu.cli.screen.tables import add_row, columns, table_console
    from wotemu.wording import duration

    table = columns("NAME", "STARTED", "LENGTH", "STATUS", "VERDICT", "SIZE", ruled=False)
    for run in found:
        started = "-" if run.started is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
        length = "-" if run.length_s is None else duration(run.length_s)
        add_row(table, run.name, started, length, run.status, run.verdict or "-", size_text(run.bytes))
    table_console().print(table)


def size_text(count: int) -> str:
    """Bytes in words: ``812 B``, ``3.4 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB" if size < 999.5 else f"{size:.0f} GB"
