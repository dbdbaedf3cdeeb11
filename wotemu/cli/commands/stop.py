"""``wotemu stop``: ends the run of a stack that was deployed from a compose file."""

from __future__ import annotations

from pathlib import Path

import click

from wotemu.cli.failures import reporting_errors


@click.command(short_help="End the run of a stack, and keep what it recorded.")
@click.option("--compose-file", required=True, metavar="F", help="What wotemu compose wrote.")
@click.option("--stack", required=True, metavar="S", help="What it was deployed as.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def stop(compose_file: str, stack: str, debug: bool) -> None:
    """End the run of a stack: its nodes are brought to zero, and its event bus stays for the report.

    What became of each task, and what it printed last, is recorded first. `docker stack rm` removes the rest.
    """
    with reporting_errors(debug=debug):
        import asyncio

        from wotemu.cli.screen.terminal import console
        from wotemu_runtime.runs.composed_runs import stop as stop_stack

        asyncio.run(stop_stack(stack, Path(compose_file)))
        out = console()
        out.print(f"{stack}: stopped; its run is on its event bus", highlight=False)
        out.print(f"wotemu report --stack {stack}", highlight=False, soft_wrap=True)
