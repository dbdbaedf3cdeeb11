"""Events whose times count from another moment than T0."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from wotemu.scenario.vocabulary.actions import Event, TimedStep


def shifted(events: tuple[Event, ...], by_us: int, rng: Random, span_us: int) -> Iterator[TimedStep]:
    """The steps of all events, so much later, each event with a random source of its own.

    `span_us` is how long what has no end of its own goes on.
    """
    for event in events:
        own = Random(rng.getrandbits(64))  # noqa: S311  # repeatable on purpose
        for at_us, step in event.steps(own, span_us):
            yield at_us + by_us, step
