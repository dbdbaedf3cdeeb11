"""The words that a scenario is written in. Each builds an event; the resolver turns events into changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, Protocol

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.state import DIRECTIONS, HopKey, State, base_conditions
from wotemu.scenario.targets import HopTarget, NodeTarget, group, places, replicas
from wotemu.scenario.timeline import Change, Direction
from wotemu.topology.conditions import RATE_FIELDS, NetworkConditions
from wotemu.units import Like, Seconds

SILENCE_BEFORE_CRASH_S = 0.05
"""A crashed machine sends no FIN and no RST: its network goes silent this long before its app is killed."""


class Step(Protocol):
    """What happens at one instant: changes the state and yields the atomic changes."""

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        """Carry it out."""
        ...


class Event(Protocol):
    """Anything that a scenario's `events` may hold: a generator of timed steps."""

    @property
    def where(self) -> str:
        """How messages name it."""
        ...

    def steps(self, rng: Random, duration_s: float) -> Iterable[tuple[float, Step]]:
        """Its steps with their offsets from T0; `rng` is its own, drawn from the scenario's seed."""
        ...


def moment(value: Like, where: str) -> float:
    """A point in time after T0, in seconds."""
    try:
        return float(Seconds.of(value))
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=where) from error


@attrs.frozen
class Instant:
    """One moment, waiting for what happens at it: ``at("20s").set(network, loss="5%")``."""

    at_s: float

    def set(self, target: HopTarget, direction: Direction | None = None, **conditions: Any) -> InstantEvent:
        """Set the given conditions of a network, link or node; the others stay as they are.

        Without `direction`, a network's delay and loss are set for one crossing of it and its rate for
        both ways; a link's or node's conditions are set on its way up and its way down.
        """
        where = f"at({Seconds(self.at_s)}).set"
        if not conditions:
            raise ScenarioError(
                "no condition is given", where=where, hint='write latency="300ms", loss="1%", ...'
            )
        try:
            wanted = NetworkConditions.of(**conditions)
        except InputError as error:
            raise ScenarioError(error.message, where=f"{where}, {error.where}", hint=error.hint) from error
        return self._event(
            "set", _Set(where, target, _direction(direction, where), wanted, tuple(conditions))
        )

    def restore(self, target: HopTarget, direction: Direction | None = None) -> InstantEvent:
        """Put the topology's own conditions back."""
        where = f"at({Seconds(self.at_s)}).restore"
        return self._event("restore", _Restore(where, target, _direction(direction, where)))

    def partition(self, *groups: NodeTarget | Iterable[NodeTarget]) -> InstantEvent:
        """Cut the groups of nodes off from each other; a single group from all others.

        Nodes in no group still reach everybody. It replaces the partition before it.
        """
        where = f"at({Seconds(self.at_s)}).partition"
        if not groups:
            raise ScenarioError("no group is given", where=where, hint="write .partition([a, b], [c])")
        kept = tuple(
            item if isinstance(item, str) or not isinstance(item, Iterable) else tuple(item)
            for item in groups
        )
        return self._event("partition", _Partition(where, kept))

    def heal(self) -> InstantEvent:
        """End the partition."""
        return self._event("heal", lambda state, at_s: state.set_partition(at_s, ()))

    def crash(self, node: NodeTarget) -> InstantEvent:
        """Cut the node's network, then kill its app, as a power failure does."""
        where = f"at({Seconds(self.at_s)}).crash"
        return self._event(
            "crash", _Cut(where, node, cut=True), (SILENCE_BEFORE_CRASH_S, _App(where, node, state="crashed"))
        )

    def restart(self, node: NodeTarget) -> InstantEvent:
        """Start the node's app again, with its network, whether it crashed, was stopped or still runs."""
        where = f"at({Seconds(self.at_s)}).restart"
        return self._event("restart", _Cut(where, node, cut=False), (0.0, _App(where, node, state="running")))

    def _event(self, verb: str, *steps: Step | tuple[float, Step]) -> InstantEvent:
        timed = tuple(step if isinstance(step, tuple) else (0.0, step) for step in steps)
        return InstantEvent(f"at({Seconds(self.at_s)}).{verb}", self.at_s, timed)


def at(time: Like) -> Instant:
    """The moment `time` after T0."""
    return Instant(moment(time, f"at({time!r})"))


@attrs.frozen
class InstantEvent:
    """Steps at one instant, or a fixed little while after it."""

    where: str
    at_s: float
    timed: tuple[tuple[float, Step], ...]

    def steps(self, rng: Random, duration_s: float) -> Iterator[tuple[float, Step]]:  # noqa: ARG002  # an Event's signature
        """Each step at its own offset."""
        return ((self.at_s + after_s, step) for after_s, step in self.timed)


def _direction(direction: Any, where: str) -> Direction | None:
    if direction not in (None, *DIRECTIONS):
        raise ScenarioError(
            f"{direction!r} is no direction", where=where, hint='write "up", "down" or None for both'
        )
    return direction  # type: ignore[no-any-return]  # checked above


@attrs.frozen
class _Set:
    where: str
    target: HopTarget
    direction: Direction | None
    wanted: NetworkConditions
    named: tuple[str, ...]

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        for network, node in places(self.target, state.topology, self.where):
            for direction in DIRECTIONS if self.direction is None else (self.direction,):
                named = set(self.named)
                if node is None and self.direction is None and direction == "down":
                    named &= RATE_FIELDS  # one crossing: the rest happens on the way up
                if named:
                    key: HopKey = (network, node, direction)
                    values = {name: getattr(self.wanted, name) for name in named}
                    yield from state.set_conditions(at_s, key, attrs.evolve(state.conditions[key], **values))


@attrs.frozen
class _Restore:
    where: str
    target: HopTarget
    direction: Direction | None

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        base = base_conditions(state.topology)
        for network, node in places(self.target, state.topology, self.where):
            for direction in DIRECTIONS if self.direction is None else (self.direction,):
                key: HopKey = (network, node, direction)
                yield from state.set_conditions(at_s, key, base[key])


@attrs.frozen
class _Partition:
    where: str
    groups: tuple[NodeTarget | Iterable[NodeTarget], ...]

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        groups = tuple(group(item, state.topology, self.where) for item in self.groups)
        seen: set[str] = set()
        for names in groups:
            if twice := seen.intersection(names):
                raise ScenarioError(f"{sorted(twice)[0]!r} is in two groups", where=self.where)
            seen.update(names)
        return state.set_partition(at_s, groups)


@attrs.frozen(kw_only=True)
class _Cut:
    where: str = attrs.field(kw_only=False)
    node: NodeTarget = attrs.field(kw_only=False)
    cut: bool

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        for replica in replicas(self.node, state.topology, self.where):
            yield from state.set_cut(at_s, replica, self.cut)


@attrs.frozen(kw_only=True)
class _App:
    where: str = attrs.field(kw_only=False)
    node: NodeTarget = attrs.field(kw_only=False)
    state: str

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        for replica in replicas(self.node, state.topology, self.where):
            yield from state.set_app(at_s, replica, self.state)
