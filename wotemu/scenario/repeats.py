"""What happens again and again: ``every("30s").do(at(0).crash(node), at("5s").restart(node))``."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.events import Event, PlannedEvent, TimedStep, few_enough, interval, is_events, moment
from wotemu.units import Like, Seconds


@attrs.frozen
class Repeat:
    """An interval, waiting for what is done at each of its beginnings."""

    where: str
    every_s: float
    start_s: float
    until_s: float | None

    def do(self, *events: Event) -> PlannedEvent:
        """Carry out these events each time; their times count from it. Each time draws its own chances."""
        where = f"{self.where}.do"
        if not events:
            raise ScenarioError(
                "nothing is to be done", where=where, hint="write .do(at(0).crash(node), ...)"
            )
        inner = is_events(events, where)

        def make(rng: Random, duration_s: float) -> Iterator[TimedStep]:
            until_s = duration_s if self.until_s is None else self.until_s
            few_enough((until_s - self.start_s) / self.every_s, where)
            begin_s, number = self.start_s, 0
            while begin_s < until_s:
                yield from shifted(inner, begin_s, rng, duration_s)
                number += 1
                begin_s = self.start_s + number * self.every_s

        return PlannedEvent(where, "", self.start_s, make)


def shifted(events: tuple[Event, ...], by_s: float, rng: Random, duration_s: float) -> Iterator[TimedStep]:
    """The steps of all events, so much later, each event with a random source of its own."""
    for event in events:
        own = Random(rng.getrandbits(64))  # noqa: S311  # repeatable on purpose
        for at_s, step in event.steps(own, duration_s):
            yield at_s + by_s, step


def every(period: Like, *, start: Like = 0, until: Like | None = None) -> Repeat:
    """Each `period` from `start` on, until before `until` (by default the scenario's end)."""
    where = f"every({period!r})"
    period_s, start_s = interval(period, where), moment(start, f"{where}, start")
    until_s = None if until is None else moment(until, f"{where}, until")
    if until_s is not None and until_s <= start_s:
        raise ScenarioError(f"until {Seconds(until_s)} is not after start {Seconds(start_s)}", where=where)
    return Repeat(where, period_s, start_s, until_s)
