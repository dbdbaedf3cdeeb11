"""Actions: what all words of a scenario make, each a generator of steps at offsets from T0.

Offsets are whole microseconds from parsing on, so that equal times in different notations are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Protocol, Self, runtime_checkable

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import State
from wotemu.scenario.timeline import DIRECTIONS, Change, Direction
from wotemu.scenario.vocabulary.written import Written
from wotemu.units import Fraction, QuantityLike, Seconds


class Step(Protocol):
    """Changes the state at one instant, and yields the atomic changes that this makes."""

    def __call__(self, state: State, at_us: int, /) -> Iterator[Change]:
        """Apply the step at `at_us`, in microseconds after T0."""
        ...


TimedStep = tuple[int, Step]
"""A step with its offset in microseconds."""


@attrs.frozen
class Ending:
    """The step that ends a period. The linter does not report it as late where the run ends at that time."""

    step: Step

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        """Apply the step."""
        return self.step(state, at_us)


@runtime_checkable
class Action(Protocol):
    """Anything that `Scenario(events=...)` may hold."""

    @property
    def where(self) -> str:
        """The user's file and line, and the word as it is written, for messages."""
        ...

    @property
    def phase(self) -> str:
        """The name of the phase that begins with it; "" for none."""
        ...

    @property
    def label(self) -> str:
        """The verb and its target, for the name of a phase; "" where it can't name one."""
        ...

    @property
    def start_us(self) -> int:
        """When it begins, in microseconds after T0."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings of the linter that do not depend on the topology."""
        ...

    def steps(self, rng: Random, span_us: int) -> Iterable[TimedStep]:
        """The steps with their offsets from T0, in any order.

        Args:
            rng: A random number generator of its own, seeded from the scenario's seed.
            span_us: How long an action without an end of its own goes on.
        """
        ...


MakeSteps = Callable[[Random, int], Iterable[TimedStep]]


@attrs.frozen(eq=False, repr=False)
class PlannedAction:
    """An action whose steps `make` returns, from a random number generator and the length of the scenario."""

    where: str
    label: str
    start_us: int
    make: MakeSteps
    phase: str = ""
    target: Any = None
    notes: tuple[str, ...] = ()
    written: Written | None = None

    def steps(self, rng: Random, span_us: int) -> Iterable[TimedStep]:
        """The steps with their offsets from T0, in any order."""
        return self.make(rng, span_us)

    def named(self, phase: str) -> Self:
        """The same action, with which a phase begins.

        Args:
            phase: The name of the phase.

        Raises:
            ScenarioError: The name is empty or no string.
        """
        if not isinstance(phase, str) or not phase.strip():
            raise ScenarioError(f"{phase!r} is not a name", where=f"{self.where}.named")
        return attrs.evolve(self, phase=phase)

    def __repr__(self) -> str:
        return f"<{self.where}>"


def shifted_steps(events: tuple[Action, ...], by_us: int, rng: Random, span_us: int) -> Iterator[TimedStep]:
    """The steps of all actions, each later by the same time and with a random generator of its own.

    Args:
        events: The actions.
        by_us: How much later their steps are, in microseconds.
        rng: Seeds the generators of the actions.
        span_us: How long an action without an end of its own goes on.
    """
    for event in events:
        own = Random(rng.getrandbits(64))  # noqa: S311  # repeatable on purpose
        for at_us, step in event.steps(own, span_us):
            yield at_us + by_us, step


# Times

MAX_MOMENT_S = 366 * 86_400
"""A later time is a mistake."""


def parse_offset(value: QuantityLike, where: str, field: str | None = None) -> int:
    """An offset from T0, or a duration that may be 0, in whole microseconds.

    Args:
        value: What is written.
        where: The word that it is given to, for messages.
        field: The argument of the word.

    Raises:
        ScenarioError: It can't be read, or is longer than a year.
    """
    place = f"{where}, {field}" if field else where
    try:
        moment_s = float(Seconds.offset(value))
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=place, field=field) from error
    if moment_s > MAX_MOMENT_S:
        raise ScenarioError(f"{value!r} is longer than a year", where=place, field=field)
    return microseconds(moment_s)


def parse_length(value: QuantityLike, where: str, field: str | None = None) -> int:
    """A duration above 0, in whole microseconds.

    Args:
        value: What is written.
        where: The word that it is given to, for messages.
        field: The argument of the word.

    Raises:
        ScenarioError: It can't be read, is shorter than a microsecond, or longer than a year.
    """
    length_us = parse_offset(value, where, field)
    if not length_us:
        what = "it is zero" if not Seconds.offset(value) else f"{value!r} is shorter than a microsecond"
        place = f"{where}, {field}" if field else where
        raise ScenarioError(what, where=place, hint='write a duration such as "1s"', field=field)
    return length_us


def microseconds(time_s: float) -> int:
    """Seconds as the nearest whole number of microseconds."""
    return round(time_s * 1e6)


def seconds(time_us: int) -> Seconds:
    """Microseconds as seconds."""
    return Seconds(time_us / 1e6)


def step_times(start_us: int, end_us: int, every_us: int) -> list[int]:
    """The times from the start on, `every_us` apart, and the end."""
    return [*range(start_us, end_us, every_us), end_us]


# Values that more than one word takes


def number(value: Any, name: str, where: str, *, least: float = 0.0, most: float = 1e12) -> float:
    """A plain number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScenarioError(f"{name}={value!r} is no number", where=where, field=name)
    if not least <= value <= most:
        raise ScenarioError(f"{name}={value!r} is not from {least:g} to {most:g}", where=where, field=name)
    return float(value)


def factor(value: Any, name: str, where: str) -> float:
    """A number above zero, to multiply or divide by."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e12:
        raise ScenarioError(
            f"{name}={value!r} is not above zero", where=where, hint=f"write {name}=2", field=name
        )
    return float(value)


def share(value: Any, name: str, where: str) -> float:
    """A number from 0 to 1, or a percentage."""
    try:
        return float(Fraction.of(value))
    except (ValueError, TypeError) as error:
        raise ScenarioError(f"{name}: {error}", where=where, field=name) from error


def flag(value: Any, name: str, where: str) -> bool:
    """True or False, and nothing else."""
    if not isinstance(value, bool):
        raise ScenarioError(f"{name}={value!r} is neither True nor False", where=where, field=name)
    return value


def direction_of(direction: Any, where: str) -> Direction | None:
    """A direction, or None for both."""
    if direction is not None and (not isinstance(direction, str) or direction not in DIRECTIONS):
        raise ScenarioError(
            f"{direction!r} is no direction",
            where=where,
            field="direction",
            hint='write "up", "down" or None for both',
        )
    return direction


def checked_actions(events: Iterable[Any], where: str) -> tuple[Action, ...]:
    """The actions as a tuple.

    Raises:
        ScenarioError: It is no list, or an item is no action.
    """
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
    """The actions inside another action.

    Raises:
        ScenarioError: There is none, or one begins a phase: it may take place several times, or never.
    """
    found = checked_actions(events, where)
    if not found:
        raise ScenarioError("nothing is to be done", where=where, hint="write .do(at(0).crash(node), ...)")
    for event in found:
        if event.phase:
            raise ScenarioError(
                f"phase {event.phase!r} can't begin in here: this may happen several times, or never",
                where=event.where,
                hint="leave out .named(...), or name a Phase of the scenario",
            )
    return found


MAX_STEPS = 200_000
"""More steps than this, of one action or of all together, are a mistake: a timeline has to fit into memory
and onto the bus."""


def check_step_count(count: float, where: str) -> None:
    """Refuse an action that would have more than `MAX_STEPS` steps.

    Raises:
        ScenarioError: It has.
    """
    if count > MAX_STEPS:
        raise ScenarioError(
            f"{count:.0f} steps are more than {MAX_STEPS}", where=where, hint="take a longer every="
        )
