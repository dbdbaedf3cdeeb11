"""What all words of a scenario come to: an event, which is steps at offsets from T0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Protocol, Self, runtime_checkable

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import DIRECTIONS, State
from wotemu.scenario.timeline import Change, Direction
from wotemu.units import Like, Seconds


class Step(Protocol):
    """What happens at one instant: changes the state and yields the atomic changes."""

    def __call__(self, state: State, at_s: float, /) -> Iterator[Change]:
        """Carry it out."""
        ...


TimedStep = tuple[float, Step]
"""A step with its offset in seconds."""


@runtime_checkable
class Event(Protocol):
    """Anything that a scenario's `events` may hold: a generator of timed steps."""

    @property
    def where(self) -> str:
        """How messages name it."""
        ...

    @property
    def phase(self) -> str:
        """The phase that it begins; "" if it begins none."""
        ...

    @property
    def label(self) -> str:
        """What happens, in two words, for a phase's name; "" if it is none."""
        ...

    @property
    def start_s(self) -> float:
        """When it begins."""
        ...

    def steps(self, rng: Random, duration_s: float) -> Iterable[TimedStep]:
        """Its steps with their offsets from T0; `rng` is its own, drawn from the scenario's seed."""
        ...


Make = Callable[[Random, float], Iterable[TimedStep]]


@attrs.frozen(eq=False, repr=False)
class PlannedEvent:
    """An event whose steps `make` gives, from a random source and the scenario's duration."""

    where: str
    label: str
    start_s: float
    make: Make
    phase: str = ""
    target: Any = None

    def steps(self, rng: Random, duration_s: float) -> Iterable[TimedStep]:
        """Its steps, in any order."""
        return self.make(rng, duration_s)

    def named(self, phase: str) -> Self:
        """The same event; a phase of this name begins with it."""
        if not isinstance(phase, str) or not phase.strip():
            raise ScenarioError(f"{phase!r} is not a name", where=f"{self.where}.named")
        return attrs.evolve(self, phase=phase)

    def __repr__(self) -> str:
        return f"<{self.where}>"


def moment(value: Like, where: str) -> float:
    """A duration, or a point in time after T0, in seconds."""
    try:
        return float(Seconds.offset(value))
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=where) from error


def interval(value: Like, where: str) -> float:
    """A duration that is not zero, in seconds."""
    length_s = moment(value, where)
    if not length_s:
        raise ScenarioError("it is zero", where=where, hint='write a duration such as "1s"')
    return length_s


def direction_of(direction: Any, where: str) -> Direction | None:
    """A direction, or None for both."""
    if direction not in (None, *DIRECTIONS):
        raise ScenarioError(
            f"{direction!r} is no direction", where=where, hint='write "up", "down" or None for both'
        )
    return direction  # type: ignore[no-any-return]  # checked above


def is_events(events: Iterable[Any], where: str) -> tuple[Event, ...]:
    """The events, all of them checked to be such."""
    if isinstance(events, Event) or not isinstance(events, Iterable):
        raise ScenarioError(f"{events!r} is no list of events", where=where)
    kept = tuple(events)
    for event in kept:
        if not isinstance(event, Event):
            hint = 'write at("20s").set(...) or the like'
            raise ScenarioError(f"{event!r} is no event", where=where, hint=hint)
    return kept


def step_times(start_s: float, end_s: float, every_s: float) -> list[float]:
    """From the start, every so often, and the end."""
    count = int((end_s - start_s) / every_s + 1e-9)
    times = [start_s + number * every_s for number in range(count + 1)]
    return times if end_s - times[-1] < every_s * 1e-6 else [*times, end_s]


MAX_STEPS = 200_000
"""More steps of one event than this are a slip: a timeline must fit into memory and onto the bus."""


def few_enough(count: float, where: str) -> None:
    """`ScenarioError` where an event would have too many steps."""
    if count > MAX_STEPS:
        raise ScenarioError(
            f"{count:.0f} steps are more than {MAX_STEPS}", where=where, hint="take a longer every="
        )
