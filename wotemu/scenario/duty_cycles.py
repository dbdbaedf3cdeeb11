"""Finds duty cycles without a rate: a packet's air time, which they go by, follows from one."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import DIRECTIONS, Change, HopKey
from wotemu.topology.topology import Topology
from wotemu.units import Fraction

HINT = 'write rate="5.47kbit" beside duty_cycle, or on its link or network'


@attrs.frozen
class Rateless:
    """A duty cycle without a rate.

    Attributes:
        hop: Whose it is; its node is None where it is the network's.
        text: What is wrong, for people.
        change: The number of the change from which on it has none; None for T0.
    """

    hop: HopKey
    text: str
    change: int | None


def without_rate(topology: Topology, changes: Iterable[Change]) -> Rateless | None:
    """The first duty cycle that has no rate, at T0 or after one of the changes, in their order."""
    shared = {network.name for network in topology.networks if network.shared}
    held: dict[HopKey, tuple[float, bool]] = {
        key: (each.duty_cycle, each.rate is not None) for key, each in base_conditions(topology).items()
    }
    for key in list(held):
        if key[1] is None and (found := _first(held, shared, key[0], None)):
            return found
    for number, change in enumerate(changes):
        if change.action != "conditions" or not change.network or not change.direction:
            continue
        key = change.network, change.node, change.direction
        now = change.after.get("duty_cycle", 1.0), change.after["rate_bps"] is not None
        if held[key] != now:
            held[key] = now
            if found := _first(held, shared, change.network, number):
                return found
    return None


def _first(
    held: dict[HopKey, tuple[float, bool]], shared: set[str], network: str, change: int | None
) -> Rateless | None:
    nodes = dict.fromkeys(node for name, node, _ in held if name == network and node is not None)
    for node in nodes:
        for way in DIRECTIONS:
            own, whole = held[network, node, way], held[network, None, way]
            parts = [own] if network in shared and way == "down" else [own, whole]
            duty_cycle = min(share for share, _ in parts)
            if duty_cycle < 1 and not any(has_rate for _, has_rate in parts):
                owner = node if own[0] == duty_cycle else None
                text = f"duty cycle {Fraction(duty_cycle)} without a rate: {node}@{network} {way} has none"
                return Rateless((network, owner, way), text, change)
    return None
