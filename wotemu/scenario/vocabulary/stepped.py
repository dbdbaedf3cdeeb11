"""Conditions that a period sets step by step, in a layer that ends with the period."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

from wotemu.errors import ScenarioError
from wotemu.scenario.condition_values import interpolate
from wotemu.scenario.state import State
from wotemu.scenario.state.layers import Layer
from wotemu.scenario.timeline import Change, Direction, HopKey
from wotemu.scenario.vocabulary.actions import Ending, Step, TimedStep
from wotemu.scenario.vocabulary.impose import concerns, hop_keys, own
from wotemu.scenario.vocabulary.targets import HopTarget
from wotemu.units import Quantity

Values = Callable[[HopKey, Mapping[str, Any]], Mapping[str, Any]]
"""Returns the conditions of a step for a hop, given those that held there when the period began."""


class SteppedLayer:
    """The layer of one period, its hops, and the conditions that held there when it began."""

    def __init__(
        self,
        where: str,
        target: HopTarget,
        direction: Direction | None,
        names: Iterable[str],
        *,
        layer: Callable[[str], Layer] = Layer,
        keep: bool = False,
    ) -> None:
        """A layer without steps.

        Args:
            where: The action in the user's file, for messages.
            target: Whose conditions are set.
            direction: ``"up"``, ``"down"``, or None for both.
            names: The conditions whose values at the begin the steps need.
            layer: The class of the layer.
            keep: Whether the last values stay after the end.
        """
        self._where = where
        self._target = target
        self._direction = direction
        self._names = tuple(names)
        self._layer = layer(where)
        self._keep = keep
        self._held: dict[HopKey, dict[str, Any]] = {}

    def steps(self, start_us: int, end_us: int, timed: Iterable[tuple[int, Values]]) -> Iterator[TimedStep]:
        """The steps from the period's begin to its end, from times in microseconds and their values."""
        yield start_us, self._begin
        last: Values | None = None
        for at_us, values in timed:
            if at_us < end_us:
                yield at_us, self._imposing(values)
            elif self._keep:
                last = values
        yield end_us, Ending(self._ending(last))

    def _begin(self, state: State, at_us: int) -> Iterator[Change]:
        self._layer.event = state.event
        for key in hop_keys(self._target, self._direction, state, self._where):
            held = state.conditions[key]
            names = (name for name in self._names if concerns(key, self._direction, name))
            self._held[key] = {name: getattr(held, name) for name in names}
            yield from state.lay(at_us, key, self._layer, {})

    def _imposing(self, values: Values) -> Step:
        def step(state: State, at_us: int) -> Iterator[Change]:
            for key, held in self._held.items():
                wanted = own(key, self._direction, values(key, held))
                if wanted:
                    yield from state.lay(at_us, key, self._layer, wanted)

        return step

    def _ending(self, last: Values | None) -> Step:
        def step(state: State, at_us: int) -> Iterator[Change]:
            for key, held in self._held.items():
                final = dict(self._layer.values.get(key, ()))
                yield from state.lift(at_us, key, self._layer)
                if self._keep:
                    final |= own(key, self._direction, last(key, held)) if last else {}
                    yield from state.set_instant(at_us, key, final)

        return step


def same_for_all(values: Mapping[str, Any]) -> Values:
    """The same values for every hop."""
    return lambda _key, _held: values


def ramp_values(
    ends: Mapping[str, tuple[Quantity | None, Quantity]], share: float, *, log: bool, where: str
) -> Values:
    """The values of a ramp after a share of its way; without a first value it starts from what held."""

    def values(key: HopKey, held: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, (first, last) in ends.items():
            if name not in held:
                continue
            start = first if first is not None else held[name]
            if start is None:
                place = f"{key[1]}@{key[0]}" if key[1] else key[0]
                raise ScenarioError(
                    f"{name} of {place} has no limit to start from", where=where, hint=f"{name}=(from, to)"
                )
            if log and not (start > 0 and last > 0):
                raise ScenarioError(f"{name} can't be 0 in a ramp of equal ratios", where=where)
            found[name] = interpolate(start, last, share, log=log)
        return found

    return values


class Walks:
    """Random walks, one for each condition of each link or network: normal steps, reflected at the bounds.

    Both hops of a link share a walk. A walk starts from what held, or in the middle if that is out of bounds.
    """

    def __init__(self, bounds: Mapping[str, tuple[Quantity, Quantity]], step: float, rng: Random) -> None:
        """Walks at their start.

        Args:
            bounds: Lower and upper bound by names of conditions.
            step: Standard deviation of a step, as a share of the distance between the bounds.
            rng: Seeds the walks.
        """
        self._bounds = bounds
        self._step = step
        self._seed = rng.getrandbits(64)
        self._now: dict[tuple[str, str | None, str], tuple[Random, float, int]] = {}

    def values(self, number: int) -> Values:
        """The values of all walks after a number of steps."""

        def values(key: HopKey, held: Mapping[str, Any]) -> dict[str, Any]:
            return {name: self._at((*key[:2], name), held[name], number) for name in held}

        return values

    def _at(self, walk: tuple[str, str | None, str], held: Quantity | None, number: int) -> Quantity:
        low, high = self._bounds[walk[2]]
        if walk not in self._now:
            start = 0.5 if held is None or not low <= held <= high else (held - low) / (high - low)
            self._now[walk] = Random(f"{self._seed}/{walk}"), start, 0  # noqa: S311  # repeatable on purpose
        rng, place, done = self._now[walk]
        while done < number:
            place, done = _reflected(place + rng.gauss(0, self._step)), done + 1
        self._now[walk] = rng, place, done
        return interpolate(low, high, place)


def _reflected(place: float) -> float:
    """The place reflected at 0 and 1 until it lies between them."""
    place %= 2
    return 2 - place if place > 1 else place
