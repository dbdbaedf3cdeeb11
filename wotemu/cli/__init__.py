"""The command line: a module for each command in `commands`, what is printed in `screen`."""

from __future__ import annotations

from importlib import import_module

import click

from wotemu.cli.command_groups import GroupedCommands

__all__ = ["main"]

GROUPS = {
    "Run a deployment": {
        "init": "init:init",
        "validate": "validate:validate",
        "plan": "plan:plan",
        "run": "run:run",
        "repeat": "repeat:repeat",
        "search": "search:search",
        "doctor": "doctor:doctor",
        "calibrate": "calibrate:calibrate",
        "schema": "schema:schema",
    },
    "Look at what runs left": {
        "list": "list_:list_",
        "open": "open_:open_",
        "report": "report:report",
        "export": "export:export",
        "compare": "compare:compare",
    },
    "Watch a run, from another terminal": {
        "ps": "ps:ps",
        "show": "show:show",
        "events": "events:events",
        "logs": "logs:logs",
        "exec": "exec_:exec_",
        "shell": "exec_:shell",
        "capture": "capture:capture",
    },
    "Change a run while it goes on": {
        "set": "change_conditions:set_",
        "restore": "change_conditions:restore",
        "partition": "change_networks:partition",
        "block": "change_networks:block",
        "heal": "change_networks:heal",
        "crash": "change_nodes:crash",
        "limit": "change_nodes:limit",
        "unlimit": "change_nodes:unlimit",
        "stress": "change_nodes:stress",
        "unstress": "change_nodes:unstress",
        "fill-disk": "change_nodes:fill_disk",
        "free-disk": "change_nodes:free_disk",
        "skew-clock": "change_nodes:skew_clock",
        "disconnect": "change_networks:disconnect",
        "connect": "change_networks:connect",
        "pause": "change_nodes:pause",
        "resume": "change_nodes:resume",
        "start": "change_nodes:start",
        "restart": "change_nodes:restart",
        "stop": "stop:stop",
    },
    "Traces of real paths": {
        "record": "record:record",
        "import": "import_:import_",
    },
    "On a swarm": {
        "compose": "compose:compose",
        "attach": "attach:attach",
        "rm": "ps:rm",
    },
    "For your shell": {
        "completion": "completion:completion",
    },
}
"""The commands by the headings of the help: where each is, as the module in `commands` and its name there."""
_ROLE = "it ran in a container of the stack. Write wotemu run FILE, or wotemu compose --path FILE"
FORMER = {
    "app": "an app is a node of a deployment. Write wotemu run FILE",
    **dict.fromkeys(("broker", "chaos", "route", "wait"), _ROLE),
    "limits": "wotemu calibrate measures this machine",
}
"""Replacements of commands that WoTemu 0.6 had, by their names."""


def _load(place: str) -> click.Command:
    """Import a command. Only the one that is run: all of them take longer than most need to run."""
    module, _, name = place.partition(":")
    command: click.Command = getattr(import_module(f"wotemu.cli.commands.{module}"), name)
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
