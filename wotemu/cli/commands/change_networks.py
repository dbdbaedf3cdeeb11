"""``wotemu partition``, ``block``, ``heal``, ``disconnect`` and ``connect``: who reaches whom in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wotemu.cli.commands.changes import (
    all_names,
    makes_change,
    name_argument,
    names_in,
    nodes_argument,
    seconds_of,
)
from wotemu.cli.completing import ListedNames
from wotemu.cli.options import debug_option, for_option, json_option
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu_runtime.control.live_changes import LiveChange


@click.command(short_help="Separate groups of nodes from each other.")
@name_argument
@click.argument("groups", metavar="NODE,NODE...", nargs=-1, required=True, type=ListedNames(hops=False))
@for_option
@json_option
@debug_option
@makes_change
def partition(groups: tuple[str, ...], lasting: Seconds | None) -> LiveChange:
    """Separate groups of nodes of the run NAME from each other; a single group from all others.

    \b
    wotemu partition field phone,sensor broker
    wotemu partition field phone --for 20s
    wotemu heal field
    """
    from wotemu_runtime.control.live_changes import Partition

    return Partition(groups=[names_in(group) for group in groups], for_s=seconds_of(lasting))


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
@makes_change
def block(
    nodes: str,
    others: str | None,
    port: int | None,
    protocol: Any,
    direction: Any,
    label: str | None,
    lasting: Seconds | None,
) -> LiveChange:
    """Drop packets between nodes of the run NAME, or between nodes and all others.

    \b
    wotemu block field phone,sensor broker --port 1883 --as mqtt
    wotemu block field phone --protocol udp --direction out --for 20s
    wotemu heal field mqtt
    """
    from wotemu_runtime.control.live_changes import Block

    return Block(
        targets=names_in(nodes),
        others=() if others is None else names_in(others),
        port=port,
        protocol=protocol,
        direction=direction,
        name=label,
        for_s=seconds_of(lasting),
    )


@click.command(short_help="End partitions and blocks.")
@name_argument
@click.argument("partition_name", metavar="[PARTITION]", required=False)
@json_option
@debug_option
@makes_change
def heal(partition_name: str | None) -> LiveChange:
    """End a partition or block by its name, or all that were not begun for a period.

    \b
    wotemu heal field
    """
    from wotemu_runtime.control.live_changes import Heal

    return Heal(name=partition_name)


@click.command(short_help="Unplug nodes from a network.")
@name_argument
@nodes_argument
@click.option("--network", help="Only from this one.  [default: all of theirs]")
@for_option
@json_option
@debug_option
@makes_change
def disconnect(nodes: tuple[str, ...], network: str | None, lasting: Seconds | None) -> LiveChange:
    """Unplug nodes of the run NAME: their interfaces have no carrier, which programs in them can notice.

    On a swarm the interfaces are down.

    \b
    wotemu disconnect field phone-2 --network wifi --for 10s
    wotemu connect field phone-2
    """
    from wotemu_runtime.control.live_changes import Disconnect

    return Disconnect(targets=all_names(nodes), network=network, for_s=seconds_of(lasting))


@click.command(short_help="Plug nodes into a network again.")
@name_argument
@nodes_argument
@click.option("--network", help="Only into this one.  [default: all of theirs]")
@json_option
@debug_option
@makes_change
def connect(nodes: tuple[str, ...], network: str | None) -> LiveChange:
    """Plug nodes of the run NAME in again that were unplugged for good.

    \b
    wotemu connect field phone-2
    """
    from wotemu_runtime.control.live_changes import Connect

    return Connect(targets=all_names(nodes), network=network)
