"""``wotemu report``: write the report of a run that was recorded earlier, here or on a swarm."""

from __future__ import annotations

from pathlib import Path

import click

from wotemu.cli.completing import RunName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import CommandOnSwarm, SwarmOption, debug_option
from wotemu.errors import InputError


@click.command(cls=CommandOnSwarm)
@click.argument("run", required=False, type=RunName())
@click.option(
    "--stack",
    cls=SwarmOption,
    metavar="S",
    help="Fetch the run of this stack from the swarm of DOCKER_HOST first.",
)
@click.option(
    "--redis-url",
    cls=SwarmOption,
    metavar="URL",
    help="Fetch it from this event bus instead: redis://:PASSWORD@HOST:PORT.",
)
@click.option("--out", metavar="DIR", help="Where to write it.  [default: report/ in the run directory]")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Write the report's data as JSON instead, on stdout or as report.json in --out.",
)
@debug_option
def report(
    run: str | None, stack: str | None, redis_url: str | None, out: str | None, as_json: bool, debug: bool
) -> None:
    """Write the report of RUN, a run's directory or its name under runs/, also of one that still runs.

    \b
    wotemu report quickstart
    wotemu report runs/quickstart-2 --out report --json
    wotemu report --stack field --out report    # a stack's run, from the swarm of DOCKER_HOST

    The JSON has the run's manifest, its phases, and every section of the report with its tables and the data
    of its figures; `python -m pydoc wotemu_report.export.as_json` describes it.
    """
    with reporting_errors(debug=debug):
        if (run is None) == (stack is None and redis_url is None):
            raise click.UsageError("give either RUN, or --stack or --redis-url")
        from wotemu.cli.local_runs import found_run

        recorded = found_run(run) if run else _fetched(stack, redis_url)
        if as_json:
            _write_json(recorded, out)
            return
        from wotemu.cli.screen.terminal import console, path_link
        from wotemu.emulation.reports import write_report

        console().print(path_link(write_report(recorded, Path(out) if out else None)))


def _write_json(run_dir: Path, out: str | None) -> None:
    from wotemu.emulation.reports import report_json

    text = report_json(run_dir)
    if out is None:
        print(text)  # not through rich, which would wrap it at the terminal's width
        return
    path = Path(out) / "report.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    except OSError as error:
        raise InputError(
            f"it can't be written: {error.strerror}", where=str(path), hint="name another --out"
        ) from error
    print(path)


def _fetched(stack: str | None, redis_url: str | None) -> Path:
    import asyncio

    from wotemu_runtime.runs.composed_runs import fetch_run

    return asyncio.run(fetch_run(stack=stack, redis_url=redis_url))
