"""``wotemu stop``: end a run or nodes of it, or the run of a stack that was deployed from a compose file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.completing import EmulationName, NodeName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import CommandOnSwarm, SwarmOption, debug_option, for_option, json_option

if TYPE_CHECKING:
    from wotemu.units import Seconds
    from wotemu_runtime.control.client import ControlClient


@click.command(cls=CommandOnSwarm, short_help="End a run, or stop nodes of it.")
@click.argument("name", required=False, type=EmulationName())
@click.argument("nodes", metavar="[NODE]...", nargs=-1, type=NodeName())
@for_option
@click.option("--at-once", is_flag=True, help="End the run without a report, as a second Ctrl-C does.")
@click.option("--compose-file", cls=SwarmOption, metavar="FILE", help="The file that wotemu compose wrote.")
@click.option("--stack", cls=SwarmOption, metavar="NAME", help="The name that it was deployed under.")
@click.option(
    "--tail",
    cls=SwarmOption,
    type=click.IntRange(min=0),
    metavar="N",
    help="Lines of each task's log to record.",
)
@click.option(
    "--redis-url", cls=SwarmOption, metavar="URL", help="The stack's event bus: redis://:PASSWORD@HOST:PORT."
)
@json_option
@debug_option
def stop(
    name: str | None,
    nodes: tuple[str, ...],
    lasting: Seconds | None,
    at_once: bool,
    compose_file: str | None,
    stack: str | None,
    tail: int | None,
    redis_url: str | None,
    as_json: bool,
    debug: bool,
) -> None:
    """End the run NAME as Ctrl-C does, with its report; or ask the apps of NODEs of it to end.

    \b
    wotemu stop field
    wotemu stop field phone-2
    wotemu stop field phone-2 --for 10s

    Of a stack that was deployed from a compose file, it scales the services to zero, but for the event bus,
    which has the run's record. The state of each task and the tail of its log are recorded first.
    `docker stack rm` removes the rest.

    \b
    wotemu stop --compose-file field.yml --stack field
    """
    if compose_file is not None or stack is not None:
        if name or compose_file is None or stack is None or lasting is not None or at_once or as_json:
            raise click.UsageError("of a stack, give --compose-file and --stack, and nothing else")
        _stop_stack(compose_file, stack, redis_url, tail, debug=debug)
    elif tail is not None or redis_url is not None:
        raise click.UsageError("--tail and --redis-url go with --compose-file and --stack")
    elif name is None:
        raise click.UsageError("give the NAME of a run, or --compose-file and --stack of a stack")
    elif nodes:
        if at_once:
            raise click.UsageError("--at-once ends a run: give no NODE")
        from wotemu.cli.commands.change_nodes import change_nodes

        change_nodes("stop", name, nodes, lasting, as_json=as_json, debug=debug)
    else:
        if lasting is not None or as_json:
            raise click.UsageError("--for and --json go with a NODE")
        _stop_run(name, at_once=at_once, debug=debug)


def _stop_run(name: str, *, at_once: bool, debug: bool) -> None:
    with reporting_errors(debug=debug):
        from wotemu.cli.running import ask
        from wotemu.cli.screen.terminal import console, harmless

        run_dir = ask(name, lambda client: _ended(client, at_once=at_once))
        console().print(harmless(f"{name}: ended; its record is in {run_dir}"))


async def _ended(client: ControlClient, *, at_once: bool) -> str:
    """Have a run end, and wait until all that it started is removed; its run directory."""
    from wotemu.cli.running import until_over

    run_dir = (await client.status()).run_dir
    await client.stop(at_once=at_once)
    await until_over(client, Path(run_dir))
    return run_dir


def _stop_stack(
    compose_file: str, stack: str, redis_url: str | None, tail: int | None, *, debug: bool
) -> None:
    with reporting_errors(debug=debug):
        from wotemu.cli.screen.terminal import console
        from wotemu_runtime.runs.composed_runs import LOG_TAIL
        from wotemu_runtime.runs.composed_runs import stop as stop_composed

        lines = LOG_TAIL if tail is None else tail
        asyncio.run(stop_composed(stack, Path(compose_file), redis_url=redis_url, log_lines=lines))
        out = console()
        out.print(f"{stack}: stopped; its run is on its event bus", highlight=False)
        out.print(f"wotemu report --stack {stack}", highlight=False, soft_wrap=True)
