"""``wotemu compose``: write a deployment as a compose file for ``docker stack deploy``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.completing import DeploymentFile
from wotemu.cli.failures import reporting_errors
from wotemu.cli.loading import load_and_resolve
from wotemu.cli.options import debug_option, duration_option, seed_option, shaper_option
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver
    from wotemu_runtime.engines.swarm.compose import Composed

UNTIL_STOPPED = Seconds(365 * 86_400)
"""How long a stack runs whose file has no scenario: until it is stopped."""
_HASHED = re.compile(r".+-[0-9a-f]{12}")
"""Names of files that `compose` writes: each ends in a hash of what it holds."""


@click.command(short_help="Write a deployment as a compose file for docker stack deploy.")
@click.option(
    "--path", required=True, type=DeploymentFile(), metavar="FILE", help="The file of the deployment."
)
@click.option(
    "--output", metavar="FILE", help="The compose file to write.  [default: FILE.yml beside FILE.py]"
)
@click.option(
    "--func", default="topology", show_default=True, help="The file's function that returns the topology."
)
@duration_option
@seed_option
@shaper_option
@debug_option
def compose(
    path: str,
    output: str | None,
    func: str,
    duration: Seconds | None,
    seed: int | None,
    shaper: str,
    debug: bool,
) -> None:
    """Write the deployment of a file as a compose file. Once deployed, the stack runs the scenario by
    itself; without a scenario and --duration it runs until it is stopped:

    \b
    wotemu compose --path field.py
    docker stack deploy -c field.yml field
    wotemu stop --compose-file field.yml --stack field

    The same file and options give the same bytes. The nodes' code and assignments are written to a hidden
    folder beside it, with the password of the event bus, which is made once and reused. The linter's warnings
    are printed on stderr.
    """
    with reporting_errors(debug=debug):
        from wotemu_runtime.engines.swarm.compose import folder_of

        target = Path(output) if output is not None else _beside(path)
        deployment, resolver = load_and_resolve(path, duration, seed, func=func, unscripted=UNTIL_STOPPED)
        composed = _composed(deployment, resolver, func, folder_of(target).name, shaper)
        write(composed, target)
        from wotemu.cli.screen.terminal import console

        _show_warnings(resolver.warnings)
        out = console()
        out.print(f"{target}: written", highlight=False)
        out.print(f"docker stack deploy -c {target} {Path(path).stem}", highlight=False, soft_wrap=True)


def _beside(path: str) -> Path:
    """The compose file of a deployment's file, where none is named.

    Raises:
        LoadError: Something else is there, such as the deployment as YAML.
    """
    from wotemu.errors import LoadError
    from wotemu_runtime.planning.code_bundle import GENERATED

    target = Path(path).with_suffix(".yml")
    if target == Path(path):
        target = target.with_suffix(".compose.yml")
    if target.exists() and not target.read_text(errors="replace").startswith(GENERATED):
        hint = f"name another file: --output {target.with_suffix('.compose.yml')}"
        raise LoadError("it is there already, and not of wotemu compose", where=str(target), hint=hint)
    return target


def _show_warnings(warnings: Sequence[str]) -> None:
    from rich.text import Text

    from wotemu.cli.screen.terminal import console, harmless

    out = console(stderr=True)
    for warning in warnings:
        out.print(Text.assemble(("warning: ", "yellow"), harmless(warning)))


def _composed(deployment: Deployment, resolver: Resolver, func: str, folder: str, shaper: str) -> Composed:
    from wotemu_runtime.engines.swarm.compose import compose as compose_plan
    from wotemu_runtime.engines.swarm.object_names import STACK_ROOM
    from wotemu_runtime.planning.planner import make_plan

    stack = deployment.path.stem[:STACK_ROOM]  # the names of its objects don't depend on up to so much
    plan = make_plan(
        deployment.topology, resolver.timeline, stack=stack, root=deployment.root, on_this_machine=False
    )
    return compose_plan(plan, source=deployment.path.name, func=func, folder=folder, shaper=shaper)


def write(composed: Composed, target: Path) -> None:
    """Write the compose file and its folder, and delete files there that an earlier version of it named."""
    from wotemu.errors import InputError
    from wotemu_runtime.engines.swarm.compose import SECRET, folder_of

    folder = folder_of(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in composed.files.items():
            (target.parent / name).write_bytes(data)
        current = {Path(name).name for name in composed.files}
        for old in folder.iterdir():
            if _HASHED.fullmatch(old.name) and old.name not in current:
                old.unlink()
        password = folder / SECRET
        if not password.exists():  # a deployed stack goes on using it
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
        target.write_text(composed.text)
    except OSError as error:
        what = error.strerror or str(error)
        raise InputError(f"it can't be written: {what}", where=str(error.filename or target)) from error
