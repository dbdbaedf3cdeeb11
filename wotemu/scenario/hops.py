"""Conditions as scenarios name them, imposed on the hops that a target stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.state import DIRECTIONS, HopKey, State
from wotemu.scenario.targets import HopTarget, places
from wotemu.scenario.timeline import Change, Direction
from wotemu.topology.conditions import RATE_FIELDS, NetworkConditions
from wotemu.units import Fraction, Quantity

GRADED: frozenset[str] = frozenset(
    {
        "latency",
        "jitter",
        "jitter_correlation",
        "loss",
        "loss_correlation",
        "duplicate",
        "duplicate_correlation",
        "corrupt",
        "corrupt_correlation",
        "reorder",
        "reorder_correlation",
        "rate",
        "burst",
    }
)
"""The conditions that are quantities, so that there are values between two of them."""


def parse(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Conditions by name, as their own types."""
    if not values:
        raise ScenarioError(
            "no condition is given", where=where, hint='write latency="300ms", loss="1%", ...'
        )
    try:
        conditions = NetworkConditions.of(**values)
    except InputError as error:
        raise ScenarioError(error.message, where=f"{where}, {error.where}", hint=error.hint) from error
    return {name: getattr(conditions, name) for name in values}


def parse_graded(name: str, value: Any, where: str) -> Quantity:
    """A value of a condition that is a quantity."""
    if name not in GRADED and name in {field.name for field in attrs.fields(NetworkConditions)}:
        raise ScenarioError(f"{name} has no values in between", where=where, hint=f"at(...).set({name}=...)")
    parsed: Quantity | None = parse({name: value}, where)[name]
    if parsed is None:
        raise ScenarioError(f"{name} is not limited then, so nothing leads there", where=where)
    return parsed


def parse_range(name: str, value: Any, where: str) -> tuple[Quantity, Quantity]:
    """Two values of a condition, ``("4mbit", "250kbit")``."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ScenarioError(f"{name}={value!r} is no pair of values", where=where, hint=f"{name}=(low, high)")
    first, second = (parse_graded(name, each, where) for each in value)
    return first, second


def like(example: Quantity, number: float) -> Quantity:
    """The number as a quantity of the example's kind, with no more digits than it can use.

    Twelve digits: so that rounding errors neither count as changes nor fill the timeline.
    """
    number = float(f"{number:.12g}")
    return type(example)(min(number, 1.0) if isinstance(example, Fraction) else number)


def hop_keys(target: HopTarget, direction: Direction | None, state: State, where: str) -> list[HopKey]:
    """The hops that a target stands for."""
    ways = DIRECTIONS if direction is None else (direction,)
    return [(network, node, way) for network, node in places(target, state.topology, where) for way in ways]


def concerns(key: HopKey, direction: Direction | None, name: str) -> bool:
    """Whether a condition that is set in `direction` is one of this hop's.

    One crossing of a network delays, loses, ... once, on the way up; its rate limits each way.
    """
    _, node, way = key
    return node is not None or direction is not None or way == "up" or name in RATE_FIELDS


def impose(
    state: State,
    at_s: float,
    target: HopTarget,
    direction: Direction | None,
    values: Mapping[str, Any],
    where: str,
) -> Iterator[Change]:
    """Set conditions on all hops that a target stands for."""
    for key in hop_keys(target, direction, state, where):
        yield from impose_on(state, at_s, key, direction, values)


def impose_on(
    state: State,
    at_s: float,
    key: HopKey,
    direction: Direction | None,
    values: Mapping[str, Any],
) -> Iterator[Change]:
    """Set those of the conditions on one hop that are its own."""
    own = {name: value for name, value in values.items() if concerns(key, direction, name)}
    if own:
        yield from state.set_conditions(at_s, key, state.conditions[key].replaced(own))
