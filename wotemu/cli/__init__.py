"""The command line: a module for each command in `commands`, what is printed in `screen`."""

from __future__ import annotations

import click

from wotemu.cli.command_groups import GroupedCommands

__all__ = ["main"]

GROUPS = {
    "Run a deployment": (
        "init",
        "validate",
        "plan",
        "run",
        "repeat",
        "search",
        "doctor",
        "calibrate",
        "schema",
    ),
    "Look at what runs left": ("list", "open", "report", "export", "compare"),
    "Watch a run, from another terminal": ("ps", "show", "events", "logs", "exec", "shell", "capture"),
    "Change a run while it goes on": (
        "set",
        "restore",
        "partition",
        "block",
        "heal",
        "crash",
        "limit",
        "unlimit",
        "stress",
        "unstress",
        "fill-disk",
        "free-disk",
        "disconnect",
        "connect",
        "pause",
        "resume",
        "start",
        "restart",
        "stop",
    ),
    "Traces of real paths": ("record", "import"),
    "On a swarm": ("compose", "attach", "rm"),
    "For your shell": ("completion",),
}
"""The commands, by the headings of the help."""
_ROLE = "it ran in a container of the stack. Write wotemu run FILE, or wotemu compose --path FILE"
FORMER = {
    "app": "an app is a node of a deployment. Write wotemu run FILE",
    **dict.fromkeys(("broker", "chaos", "route", "wait"), _ROLE),
    "limits": "wotemu calibrate measures this machine",
}
"""What to do in place of commands that WoTemu 0.6 had, by their names."""


def _load(name: str) -> click.Command:
    """Import a command. Only the one that is run: all of them take longer than most need to run."""
    match name:
        case "init":
            from wotemu.cli.commands.init import init as command
        case "validate":
            from wotemu.cli.commands.validate import validate as command
        case "plan":
            from wotemu.cli.commands.plan import plan as command
        case "run":
            from wotemu.cli.commands.run import run as command
        case "repeat":
            from wotemu.cli.commands.repeat import repeat as command
        case "search":
            from wotemu.cli.commands.search import search as command
        case "doctor":
            from wotemu.cli.commands.doctor import doctor as command
        case "calibrate":
            from wotemu.cli.commands.calibrate import calibrate as command
        case "schema":
            from wotemu.cli.commands.schema import schema as command
        case "list":
            from wotemu.cli.commands.list_ import list_ as command
        case "open":
            from wotemu.cli.commands.open_ import open_ as command
        case "report":
            from wotemu.cli.commands.report import report as command
        case "export":
            from wotemu.cli.commands.export import export as command
        case "compare":
            from wotemu.cli.commands.compare import compare as command
        case "ps":
            from wotemu.cli.commands.ps import ps as command
        case "show":
            from wotemu.cli.commands.show import show as command
        case "events":
            from wotemu.cli.commands.events import events as command
        case "logs":
            from wotemu.cli.commands.logs import logs as command
        case "capture":
            from wotemu.cli.commands.capture import capture as command
        case "exec":
            from wotemu.cli.commands.exec_ import exec_ as command
        case "shell":
            from wotemu.cli.commands.exec_ import shell as command
        case "set":
            from wotemu.cli.commands.change_conditions import set_ as command
        case "restore":
            from wotemu.cli.commands.change_conditions import restore as command
        case "partition":
            from wotemu.cli.commands.change_networks import partition as command
        case "block":
            from wotemu.cli.commands.change_networks import block as command
        case "heal":
            from wotemu.cli.commands.change_networks import heal as command
        case "crash":
            from wotemu.cli.commands.change_nodes import crash as command
        case "limit":
            from wotemu.cli.commands.change_nodes import limit as command
        case "unlimit":
            from wotemu.cli.commands.change_nodes import unlimit as command
        case "stress":
            from wotemu.cli.commands.change_nodes import stress as command
        case "unstress":
            from wotemu.cli.commands.change_nodes import unstress as command
        case "fill-disk":
            from wotemu.cli.commands.change_nodes import fill_disk as command
        case "free-disk":
            from wotemu.cli.commands.change_nodes import free_disk as command
        case "disconnect":
            from wotemu.cli.commands.change_networks import disconnect as command
        case "connect":
            from wotemu.cli.commands.change_networks import connect as command
        case "pause":
            from wotemu.cli.commands.change_nodes import pause as command
        case "resume":
            from wotemu.cli.commands.change_nodes import resume as command
        case "start":
            from wotemu.cli.commands.change_nodes import start as command
        case "restart":
            from wotemu.cli.commands.change_nodes import restart as command
        case "stop":
            from wotemu.cli.commands.stop import stop as command
        case "record":
            from wotemu.cli.commands.record import record as command
        case "import":
            from wotemu.cli.commands.import_ import import_ as command
        case "compose":
            from wotemu.cli.commands.compose import compose as command
        case "attach":
            from wotemu.cli.commands.attach import attach as command
        case "rm":
            from wotemu.cli.commands.ps import rm as command
        case "completion":
            from wotemu.cli.commands.completion import completion as command
        case _:
            raise KeyError(name)
    return command


@click.group(
    cls=GroupedCommands,
    groups=GROUPS,
    load=_load,
    former=FORMER,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="wotemu", message="%(prog)s %(version)s")
def main() -> None:
    """Emulate an IoT or edge deployment: real apps, real packets, scripted network conditions, one report.

    \b
    wotemu run deployment.py            # run it; Ctrl-C ends it, with its report
    wotemu show deployment              # from a second terminal: what holds now
    wotemu set deployment field latency=200ms --for 30s

    FILE is a deployment's Python, YAML or JSON file, NAME a run's name, as wotemu ps lists it.

    Every option has an environment variable: WOTEMU_RUN_DURATION=30s is --duration 30s of wotemu run.
    """
