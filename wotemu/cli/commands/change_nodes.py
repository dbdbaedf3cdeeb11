"""The commands that change nodes of a run while it goes on: ``wotemu crash``, ``stress`` and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from wotemu.cli.commands.changes import (
    all_names,
    make,
    makes_change,
    name_argument,
    nodes_argument,
    seconds_of,
)
from wotemu.cli.options import debug_option, for_option, json_option
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu_runtime.control.live_changes import LiveChange


def change_nodes(
    verb: str,
    name: str,
    nodes: tuple[str, ...],
    lasting: Seconds | None = None,
    *,
    as_json: bool,
    debug: bool,
) -> None:
    """Make a change that takes nothing but nodes, as `make` does.

    Args:
        verb: What a scenario calls it.
        name: The run's name.
        nodes: Names of nodes, also several with commas.
        lasting: How long it holds; None for good.
        as_json: Print what the run answered as JSON.
        debug: Show tracebacks of errors.
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import LiveChange

        return LiveChange.from_dict({"verb": verb, "targets": all_names(nodes), "for_s": seconds_of(lasting)})

    make(name, change, as_json=as_json, debug=debug)


def _of_nodes(verb: str, short_help: str, text: str, *, lasts: bool = False) -> click.Command:
    """A command that takes nodes, and where it `lasts`, for how long."""

    def run(
        name: str, nodes: tuple[str, ...], as_json: bool, debug: bool, lasting: Seconds | None = None
    ) -> None:
        change_nodes(verb, name, nodes, lasting, as_json=as_json, debug=debug)

    command: Callable[..., None] = run
    lasting = [for_option] if lasts else []
    for parameter in (debug_option, json_option, *lasting, nodes_argument, name_argument):
        command = parameter(command)
    return click.command(verb.replace("_", "-"), short_help=short_help, help=text)(command)


crash = _of_nodes(
    "crash",
    "Crash nodes, as a power failure does.",
    """Cut off the network of nodes of the run NAME, then kill their apps.

    \b
    wotemu crash field phone-2
    wotemu crash field phone --for 10s  # all replicas; then they start again
    wotemu restart field phone-2
    """,
    lasts=True,
)

pause = _of_nodes(
    "pause",
    "Suspend nodes, as machines that hang.",
    """Suspend all processes of nodes of the run NAME. Their network stays.

    \b
    wotemu pause field phone-2
    wotemu pause field phone --for 10s  # all replicas; then they go on
    wotemu resume field phone-2
    """,
    lasts=True,
)

resume = _of_nodes(
    "resume",
    "Let paused nodes go on.",
    """Let the processes of nodes of the run NAME go on that were paused for good.

    \b
    wotemu resume field phone-2
    """,
)

unlimit = _of_nodes(
    "unlimit",
    "Give nodes back the limits that they had.",
    """Give nodes of the run NAME back the limits that their resources say.

    \b
    wotemu unlimit field phone
    """,
)

unstress = _of_nodes(
    "unstress",
    "End what wotemu stress began.",
    """End the programs that stress nodes of the run NAME, where they were begun for good.

    \b
    wotemu unstress field phone
    """,
)

free_disk = _of_nodes(
    "free_disk",
    "Give nodes the room of their scratch folders again.",
    """Give nodes of the run NAME the room of their scratch folders again that were filled for good.

    \b
    wotemu free-disk field phone
    """,
)

start = _of_nodes(
    "start",
    "Start nodes that were stopped or have crashed.",
    """Start the apps of nodes of the run NAME that were stopped or have crashed.

    \b
    wotemu start field phone-2
    """,
)

restart = _of_nodes(
    "restart",
    "Start nodes again, whatever they do.",
    """Start the apps of nodes of the run NAME again, with their network, whatever they do now.

    \b
    wotemu restart field phone-2
    """,
)


@click.command(short_help="Limit the CPU time or memory of nodes.")
@name_argument
@nodes_argument
@click.option("--cpu", type=float, help="Cores, such as 0.25.")
@click.option("--memory", metavar="SIZE", help="Memory, such as 64M.")
@for_option
@json_option
@debug_option
@makes_change
def limit(
    nodes: tuple[str, ...], cpu: float | None, memory: str | None, lasting: Seconds | None
) -> LiveChange:
    """Limit nodes of the run NAME that have resources, or a limit in the scenario.

    On a swarm, any node where the deployment has a device, a clock rate or a limit in the scenario.

    \b
    wotemu limit field phone --cpu 0.1 --for 20s
    wotemu unlimit field phone
    """
    from wotemu_runtime.control.live_changes import Limit

    return Limit(targets=all_names(nodes), cpu=cpu, memory=memory, for_s=seconds_of(lasting))


@click.command(short_help="Run a program beside apps that computes and holds memory.")
@name_argument
@nodes_argument
@click.option("--cpu", type=float, help="Cores that it uses, such as 0.5.")
@click.option("--memory", metavar="SIZE", help="Memory that it holds, such as 64M.")
@for_option
@json_option
@debug_option
@makes_change
def stress(
    nodes: tuple[str, ...], cpu: float | None, memory: str | None, lasting: Seconds | None
) -> LiveChange:
    """Run a program in nodes of the run NAME that competes with their apps for CPU time and memory.

    \b
    wotemu stress field phone --cpu 0.5 --memory 64M --for 20s
    wotemu unstress field phone
    """
    from wotemu_runtime.control.live_changes import Stress

    return Stress(targets=all_names(nodes), cpu=cpu, memory=memory, for_s=seconds_of(lasting))


@click.command("fill-disk", short_help="Fill the scratch folders of nodes.")
@name_argument
@nodes_argument
@click.option(
    "--leave", metavar="SIZE", default="0", help="What is left free, such as 1M.  [default: nothing]"
)
@for_option
@json_option
@debug_option
@makes_change
def fill_disk(nodes: tuple[str, ...], leave: str, lasting: Seconds | None) -> LiveChange:
    """Leave the scratch folders of nodes of the run NAME hardly any room: what writes more gets ENOSPC.

    \b
    wotemu fill-disk field phone --leave 1M --for 20s
    wotemu free-disk field phone
    """
    from wotemu_runtime.control.live_changes import FillDisk

    size = 0 if leave == "0" else leave
    return FillDisk(targets=all_names(nodes), leave=size, for_s=seconds_of(lasting))


@click.command("skew-clock", short_help="Set the wall clocks of nodes wrong, or right.")
@name_argument
@nodes_argument
@click.option("--by", metavar="TIME", required=True, help="Ahead: +3m; behind: -2h; right: 0.")
@for_option
@json_option
@debug_option
@makes_change
def skew_clock(nodes: tuple[str, ...], by: str, lasting: Seconds | None) -> LiveChange:
    """Set the wall clocks of nodes of the run NAME wrong, where its scenario does so, too.

    \b
    wotemu skew-clock field phone --by -2h --for 20s
    wotemu skew-clock field phone --by 0
    """
    from wotemu_runtime.control.live_changes import SkewClock

    return SkewClock(targets=all_names(nodes), by=by, for_s=seconds_of(lasting))
