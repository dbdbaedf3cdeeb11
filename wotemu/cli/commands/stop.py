"""``wotemu stop``: end the run of a stack that was deployed from a compose file."""

from __future__ import annotations

from pathlib import Path

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option


@click.command(short_help="End the run of a stack; its record stays for wotemu report.")
@click.option("--compose-file", required=True, metavar="F", help="The file that wotemu compose wrote.")
@click.option("--stack", required=True, metavar="S", help="The name that it was deployed under.")
@debug_option
def stop(compose_file: str, stack: str, debug: bool) -> None:
    """End the run of a stack: scale its services to zero, but for the event bus, which has the run's record.

    The state of each task and the tail of its log are recorded first. `docker stack rm` removes the rest.
    """
    with reporting_errors(debug=debug):
        import asyncio

        from wotemu.cli.screen.terminal import console
        from wotemu_runtime.runs.composed_runs import stop as stop_stack

        asyncio.run(stop_stack(stack, Path(compose_file)))
        out = console()
        out.print(f"{stack}: stopped; its run is on its event bus", highlight=False)
        out.print(f"wotemu report --stack {stack}", highlight=False, soft_wrap=True)
