"""``wotemu set`` and ``wotemu restore``: conditions of networks and links, while a run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from wotemu.cli.commands.changes import makes_change, name_argument, names_in, seconds_of
from wotemu.cli.completing import ConditionValue, ListedNames
from wotemu.cli.options import debug_option, for_option, json_option
from wotemu.errors import ScenarioError
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.topology.conditions import NetworkConditions
    from wotemu.topology.link_conditions import LinkConditions
    from wotemu_runtime.control.live_changes import LiveChange

direction_option = click.option(
    "--direction", type=click.Choice(["up", "down"]), help="Only the nodes' way up or down.  [default: both]"
)


@click.command("set", short_help="Set network conditions.")
@name_argument
@click.argument("target", type=ListedNames(hops=True))
@click.argument("conditions", metavar="CONDITION=VALUE...", nargs=-1, required=True, type=ConditionValue())
@for_option
@direction_option
@json_option
@debug_option
@makes_change
def set_(
    target: str, conditions: tuple[str, ...], lasting: Seconds | None, direction: str | None
) -> LiveChange:
    """Set conditions of a TARGET in the run NAME, now. It returns once they hold.

    \b
    wotemu set field backbone latency=200ms loss=5%
    wotemu set field phone rate=0 --for 30s
    wotemu set field phone@backbone LTE jitter=10ms --direction up

    A TARGET is a network, a node, node@network, or several with commas. A preset such as LTE sets all
    conditions at once, and one such as NB_IOT those of each way. Each change is an event of the run, and its
    certificate judges it like a scripted one.
    """
    from wotemu_runtime.control.live_changes import SetConditions

    preset, values = parse_conditions(conditions)
    return SetConditions.of(names_in(target), preset, direction, seconds_of(lasting), **values)


@click.command(short_help="Put the topology's own conditions back.")
@name_argument
@click.argument("target", type=ListedNames(hops=True))
@direction_option
@json_option
@debug_option
@makes_change
def restore(target: str, direction: Any) -> LiveChange:
    """Put the topology's own conditions of a TARGET in the run NAME back, now.

    \b
    wotemu restore field backbone
    """
    from wotemu_runtime.control.live_changes import Restore

    return Restore(targets=names_in(target), direction=direction)


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
