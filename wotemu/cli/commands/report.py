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
@click.option(
    "--watch",
    is_flag=True,
    help="Serve the report of a run that goes on, to browsers of this machine that have the address that is"
    " printed; it grows until the run is over.",
)
@click.option("--until-eof", is_flag=True, hidden=True, help="The run is over at the end of stdin.")
@debug_option
def report(
    run: str | None,
    stack: str | None,
    redis_url: str | None,
    out: str | None,
    as_json: bool,
    watch: bool,
    until_eof: bool,
    debug: bool,
) -> None:
    """Write the report of RUN, a run's directory or its name under runs/, also of one that still runs.

    \b
    wotemu report quickstart
    wotemu report runs/quickstart-2 --out report --json
    wotemu report quickstart --watch           # of a run that goes on meanwhile
    wotemu report --stack field --out report   # a stack's, on the swarm

    The JSON has the run's manifest, its phases, and every section of the report with its tables and the data
    of its figures; `python -m pydoc wotemu_report.export.as_json` describes it.
    """
    with reporting_errors(debug=debug):
        if (run is None) == (stack is None and redis_url is None):
            raise click.UsageError("give either RUN, or --stack or --redis-url")
        if watch and (run is None or out is not None or as_json):
            raise click.UsageError("--watch takes RUN alone: the page is served, and no file is written")
        from wotemu.cli.local_runs import found_run

        if run is not None and watch:
            _watch(found_run(run), until_eof=until_eof)
            return
        recorded = found_run(run) if run else _fetched(stack, redis_url)
        if as_json:
            _write_json(recorded, out)
            return
        from wotemu.cli.screen.terminal import console, path_link
        from wotemu.emulation.reports import write_report

        console().print(path_link(write_report(recorded, Path(out) if out else None)))


def _watch(run_dir: Path, *, until_eof: bool) -> None:
    """Serve the report of a run that goes on; of one that is over, say where its report is."""
    from wotemu_runtime.recording.run_directory import is_being_recorded

    if not until_eof and not is_being_recorded(run_dir):
        raise InputError(
            "no run goes on here on this machine",
            where=str(run_dir),
            hint=f"`wotemu open {run_dir}` shows its report",
        )
    from wotemu.emulation.low_priority import yield_to_all

    yield_to_all()  # before what takes time is imported
    import asyncio

    asyncio.run(_served(run_dir, until_eof=until_eof))


async def _served(run_dir: Path, *, until_eof: bool) -> None:
    import asyncio
    import sys

    from wotemu.emulation.watched_run import watch_run

    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(sys.stdin)
        over.set()

    if until_eof:  # nothing is ever written to it
        loop.add_reader(sys.stdin, end)
    await watch_run(run_dir, lambda address: print(address, flush=True), over=over)


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
