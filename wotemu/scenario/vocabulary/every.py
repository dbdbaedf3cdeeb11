"""Actions that are repeated: ``every("30s").do(at(0).crash(node), at("5s").restart(node))``."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary.actions import (
    Action,
    PlannedAction,
    TimedStep,
    check_step_count,
    inner_actions,
    parse_length,
    parse_offset,
    shifted_steps,
)
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.when import GuardedActions
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.units import QuantityLike


@keeps_calls
@attrs.frozen
class Repeat:
    """An interval; `do` says what happens at its beginnings."""

    where: str
    every_us: int
    start_us: int
    until_us: int | None

    def do(self, *events: Action) -> PlannedAction:
        """Repeat actions.

        Args:
            events: The actions. Their times count from the begin of each repetition; each repetition draws
                random numbers of its own. An `every` among them without `until` ends with the repetition.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: An action can't be repeated, such as a guard.
        """
        where = f"{self.where}.do"
        inner = inner_actions(events, where)
        for event in inner:
            if isinstance(event, GuardedActions):
                raise ScenarioError(
                    "a guard waits for one moment of the run, and can't be repeated",
                    where=event.where,
                    hint="write when(...) beside every(...), or every(...) inside of when(...).do(...)",
                )

        def make(rng: Random, span_us: int) -> Iterator[TimedStep]:
            until_us = span_us if self.until_us is None else self.until_us
            check_step_count((until_us - self.start_us) / self.every_us, where)
            for begin_us in range(self.start_us, until_us, self.every_us):
                yield from shifted_steps(inner, begin_us, rng, min(self.every_us, until_us - begin_us))

        notes = tuple(dict.fromkeys(note for event in inner for note in event.notes))
        return PlannedAction(where, "", self.start_us, make, notes=notes)


def every(period: QuantityLike, *, start: QuantityLike = 0, until: QuantityLike | None = None) -> Repeat:
    """Repeat actions: ``every("30s").do(at(0).crash(node), at("5s").restart(node))``.

    Args:
        period: The time from one repetition to the next.
        start: When the first repetition begins, after T0.
        until: No repetition begins at this offset or later; by default the end of the scenario.

    Returns:
        An object whose method `do` takes what is repeated.

    Raises:
        ScenarioError: A time can't be read, or `until` is not after `start`.
    """
    where = source_location(f"every({period!r})")
    period_us, start_us = parse_length(period, where), parse_offset(start, where, "start")
    until_us = None if until is None else parse_offset(until, where, "until")
    if until_us is not None and until_us <= start_us:
        raise ScenarioError(f"until={until!r} is not after start={start!r}", where=where, field="until")
    return Repeat(where, period_us, start_us, until_us)
