"""Conditions that a formula, a walk or a trace gives step by step, and that end with their period."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from wotemu.errors import ScenarioError
from wotemu.scenario.events import Step
from wotemu.scenario.hops import concerns, hop_keys, impose_on, like
from wotemu.scenario.state import HopKey, State
from wotemu.scenario.targets import HopTarget
from wotemu.scenario.timeline import Change, Direction
from wotemu.units import Quantity

Values = Callable[[HopKey, Mapping[str, Any]], Mapping[str, Any]]
"""Conditions for a hop, which had the given ones when the period began."""


class Generated:
    """What the steps of one event share: their hops, and what held there when the event began."""

    def __init__(
        self, where: str, target: HopTarget, direction: Direction | None, names: tuple[str, ...]
    ) -> None:
        self._where = where
        self._target = target
        self._direction = direction
        self._names = names
        self._held: dict[HopKey, dict[str, Any]] = {}

    def impose(self, values: Values) -> Step:
        """A step that sets what `values` gives for each hop; what stays equal is no change."""

        def step(state: State, at_s: float) -> Iterator[Change]:
            for key, held in self._hops(state).items():
                wanted = values(key, held)
                yield from impose_on(state, at_s, key, self._direction, wanted)

        return step

    def release(self) -> Step:
        """A step that puts back what held before the first one."""
        return self.impose(lambda _key, held: held)

    def _hops(self, state: State) -> dict[HopKey, dict[str, Any]]:
        if not self._held:
            for key in hop_keys(self._target, self._direction, state, self._where):
                current = state.conditions[key]
                own = (name for name in self._names if concerns(key, self._direction, name))
                self._held[key] = {name: getattr(current, name) for name in own}
        return self._held


def between(first: Quantity, last: Quantity, share: float, *, log: bool = False) -> Quantity:
    """The quantity a share of the way from the first to the last, by steps of equal size or equal ratio."""
    if share >= 1:
        return last
    if log:
        return like(last, float(first) * (float(last) / float(first)) ** share)
    return like(last, float(first) + (float(last) - float(first)) * share)


def ramp_values(
    ends: Mapping[str, tuple[Quantity | None, Quantity]], share: float, *, log: bool, where: str
) -> Values:
    """What a ramp has come to; without a first value it starts from what held."""

    def values(key: HopKey, held: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, (first, last) in ends.items():
            start = first if first is not None else held.get(name)
            if name not in held:
                continue
            if start is None:
                place = f"{key[1]}@{key[0]}" if key[1] else key[0]
                raise ScenarioError(
                    f"{name} of {place} has no limit to start from", where=where, hint=f"{name}=(from, to)"
                )
            if log and not (start > 0 and last > 0):
                raise ScenarioError(f"{name} can't be 0 in a ramp of equal ratios", where=where)
            found[name] = between(start, last, share, log=log)
        return found

    return values


class Walks:
    """Random walks, each of one condition of one place: steps of normal size, reflected at the bounds.

    A place's two ways walk together. A walk starts from what held, or in the middle if that is outside.
    """

    def __init__(self, bounds: Mapping[str, tuple[Quantity, Quantity]], step: float, rng: Random) -> None:
        self._bounds = bounds
        self._step = step
        self._seed = rng.getrandbits(64)
        self._now: dict[tuple[str, str | None, str], tuple[Random, float, int]] = {}

    def values(self, number: int) -> Values:
        """Where each walk is after so many steps."""

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
        return between(low, high, place)


def _reflected(place: float) -> float:
    """Thrown back from 0 and 1 as often as needed."""
    place %= 2
    return 2 - place if place > 1 else place
