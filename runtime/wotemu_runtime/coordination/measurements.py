"""Values that guards and waits compare: the last value of every metric, and how often events happened."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from wotemu.records import App, Event, Record

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
"""The comparisons that a condition can ask for."""


class Measurements:
    """Takes the records of a run.

    Conditions are as `MetricCondition.to_dict` and `EventCondition.to_dict` give them.

    Args:
        news: is called after records that a condition may depend on, while somebody waits for one.
    """

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._waiting = 0
        self._last: dict[tuple[str, str], tuple[float, float]] = {}
        self._events: Counter[tuple[str, str]] = Counter()

    def __repr__(self) -> str:
        return f"Measurements({len(self._last)} metrics, {self._events.total()} events)"

    tables = frozenset({App.TABLE, Event.TABLE})
    """See `Sink`."""

    def take(self, records: Sequence[Record]) -> None:
        """Take records of any table into account."""
        has_news = False
        for record in records:
            if isinstance(record, App):
                if record.t >= self._last.get((record.node, record.key), (0.0, 0.0))[0]:
                    self._last[record.node, record.key] = record.t, record.value
                has_news = True
            elif isinstance(record, Event):
                self._events[record.kind, record.source] += 1
                has_news = True
        if has_news and self._waiting:  # else hundreds of batches a second would wake the run for nothing
            self._news()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """While in the block, somebody waits for a condition."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def holds(self, condition: Mapping[str, Any]) -> bool:
        """Whether a condition holds by now; of several replicas' metrics, the one that came last counts."""
        if condition["kind"] == "event":
            return self._count(condition) >= int(condition["count"])
        value = self._value(condition)
        return value is not None and COMPARE[condition["op"]](value, condition["value"])

    def describe(self, condition: Mapping[str, Any]) -> str:
        """What a condition depends on, as it is now, for people."""
        if condition["kind"] == "event":
            return f"it happened {self._count(condition)} times"
        value = self._value(condition)
        return "it was never reported" if value is None else f"it is {value:g}"

    def _count(self, condition: Mapping[str, Any]) -> int:
        sources = condition["sources"]
        return sum(
            count
            for (kind, source), count in self._events.items()
            if kind == condition["event"] and (not sources or source in sources)
        )

    def _value(self, condition: Mapping[str, Any]) -> float | None:
        found = (self._last.get((replica, condition["key"])) for replica in condition["replicas"])
        return max((each for each in found if each is not None), default=(0.0, None))[1]
