"""``wotemu attach``: takes over an emulation whose coordinator died."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import reporting_errors

if TYPE_CHECKING:
    from wotemu.emulation import Emulation


@click.command(short_help="Take over an emulation on a swarm whose wotemu run died.")
@click.argument("name")
@click.option("--path", metavar="FILE", help="The deployment's file.  [default: the swarm's copy of it]")
@click.option("--follow", is_flag=True, help="Show what happens as it happens; on a pipe, a line an event.")
@click.option(
    "--out",
    metavar="DIR",
    help="The run directory.  [default: the earlier one, or runs/NAME where it is not]",
)
@click.option("--json", "as_json", is_flag=True, help="Follow it as one JSON object an event.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def attach(name: str, path: str | None, follow: bool, out: str | None, as_json: bool, debug: bool) -> None:
    """Take over the emulation NAME on the swarm of DOCKER_HOST, whose `wotemu run` died.

    The scenario goes on by itself meanwhile, and what the nodes measure waits on the event bus. This command
    records it where the other one stopped, in the same run directory if that is on this machine, and drives
    the run to its end and report as `wotemu run` would have. What only a lost run directory has is counted.

    It runs the deployment's Python file as the swarm keeps it; where you don't trust that, give --path.

    Exit codes are those of `wotemu run`.
    """
    made: list[Emulation] = []
    with (
        tempfile.TemporaryDirectory(prefix="wotemu-") as code,
        reporting_errors(debug=debug, run_dir=lambda: made[0].run_dir if made else None),
    ):
        from wotemu.cli.session import run_to_end

        made.append(_attached(name, Path(code), _path(path), _path(out), as_json))
        sys.exit(run_to_end(made[0], follow=follow, as_json=as_json))


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _attached(name: str, code: Path, path: Path | None, out: Path | None, as_json: bool) -> Emulation:
    import asyncio

    from wotemu.emulation import Emulation, checked_name
    from wotemu_runtime.runs.resumed_run import find_orphaned_run, resume

    orphan = asyncio.run(find_orphaned_run(checked_name(name, "NAME")))
    # What the deployment's file prints is not for who parses JSON lines.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        return Emulation.of_run(resume(orphan, code, path=path, out=out))
