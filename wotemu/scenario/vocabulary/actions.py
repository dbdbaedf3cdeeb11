"""What all words of a scenario come to: an event, which is steps at offsets from T0.

Offsets are whole microseconds from parsing on, so that times that are written alike are the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Protocol, Self, runtime_checkable

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import State
from wotemu.scenario.timeline import DIRECTIONS, Change, Direction
from wotemu.units import Fraction, QuantityLike, Seconds


class Step(Protocol):
    """What happens at one instant: changes the state and yields the atomic changes."""

    def __call__(self, state: State, at_us: int, /) -> Iterator[Change]:
        """Carry it out."""
        ...


TimedStep = tuple[int, Step]
"""A step with its offset in microseconds."""


@attrs.frozen
class Ending:
    """The step that ends a period. At the very end of a run nobody misses it."""

    step: Step

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        """Carry it out."""
        return self.step(state, at_us)


@runtime_checkable
class Action(Protocol):
    """Anything that a scenario's `events` may hold: a generator of timed steps."""

    @property
    def where(self) -> str:
        """How messages name it: the user's file and line, and what is written there."""
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
    def start_us(self) -> int:
        """When it begins."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the linter has to say of it, whatever the topology."""
        ...

    def steps(self, rng: Random, span_us: int) -> Iterable[TimedStep]:
        """Its steps with their offsets from T0.

        Args:
            rng: Its own source of random numbers, drawn from the scenario's seed.
            span_us: How long what has no end of its own goes on.
        """
        ...


MakeSteps = Callable[[Random, int], Iterable[TimedStep]]


@attrs.frozen(eq=False, repr=False)
class PlannedAction:
    """An event whose steps `make` gives, from a random source and the length of the scenario."""

    where: str
    label: str
    start_us: int
    make: MakeSteps
    phase: str = ""
    target: Any = None
    notes: tuple[str, ...] = ()

    def steps(self, rng: Random, span_us: int) -> Iterable[TimedStep]:
        """Its steps, in any order."""
        return self.make(rng, span_us)

    def named(self, phase: str) -> Self:
        """The same event; a phase of this name begins with it."""
        if not isinstance(phase, str) or not phase.strip():
            raise ScenarioError(f"{phase!r} is not a name", where=f"{self.where}.named")
        return attrs.evolve(self, phase=phase)

    def __repr__(self) -> str:
        return f"<{self.where}>"


def shifted_steps(events: tuple[Action, ...], by_us: int, rng: Random, span_us: int) -> Iterator[TimedStep]:
    """The steps of all events, so much later, each event with a random source of its own.

    `span_us` is how long what has no end of its own goes on.
    """
    for event in events:
        own = Random(rng.getrandbits(64))  # noqa: S311  # repeatable on purpose
        for at_us, step in event.steps(own, span_us):
            yield at_us + by_us, step


# Times

MAX_MOMENT_S = 366 * 86_400
"""Later than this is a slip."""


def parse_offset(value: QuantityLike, where: str) -> int:
    """A duration, or a point in time after T0, in microseconds."""
    try:
        moment_s = float(Seconds.offset(value))
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=where) from error
    if moment_s > MAX_MOMENT_S:
        raise ScenarioError(f"{value!r} is longer than a year", where=where)
    return microseconds(moment_s)


def parse_length(value: QuantityLike, where: str) -> int:
    """A duration of at least a microsecond, in microseconds."""
    length_us = parse_offset(value, where)
    if not length_us:
        what = "it is zero" if not Seconds.offset(value) else f"{value!r} is shorter than a microsecond"
        raise ScenarioError(what, where=where, hint='write a duration such as "1s"')
    return length_us


def microseconds(time_s: float) -> int:
    """The whole number of microseconds that is nearest."""
    return round(time_s * 1e6)


def seconds(time_us: int) -> Seconds:
    """The same time, to compute with or to show."""
    return Seconds(time_us / 1e6)


def step_times(start_us: int, end_us: int, every_us: int) -> list[int]:
    """From the start, every so often, and the end."""
    return [*range(start_us, end_us, every_us), end_us]


# Values that more than one word takes


def number(value: Any, name: str, where: str, *, least: float = 0.0, most: float = 1e12) -> float:
    """A plain number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScenarioError(f"{name}={value!r} is no number", where=where)
    if not least <= value <= most:
        raise ScenarioError(f"{name}={value!r} is not from {least:g} to {most:g}", where=where)
    return float(value)


def factor(value: Any, name: str, where: str) -> float:
    """A number to multiply with or divide by: above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e12:
        raise ScenarioError(f"{name}={value!r} is not above zero", where=where, hint=f"write {name}=2")
    return float(value)


def share(value: Any, name: str, where: str) -> float:
    """A number from 0 to 1, or a percentage."""
    try:
        return float(Fraction.of(value))
    except (ValueError, TypeError) as error:
        raise ScenarioError(f"{name}: {error}", where=where) from error


def flag(value: Any, name: str, where: str) -> bool:
    """True or False, and nothing else."""
    if not isinstance(value, bool):
        raise ScenarioError(f"{name}={value!r} is neither True nor False", where=where)
    return value


def direction_of(direction: Any, where: str) -> Direction | None:
    """A direction, or None for both."""
    if direction is not None and (not isinstance(direction, str) or direction not in DIRECTIONS):
        raise ScenarioError(
            f"{direction!r} is no direction", where=where, hint='write "up", "down" or None for both'
        )
    return direction


def checked_actions(events: Iterable[Any], where: str) -> tuple[Action, ...]:
    """The events, all of them checked to be such."""
    if isinstance(events, Action | str) or not isinstance(events, Iterable):
        raise ScenarioError(
            f"{events!r} is no list of events", where=where, hint="write [at(...).set(...), ...]"
        )
    found = tuple(events)
    for event in found:
        if not isinstance(event, Action):
            hint = 'write at("20s").set(...) or the like'
            if isinstance(event, list | tuple):
                hint = "give its events one by one: write a * before the list"
            raise ScenarioError(f"{event!r} is no event", where=where, hint=hint)
    return found


def inner_actions(events: Iterable[Any], where: str) -> tuple[Action, ...]:
    """What happens inside of another event, which begins no phase."""
    found = checked_actions(events, where)
    if not found:
        raise ScenarioError("nothing is to be done", where=where, hint="write .do(at(0).crash(node), ...)")
    for event in found:
        if event.phase:
            raise ScenarioError(
                f"phase {event.phase!r} can't begin in here, where nobody knows its one time",
                where=event.where,
                hint="leave out .named(...), or name a Phase of the scenario",
            )
    return found


MAX_STEPS = 200_000
"""More steps than this, of one event or of all together, are a slip: a timeline must fit into memory and
onto the bus."""


def check_step_count(count: float, where: str) -> None:
    """`ScenarioError` where an event would have too many steps."""
    if count > MAX_STEPS:
        raise ScenarioError(
            f"{count:.0f} steps are more than {MAX_STEPS}", where=where, hint="take a longer every="
        )
