"""Figures that objectives limit: what is measured, of whom, and in which unit."""

from __future__ import annotations

import math
from typing import Any, Literal, NoReturn

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary.on_wire import OnWire
from wotemu.scenario.vocabulary.request_condition import RequestCondition
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.units import Fraction, PerSecond, Seconds

Unit = Literal["s", "share", "/s", "count", "number"]
"""Seconds, a share of all (0 to 1), a second's number, a whole number, or whatever an app reports."""
Operator = Literal["<", "<=", ">", ">=", "=="]

LATENCIES = ("p50", "p90", "p95", "p99", "mean")
"""The figures of durations of requests."""
COUNTS = ("requests", "failures")
"""The figures that count requests."""
_EXAMPLES: dict[Unit, str] = {"s": '"500ms"', "share": '"1%"', "/s": '"5/s"', "count": "3", "number": "2.0"}


@attrs.frozen(kw_only=True)
class Selection:
    """What a figure is computed of; "" and None stand for all.

    Attributes:
        operation: Such as ``readproperty``.
        name: Of the affordance.
        role: Who measured: ``consumer`` or ``producer``.
        node: Names, objects or a tag, as the user gave them.
        key: Of an app's metric.
        statistic: Of an app's metric: ``p99``, ``mean``, ``max``, ...
        wire: Which requests seen on the wire, in place of interactions: then the other fields are empty.
    """

    operation: str = ""
    thing: str = ""
    name: str = ""
    binding: str = ""
    role: str = ""
    node: Any = None
    key: str = ""
    statistic: str = ""
    wire: OnWire | None = None


@attrs.frozen(eq=False)
class Figure:
    """Something measured, to compare with ``<``, ``<=``, ``>``, ``>=``, and counts with ``==``.

    Attributes:
        kind: What is measured: ``p95``, ``errors``, ``availability``, ``restarts``, ...
        of: What of, in words: ``readproperty of phone``.
        unit: The figure's and its limits'.
        select: What it is computed of.
    """

    kind: str
    of: str
    unit: Unit
    select: Selection = attrs.field(repr=False)

    __hash__ = object.__hash__

    @property
    def text(self) -> str:
        """Such as ``p95 of readproperty of phone``, ``requests: HTTP GET of phone, seen on the wire``."""
        if self.kind in COUNTS:
            return f"{self.kind}: {self.of}"
        return f"{self.kind.replace('_', ' ')} of {self.of}"

    def limited(self, op: Operator, limit: Any) -> Comparison:
        """The comparison with a limit, which is text with a unit or a number.

        Raises:
            ScenarioError: The limit can't be read, or its unit is not the figure's.
        """
        where = source_location(self.text)
        value = self._limit(limit, where)
        if op == "==" and self.unit != "count":
            if self.kind != "errors" or value:
                hint = "compare it with <, <=, > or >="
                raise ScenarioError("a measured value is rarely equal to a number", where=where, hint=hint)
            op = "<="
        return Comparison(self, op, value)

    def _limit(self, limit: Any, where: str) -> float:
        try:
            return _PARSE[self.unit](limit)
        except (ValueError, TypeError) as error:
            hint = f"write {self.text} < {_EXAMPLES[self.unit]}"
            raise ScenarioError(str(error), where=where, hint=hint) from error

    def __lt__(self, limit: Any) -> Comparison:
        return self.limited("<", limit)

    def __le__(self, limit: Any) -> Comparison:
        return self.limited("<=", limit)

    def __gt__(self, limit: Any) -> Comparison:
        return self.limited(">", limit)

    def __ge__(self, limit: Any) -> Comparison:
        return self.limited(">=", limit)

    def __eq__(self, limit: object) -> Comparison:  # type: ignore[override]  # it is a word of the vocabulary
        return self.limited("==", limit)

    def __ne__(self, limit: object) -> NoReturn:
        hint = "compare it with <, <=, > or >="
        raise ScenarioError("!= is no limit", where=source_location(self.text), hint=hint)

    def __bool__(self) -> NoReturn:
        raise _unknown_yet(self.text)


def figure_key(figure: Figure) -> tuple[Any, ...]:
    """What makes two figures the same: ``==`` between them would be a word of the vocabulary."""
    return figure.kind, figure.of, figure.unit, figure.select


@attrs.frozen
class Comparison:
    """A figure with its limit, in the figure's unit."""

    figure: Figure = attrs.field(eq=figure_key, hash=False)
    op: Operator
    limit: float

    def condition(self) -> RequestCondition:
        """What a guard waits for, of a number of requests that are seen on the wire.

        Raises:
            ScenarioError: It is of another figure, or does not become true by more requests.
        """
        figure, where = self.figure, source_location(self.figure.text)
        if figure.kind not in COUNTS or figure.select.wire is None:
            hint = 'write when(failures(http("GET", "/status")) >= 3)'
            message = "guards wait for numbers of requests that are seen on the wire"
            raise ScenarioError(message, where=where, hint=hint)
        if self.op not in (">", ">="):
            raise ScenarioError("a number of requests grows", where=where, hint="compare it with > or >=")
        count = int(self.limit) + (self.op == ">")
        if not count:
            raise ScenarioError(">= 0 holds always", where=where, hint="write >= 1")
        return RequestCondition(figure.select.wire, figure.kind == "failures", count)

    def __bool__(self) -> NoReturn:
        raise _unknown_yet(f"{self.figure.text} {self.op} {self.limit:g}")


def _unknown_yet(text: str) -> ScenarioError:
    hint = "one comparison to each expect(...): no `and`, `or`, `not`, nor 1 < figure < 2"
    return ScenarioError("its value is known only after the run", where=source_location(text), hint=hint)


def _count(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise ValueError(f"{value!r} is no whole number")
    return float(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number: an app's metric has no unit")
    return float(value)


_PARSE = {
    "s": lambda value: float(Seconds.of(value)),
    "share": lambda value: float(Fraction.of(value)),
    "/s": lambda value: float(PerSecond.of(value)),
    "count": _count,
    "number": _number,
}
