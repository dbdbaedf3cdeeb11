"""``wotemu attach``: take over an emulation whose coordinator died."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.completing import DeploymentFile, SwarmEmulationName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.loading import clean_stdout
from wotemu.cli.options import debug_option, follow_option, follows, json_events_option, quiet_option

if TYPE_CHECKING:
    from wotemu.emulation.reported_run import ReportedRun


@click.command(short_help="Take over an emulation on a swarm whose wotemu run died.")
@click.argument("name", type=SwarmEmulationName(orphaned=True))
@click.option(
    "--path",
    type=DeploymentFile(),
    metavar="FILE",
    help="The deployment's file.  [default: the copy on the swarm]",
)
@follow_option
@quiet_option
@click.option(
    "--out",
    metavar="DIR",
    help="The run directory.  [default: the earlier one, or a new runs/NAME if that is not on this machine]",
)
@json_events_option
@debug_option
def attach(
    name: str,
    path: str | None,
    follow: bool,
    quiet: bool,
    out: str | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Take over the emulation NAME on the swarm of DOCKER_HOST, whose `wotemu run` died.

    Meanwhile the scenario has gone on, and the nodes' records have waited on the event bus. This command
    records them from where the other one stopped, in the same run directory if that is on this machine, and
    continues the run to its end and report as `wotemu run` would have. Records that only a lost run directory
    has are counted as losses.

    It executes the copy of the deployment's Python file that is stored on the swarm; if you don't trust that,
    give --path.

    Exit codes are those of `wotemu run`.
    """
    follow = follows(follow=follow, quiet=quiet)
    made: list[ReportedRun] = []
    with (
        tempfile.TemporaryDirectory(prefix="wotemu-") as code,
        reporting_errors(debug=debug, run_dir=lambda: made[0].run_dir if made else None),
    ):
        from wotemu.cli.session import run_to_end

        made.append(_resumed(name, Path(code), _path(path), _path(out), as_json=as_json))
        sys.exit(run_to_end(made[0], follow=follow, as_json=as_json))


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _resumed(name: str, code: Path, path: Path | None, out: Path | None, *, as_json: bool) -> ReportedRun:
    import asyncio

    from wotemu.cli.screen.waiting import waiting
    from wotemu.emulation.reported_run import ReportedRun
    from wotemu.emulation.run_options import checked_name
    from wotemu_runtime.runs.resumed_run import find_orphaned_run, resume

    with waiting() as show:
        # Where its coordinator has just died, that is known for sure once its lease expires.
        show(f"looking for {name} on the swarm, and whether another process coordinates it")
        orphan = asyncio.run(find_orphaned_run(checked_name(name, "NAME")))
    with clean_stdout(as_json=as_json):
        return ReportedRun.of_run(resume(orphan, code, path=path, out=out))
