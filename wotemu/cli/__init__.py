"""The command line: a module for each command in `commands`, what is printed in `screen`."""

from __future__ import annotations

import click

from wotemu.cli.command_groups import GroupedCommands
from wotemu.cli.commands.attach import attach
from wotemu.cli.commands.changes import crash, heal, partition, restart, restore, set_, start
from wotemu.cli.commands.completion import completion
from wotemu.cli.commands.compose import compose
from wotemu.cli.commands.doctor import doctor
from wotemu.cli.commands.events import events
from wotemu.cli.commands.exec_ import exec_, shell
from wotemu.cli.commands.import_ import import_
from wotemu.cli.commands.init import init
from wotemu.cli.commands.list_ import list_
from wotemu.cli.commands.logs import logs
from wotemu.cli.commands.open_ import open_
from wotemu.cli.commands.plan import plan
from wotemu.cli.commands.ps import ps, rm
from wotemu.cli.commands.record import record
from wotemu.cli.commands.report import report
from wotemu.cli.commands.run import run
from wotemu.cli.commands.schema import schema
from wotemu.cli.commands.show import show
from wotemu.cli.commands.stop import stop
from wotemu.cli.commands.validate import validate

__all__ = ["main"]


@click.group(
    cls=GroupedCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="wotemu", message="%(prog)s %(version)s")
def main() -> None:
    """Emulate an IoT or edge deployment: real apps, real packets, scripted network conditions, one report.

    \b
    wotemu run deployment.py                # run it; Ctrl-C ends it, with its report
    wotemu show deployment                  # from a second terminal: what holds now
    wotemu set deployment field latency=200ms --for 30s

    FILE is a deployment's Python, YAML or JSON file, NAME a run's name, as wotemu ps lists it.

    Every option has an environment variable: WOTEMU_RUN_DURATION=30s is --duration 30s of wotemu run.
    """


main.add_group("Run a deployment", init, validate, plan, run, doctor, schema)
main.add_group("Look at what runs left", list_, open_, report)
main.add_group("Watch a run, from another terminal", ps, show, events, logs, exec_, shell)
main.add_group("Change a run while it goes on", set_, restore, partition, heal, crash, start, restart, stop)
main.add_group("Traces of real paths", record, import_)
main.add_group("On a swarm", compose, attach, rm)
main.add_group("For your shell", completion)
