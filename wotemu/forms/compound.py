"""Kinds that Python writes with operators or as one of several classes: waves, loss models, guards."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import attrs

from wotemu.errors import LoadError
from wotemu.forms.calls import Call, guarded
from wotemu.forms.document import Item
from wotemu.forms.kinds import Kind, ListOf, Names, Schema, refuse
from wotemu.scenario.vocabulary.when import metric
from wotemu.suggestions import did_you_mean


@attrs.frozen(eq=False)
class OneOfCalls:
    """A mapping with one key, which says what is called with what is under it."""

    calls: Mapping[str, Call]

    @property
    def what(self) -> str:
        """For messages."""
        return "a mapping with one of the keys " + ", ".join(self.calls)

    def accepts(self, item: Item) -> bool:
        """Whether it is a mapping."""
        return isinstance(item.value, dict)

    def read(self, item: Item, names: Names) -> Any:
        """What the call of this name returns."""
        if not isinstance(item.value, dict) or len(item.value) != 1:
            raise refuse(item, self)
        ((key, each),) = item.value.items()
        if key not in self.calls:
            hint = did_you_mean(key, self.calls)
            raise LoadError(f"there is no {key!r}", where=item.place_of(key), hint=hint)
        return self.calls[key].read(each, names)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """An object with one of the keys."""
        properties = {key: call.schema(defs) for key, call in self.calls.items()}
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }


@attrs.frozen
class Sum:
    """A list of values that are added up."""

    parts: ListOf

    what = "a list"

    def accepts(self, item: Item) -> bool:
        """Whether it is a list."""
        return self.parts.accepts(item)

    def read(self, item: Item, names: Names) -> Any:
        """The sum."""
        return reduce(operator.add, self.parts.read(item, names))

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """That of the list."""
        return self.parts.schema(defs)


COMPARISONS: dict[str, Callable[[Any, float], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?"
_COMPARISON = rf"^\s*([^\s<>=]+)\s*(<=|>=|<|>)\s*({_NUMBER})\s*$"


@attrs.frozen
class Comparison:
    """A comparison of a metric with a number: ``van.read_failures > 5``."""

    what = "a comparison such as van.read_failures > 5"

    def accepts(self, item: Item) -> bool:
        """Whether it is text."""
        return isinstance(item.value, str)

    def read(self, item: Item, names: Names) -> Any:  # noqa: ARG002
        """The condition."""
        match = re.match(_COMPARISON, item.value) if isinstance(item.value, str) else None
        if match is None:
            raise refuse(item, self, "write NODE.KEY, one of < <= > >=, and a number")
        name, sign, number = match.groups()
        return guarded(item, {}, lambda: COMPARISONS[sign](metric(name), float(number)))

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Text of this pattern."""
        return {"type": "string", "pattern": _COMPARISON, "examples": ["van.read_failures > 5"]}


@attrs.frozen(eq=False)
class Waiting:
    """The arguments of `when`: the condition under a key of its own, ``metric``, ``event`` or ``wire``."""

    call: Call
    conditions: Mapping[str, Kind]

    @property
    def what(self) -> str:
        """For messages."""
        return f"a mapping with {' or '.join(self.conditions)}"

    def accepts(self, item: Item) -> bool:
        """Whether it is a mapping."""
        return isinstance(item.value, dict)

    def called(
        self, item: Item, names: Names, function: Callable[..., Any], *, place: Item | None = None
    ) -> Any:
        """Call `function` with the condition, and with the arguments beside it."""
        given = [key for key in self.conditions if self.accepts(item) and key in item.value]
        if len(given) != 1:
            known = ", ".join([*self.conditions, *self.call.arguments])
            hint = f"give one of {' and '.join(self.conditions)}; known are {known}"
            raise LoadError(f"it is {item.what}, but has to be {self.what}", where=item.place, hint=hint)
        condition = self.conditions[given[0]].read(item.value[given[0]], names)
        rest = attrs.evolve(item, value={key: each for key, each in item.value.items() if key != given[0]})
        return self.call.called(rest, names, function, condition, place=place)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """An object with one of the conditions."""
        made = self.call.mapping_schema(defs)
        own = {key: kind.schema(defs) for key, kind in self.conditions.items()}
        one_of = [{"required": [key]} for key in self.conditions]
        return {**made, "properties": {**own, **made["properties"]}, "oneOf": one_of}
