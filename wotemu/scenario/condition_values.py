"""Values of conditions by name: parsed from what scenarios give, scaled and interpolated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.suggestions import did_you_mean
from wotemu.topology.conditions import NetworkConditions
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
        "duty_cycle",
    }
)
"""The conditions that are quantities: those that can be scaled and interpolated."""

CONDITIONS = tuple(field.name for field in attrs.fields(NetworkConditions))


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse names that are no condition.

    Raises:
        ScenarioError: One is none.
    """
    for name in names:
        if name not in CONDITIONS:
            hint = did_you_mean(name, CONDITIONS, NetworkConditions.ALIASES)
            raise ScenarioError(f"there is no condition {name!r}", where=where, hint=hint, field=name)


def parse_conditions(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Conditions by name, as the types that `NetworkConditions` has them in.

    Raises:
        ScenarioError: There is none, or a name or value can't be.
    """
    if not values:
        raise ScenarioError(
            "no condition is given", where=where, hint='write latency="300ms", loss="1%", ...'
        )
    check_names(values, where)
    try:
        conditions = NetworkConditions.of(**values)
    except InputError as error:
        raise ScenarioError(
            error.message, where=f"{where}, {error.where}", hint=error.hint, field=error.field
        ) from error
    return {name: getattr(conditions, name) for name in values}


def all_fields(conditions: NetworkConditions) -> dict[str, Any]:
    """All fields of conditions by name."""
    return {name: getattr(conditions, name) for name in CONDITIONS}


def parse_graded(name: str, value: Any, where: str) -> Quantity:
    """A value of a condition that is a quantity.

    Raises:
        ScenarioError: The condition is none, or the value can't be.
    """
    check_graded(name, where)
    parsed: Quantity | None = parse_conditions({name: value}, where)[name]
    if parsed is None:
        raise ScenarioError(f"{name} is not limited then, so nothing leads there", where=where, field=name)
    return parsed


def check_graded(name: str, where: str) -> None:
    """Refuse a condition that is no quantity.

    Raises:
        ScenarioError: It is none.
    """
    check_names([name], where)
    if name not in GRADED:
        raise ScenarioError(
            f"{name} has no values in between", where=where, hint=f"at(...).set({name}=...)", field=name
        )


def parse_range(name: str, value: Any, where: str) -> tuple[Quantity, Quantity]:
    """Two values of a condition, ``("4mbit", "250kbit")``.

    Raises:
        ScenarioError: The condition is no quantity, or the values can't be.
    """
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ScenarioError(
            f"{name}={value!r} is no pair of values", where=where, hint=f"{name}=(low, high)", field=name
        )
    first, second = (parse_graded(name, each, where) for each in value)
    return first, second


def same_kind(example: Quantity, number: float) -> Quantity:
    """The number as a quantity of the example's kind, rounded to twelve digits.

    Without rounding, floating-point errors would count as changes of conditions.
    """
    number = float(f"{number:.12g}")
    return type(example)(min(number, 1.0) if isinstance(example, Fraction) else number)


def scaled(conditions: NetworkConditions, factors: Mapping[str, float], where: str) -> dict[str, Any]:
    """Conditions multiplied by factors. Shares stop at 1; a rate without a limit stays so."""
    found = {}
    for name, factor in factors.items():
        value = getattr(conditions, name)
        if value is not None:
            found[name] = same_kind(value, value * factor)
    return parse_conditions(found, where) if found else {}


def interpolate(first: Quantity, last: Quantity, share: float, *, log: bool = False) -> Quantity:
    """The quantity at a share of the way from the first to the last, linear or (`log`) geometric."""
    if share >= 1:
        return last
    if log:
        return same_kind(last, float(first) * (float(last) / float(first)) ** share)
    return same_kind(last, float(first) + (float(last) - float(first)) * share)
