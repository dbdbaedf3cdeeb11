"""The commands that change a run while it goes on: ``wotemu set``, ``partition``, ``crash`` and others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs
import click

from wotemu.cli.completing import ConditionValue, EmulationName, ListedNames, NodeName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option, for_option, json_option
from wotemu.errors import EmulationError, ScenarioError
from wotemu.units import Seconds
from wotemu.wording import counted, lateness

if TYPE_CHECKING:
    from wotemu.topology.conditions import NetworkConditions
    from wotemu.topology.link_conditions import LinkConditions
    from wotemu_runtime.control.live_changes import LiveChange
    from wotemu_runtime.control.requests import Changed

direction_option = click.option(
    "--direction", type=click.Choice(["up", "down"]), help="Only the nodes' way up or down.  [default: both]"
)
name_argument = click.argument("name", type=EmulationName())
nodes_argument = click.argument("nodes", metavar="NODE...", nargs=-1, required=True, type=NodeName())


@click.command("set", short_help="Set network conditions.")
@name_argument
@click.argument("target", type=ListedNames(hops=True))
@click.argument("conditions", metavar="CONDITION=VALUE...", nargs=-1, required=True, type=ConditionValue())
@for_option
@direction_option
@json_option
@debug_option
def set_(
    name: str,
    target: str,
    conditions: tuple[str, ...],
    lasting: Seconds | None,
    direction: str | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Set conditions of a TARGET in the run NAME, now. It returns once they hold.

    \b
    wotemu set field backbone latency=200ms loss=5%
    wotemu set field phone rate=0 --for 30s
    wotemu set field phone@backbone LTE jitter=10ms --direction up

    A TARGET is a network, a node, node@network, or several with commas. A preset such as LTE sets all
    conditions at once, and one such as NB_IOT those of each way. Each change is an event of the run, and its
    certificate judges it like a scripted one.
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import SetConditions

        preset, values = parse_conditions(conditions)
        return SetConditions.of(_names(target), preset, direction, _seconds(lasting), **values)

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Put the topology's own conditions back.")
@name_argument
@click.argument("target", type=ListedNames(hops=True))
@direction_option
@json_option
@debug_option
def restore(name: str, target: str, direction: Any, as_json: bool, debug: bool) -> None:
    """Put the topology's own conditions of a TARGET in the run NAME back, now.

    \b
    wotemu restore field backbone
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Restore

        return Restore(targets=_names(target), direction=direction)

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Separate groups of nodes from each other.")
@name_argument
@click.argument("groups", metavar="NODE,NODE...", nargs=-1, required=True, type=ListedNames(hops=False))
@for_option
@json_option
@debug_option
def partition(
    name: str, groups: tuple[str, ...], lasting: Seconds | None, as_json: bool, debug: bool
) -> None:
    """Separate groups of nodes of the run NAME from each other; a single group from all others.

    \b
    wotemu partition field phone,sensor broker
    wotemu partition field phone --for 20s
    wotemu heal field
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Partition

        return Partition(groups=[_names(group) for group in groups], for_s=_seconds(lasting))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Drop packets between nodes, as a firewall does.")
@name_argument
@click.argument("nodes", metavar="NODE,NODE...", type=ListedNames(hops=False))
@click.argument("others", metavar="[OTHER,OTHER...]", required=False, type=ListedNames(hops=False))
@click.option("--port", type=int, help="Only packets from or to this port.")
@click.option("--protocol", help="Only tcp, udp or icmp.  [default: all]")
@click.option("--direction", help="out: from the first nodes to the others; in: to them.  [default: both]")
@click.option("--as", "label", metavar="BLOCK", help="A name for wotemu heal.")
@for_option
@json_option
@debug_option
def block(
    name: str,
    nodes: str,
    others: str | None,
    port: int | None,
    protocol: Any,
    direction: Any,
    label: str | None,
    lasting: Seconds | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Drop packets between nodes of the run NAME, or between nodes and all others.

    \b
    wotemu block field phone,sensor broker --port 1883 --as mqtt
    wotemu block field phone --protocol udp --direction out --for 20s
    wotemu heal field mqtt
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Block

        return Block(
            targets=_names(nodes),
            others=() if others is None else _names(others),
            port=port,
            protocol=protocol,
            direction=direction,
            name=label,
            for_s=_seconds(lasting),
        )

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="End partitions and blocks.")
@name_argument
@click.argument("partition_name", metavar="[PARTITION]", required=False)
@json_option
@debug_option
def heal(name: str, partition_name: str | None, as_json: bool, debug: bool) -> None:
    """End a partition or block by its name, or all that were not begun for a period.

    \b
    wotemu heal field
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Heal

        return Heal(name=partition_name)

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Crash nodes, as a power failure does.")
@name_argument
@nodes_argument
@for_option
@json_option
@debug_option
def crash(name: str, nodes: tuple[str, ...], lasting: Seconds | None, as_json: bool, debug: bool) -> None:
    """Cut off the network of nodes of the run NAME, then kill their apps.

    \b
    wotemu crash field phone-2
    wotemu crash field phone --for 10s  # all replicas; then they start again
    wotemu restart field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Crash

        return Crash(targets=_all_names(nodes), for_s=_seconds(lasting))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Limit the CPU time or memory of nodes.")
@name_argument
@nodes_argument
@click.option("--cpu", type=float, help="Cores, such as 0.25.")
@click.option("--memory", metavar="SIZE", help="Memory, such as 64M.")
@for_option
@json_option
@debug_option
def limit(
    name: str,
    nodes: tuple[str, ...],
    cpu: float | None,
    memory: str | None,
    lasting: Seconds | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Limit nodes of the run NAME that have resources, or a limit in the scenario.

    \b
    wotemu limit field phone --cpu 0.1 --for 20s
    wotemu unlimit field phone
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Limit

        return Limit(targets=_all_names(nodes), cpu=cpu, memory=memory, for_s=_seconds(lasting))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Give nodes back the limits that they had.")
@name_argument
@nodes_argument
@json_option
@debug_option
def unlimit(name: str, nodes: tuple[str, ...], as_json: bool, debug: bool) -> None:
    """Give nodes of the run NAME back the limits that their resources say.

    \b
    wotemu unlimit field phone
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Unlimit

        return Unlimit(targets=_all_names(nodes))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Unplug nodes from a network.")
@name_argument
@nodes_argument
@click.option("--network", help="Only from this one.  [default: all of theirs]")
@for_option
@json_option
@debug_option
def disconnect(
    name: str,
    nodes: tuple[str, ...],
    network: str | None,
    lasting: Seconds | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Unplug nodes of the run NAME: their interfaces have no carrier, which programs in them can notice.

    \b
    wotemu disconnect field phone-2 --network wifi --for 10s
    wotemu connect field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Disconnect

        return Disconnect(targets=_all_names(nodes), network=network, for_s=_seconds(lasting))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Plug nodes into a network again.")
@name_argument
@nodes_argument
@click.option("--network", help="Only into this one.  [default: all of theirs]")
@json_option
@debug_option
def connect(name: str, nodes: tuple[str, ...], network: str | None, as_json: bool, debug: bool) -> None:
    """Plug nodes of the run NAME in again that were unplugged for good.

    \b
    wotemu connect field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Connect

        return Connect(targets=_all_names(nodes), network=network)

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Suspend nodes, as machines that hang.")
@name_argument
@nodes_argument
@for_option
@json_option
@debug_option
def pause(name: str, nodes: tuple[str, ...], lasting: Seconds | None, as_json: bool, debug: bool) -> None:
    """Suspend all processes of nodes of the run NAME. Their network stays.

    \b
    wotemu pause field phone-2
    wotemu pause field phone --for 10s  # all replicas; then they go on
    wotemu resume field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Pause

        return Pause(targets=_all_names(nodes), for_s=_seconds(lasting))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Let paused nodes go on.")
@name_argument
@nodes_argument
@json_option
@debug_option
def resume(name: str, nodes: tuple[str, ...], as_json: bool, debug: bool) -> None:
    """Let the processes of nodes of the run NAME go on that were paused for good.

    \b
    wotemu resume field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Resume

        return Resume(targets=_all_names(nodes))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Start nodes that were stopped or have crashed.")
@name_argument
@nodes_argument
@json_option
@debug_option
def start(name: str, nodes: tuple[str, ...], as_json: bool, debug: bool) -> None:
    """Start the apps of nodes of the run NAME that were stopped or have crashed.

    \b
    wotemu start field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Start

        return Start(targets=_all_names(nodes))

    make(name, change, as_json=as_json, debug=debug)


@click.command(short_help="Start nodes again, whatever they do.")
@name_argument
@nodes_argument
@json_option
@debug_option
def restart(name: str, nodes: tuple[str, ...], as_json: bool, debug: bool) -> None:
    """Start the apps of nodes of the run NAME again, with their network, whatever they do now.

    \b
    wotemu restart field phone-2
    """

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Restart

        return Restart(targets=_all_names(nodes))

    make(name, change, as_json=as_json, debug=debug)


def stop_nodes(
    name: str, nodes: tuple[str, ...], lasting: Seconds | None, *, as_json: bool, debug: bool
) -> None:
    """Ask the apps of nodes to end; for ``wotemu stop NAME NODE``."""

    def change() -> LiveChange:
        from wotemu_runtime.control.live_changes import Stop

        return Stop(targets=_all_names(nodes), for_s=_seconds(lasting))

    make(name, change, as_json=as_json, debug=debug)


def make(name: str, change: Callable[[], LiveChange], *, as_json: bool, debug: bool) -> None:
    """Make a change, wait until it holds, and print how it went.

    Args:
        name: The run's name.
        change: Makes the change of what was typed.
        as_json: Print what the run answered as JSON.
        debug: Show tracebacks of errors.
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.running import ask

        # Made only once it is connected: a run that is not there is the larger mistake.
        changed = ask(name, lambda client: client.change(change()))
        if as_json:
            print(json.dumps(attrs.asdict(changed)))
        else:
            from wotemu.cli.screen.terminal import console, harmless

            console().print(harmless(changed_text(changed)))
        _check(changed)


def changed_text(changed: Changed) -> str:
    """``+12.345 set backbone latency=200ms: 4 changes, the latest 1.2 ms late``."""
    if not changed.changes:
        return f"{changed.at_s:+.3f} {changed.text}: it was so already, nothing is changed"
    late = "" if changed.late_s is None else f", the latest {lateness(changed.late_s)}"
    return f"{changed.at_s:+.3f} {changed.text}: {counted(changed.changes, 'change')}{late}"


def _check(changed: Changed) -> None:
    """Raise an `EmulationError` where a change did not take hold."""
    if changed.failed:
        raise EmulationError("; ".join(changed.failed), where=changed.text)
    if changed.unanswered:
        raise EmulationError(
            f"{changed.unanswered} of its {changed.changes} changes were not confirmed in time",
            where=changed.text,
            hint="wotemu events says whether a role is lost",
        )


def parse_conditions(
    words: Iterable[str],
) -> tuple[NetworkConditions | LinkConditions | None, dict[str, Any]]:
    """A preset, where one is given, and conditions by name, of words such as ``LTE`` and ``loss=5%``.

    Raises:
        ScenarioError: A word is neither, or there are two for the same.
    """
    from wotemu.suggestions import did_you_mean
    from wotemu.topology.conditions import NetworkConditions
    from wotemu.topology.link_conditions import PRESET_ALIASES, LinkConditions

    presets = NetworkConditions.presets() | LinkConditions.presets()
    preset: NetworkConditions | LinkConditions | None = None
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            if preset is not None or name.upper() not in presets:
                problem = "there can be one preset only" if preset else f"{word!r} is no CONDITION=VALUE"
                hint = (
                    f"write latency=200ms, or a preset: {did_you_mean(name.upper(), presets, PRESET_ALIASES)}"
                )
                raise ScenarioError(problem, where="set", hint=hint)
            preset = presets[name.upper()]
        elif name in values:
            raise ScenarioError(f"{name} is given twice", where="set")
        else:
            values[name] = _typed(name, value.strip())
    return preset, values


_WHOLE_NUMBERS = frozenset({"reorder_gap", "overhead", "cell_size", "cell_overhead"})


def _typed(name: str, value: str) -> Any:
    """A value of a command line as the scenario takes it; most are strings with units there, too."""
    if value.lower() in ("none", "unlimited"):
        return None
    if name == "ecn" and value.lower() in ("true", "yes", "on", "false", "no", "off"):
        return value.lower() in ("true", "yes", "on")
    if name in _WHOLE_NUMBERS:
        try:
            return int(value)
        except ValueError:
            raise ScenarioError(f"{name} takes a whole number, not {value!r}", where="set") from None
    return value


def _names(text: str) -> list[str]:
    """Names with commas between them."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ScenarioError(f"{text!r} has an empty name in it", hint="write names with commas: a,b")
    return names


def _all_names(texts: Iterable[str]) -> list[str]:
    return [name for text in texts for name in _names(text)]


def _seconds(lasting: Seconds | None) -> float | None:
    return None if lasting is None else float(lasting)
