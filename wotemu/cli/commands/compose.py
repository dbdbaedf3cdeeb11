"""``wotemu compose``: a deployment as a compose file, for ``docker stack deploy``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.commands.run import Duration
from wotemu.cli.failures import reporting_errors
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver
    from wotemu_runtime.engines.swarm.compose import Composed

DEFAULT_OUTPUT = "docker-compose.yml"
_HASHED = re.compile(r".+-[0-9a-f]{12}")


@click.command(short_help="Write a deployment as a compose file for docker stack deploy.")
@click.option("--path", required=True, metavar="FILE", help="The Python file of the deployment.")
@click.option("--output", default=DEFAULT_OUTPUT, show_default=True, metavar="F", help="What to write.")
@click.option("--func", default="topology", show_default=True, help="The file's function to call.")
@click.option("--duration", type=Duration(), metavar="TIME", help="How long, such as 90s or 5m.")
@click.option("--seed", type=int, metavar="N", help="Seed of the random number generators.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def compose(
    path: str, output: str, func: str, duration: Seconds | None, seed: int | None, debug: bool
) -> None:
    """Write the deployment of a Python file as a compose file, which runs by itself once it is deployed:

    docker stack deploy -c docker-compose.yml STACK

    The same file, duration and seed give the same bytes. What the nodes are given lies in a hidden folder
    beside it, with the event bus's password, which is made once and then kept. The linter's warnings go to
    stderr.
    """
    with reporting_errors(debug=debug):
        from wotemu_runtime.engines.swarm.compose import folder_of

        target = Path(output)
        deployment, resolver = _resolved(path, func, duration, seed)
        composed = _composed(deployment, resolver, func, folder_of(target).name)
        write(composed, target)
        from wotemu.cli.screen.terminal import console

        _show_warnings(resolver.warnings)
        out = console()
        out.print(f"{target}: written", highlight=False)
        out.print(f"docker stack deploy -c {target} {Path(path).stem}", highlight=False, soft_wrap=True)


def _resolved(
    path: str, func: str, duration: Seconds | None, seed: int | None
) -> tuple[Deployment, Resolver]:
    from wotemu.deployment_file import load
    from wotemu.scenario import Resolver

    deployment = load(path, func)
    return deployment, Resolver(
        deployment.topology, deployment.scenario.overridden(duration=duration, seed=seed)
    )


def _show_warnings(warnings: Sequence[str]) -> None:
    from rich.text import Text

    from wotemu.cli.screen.terminal import console, harmless

    out = console(stderr=True)
    for warning in warnings:
        out.print(Text.assemble(("warning: ", "yellow"), harmless(warning)))


def _composed(deployment: Deployment, resolver: Resolver, func: str, folder: str) -> Composed:
    from wotemu_runtime.engines.swarm.compose import compose as compose_plan
    from wotemu_runtime.engines.swarm.object_names import STACK_ROOM
    from wotemu_runtime.planning.planner import make_plan

    stack = deployment.path.stem[:STACK_ROOM]
    plan = make_plan(
        deployment.topology, resolver.timeline, stack=stack, root=deployment.root, on_this_machine=False
    )
    return compose_plan(plan, source=deployment.path.name, func=func, folder=folder)


def write(composed: Composed, target: Path) -> None:
    """Write the file and its folder; what an earlier time left in there and is no longer named goes."""
    from wotemu.errors import InputError
    from wotemu_runtime.engines.swarm.compose import SECRET, folder_of

    folder = folder_of(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in composed.files.items():
            (target.parent / name).write_bytes(data)
        kept = {Path(name).name for name in composed.files}
        for old in folder.iterdir():
            if _HASHED.fullmatch(old.name) and old.name not in kept:
                old.unlink()
        password = folder / SECRET
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
        target.write_text(composed.text)
    except OSError as error:
        what = error.strerror or str(error)
        raise InputError(f"it can't be written: {what}", where=str(error.filename or target)) from error
