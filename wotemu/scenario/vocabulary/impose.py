"""Resolves targets to hops, and sets conditions on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wotemu.scenario.state import State
from wotemu.scenario.timeline import DIRECTIONS, Change, Direction, HopKey
from wotemu.scenario.vocabulary.targets import HopTarget, places
from wotemu.topology.conditions import RATE_FIELDS


def hop_keys(target: HopTarget, direction: Direction | None, state: State, where: str) -> list[HopKey]:
    """The hops of a target in a direction; None means both."""
    ways = DIRECTIONS if direction is None else (direction,)
    return [(network, node, way) for network, node in places(target, state.topology, where) for way in ways]


def concerns(key: HopKey, direction: Direction | None, name: str) -> bool:
    """Whether a condition that is set in `direction` applies to this hop.

    A network delays, loses, ... a packet once, on the hop up; its rate limits each hop by itself.
    """
    _, node, way = key
    return node is not None or direction is not None or way == "up" or name in RATE_FIELDS


def own(key: HopKey, direction: Direction | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions, set in `direction`, that apply to this hop."""
    return {name: value for name, value in values.items() if concerns(key, direction, name)}


def impose(
    state: State,
    at_us: int,
    target: HopTarget,
    direction: Direction | None,
    values: Mapping[str, Any],
    where: str,
) -> Iterator[Change]:
    """Set conditions of all hops of a target, below all periods."""
    for key in hop_keys(target, direction, state, where):
        yield from state.set_instant(at_us, key, own(key, direction, values))
