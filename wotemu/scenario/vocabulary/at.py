"""What happens at one moment: ``at("20s").set(network, loss="5%")``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.condition_values import check_graded, parse, scaled, whole
from wotemu.scenario.state import State
from wotemu.scenario.state.partitions import Named, Unnamed
from wotemu.scenario.timeline import Change, Direction, HopKey
from wotemu.scenario.vocabulary.actions import (
    PlannedAction,
    Step,
    TimedStep,
    direction_of,
    number,
    parse_offset,
    seconds,
)
from wotemu.scenario.vocabulary.faults import crash_steps, cutting, on_apps, parting
from wotemu.scenario.vocabulary.impose import concerns, hop_keys, impose
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable, target_label
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import QuantityLike

CUT = "cut"
"""Why a replica is cut off by `Instant.cut`, until `Instant.reconnect`."""


@attrs.frozen(repr=False)
class Instant:
    """One moment, waiting for what happens at it."""

    at_us: int
    source: str
    """The user's file and line, and the moment."""

    def __repr__(self) -> str:
        return f"<{self.source}>"

    def set(
        self,
        target: HopTarget,
        preset: NetworkConditions | Direction | None = None,
        direction: Direction | None = None,
        **conditions: Any,
    ) -> PlannedAction:
        """Set conditions of a network, link or node; those that are not given stay as they are.

        Without a direction, a network's delay and loss are set for one crossing of it and its rate for
        both ways; a link's or node's conditions are set on its way up and its way down.

        Args:
            target: What changes.
            preset: All conditions at once, such as ``NetworkConditions.LTE``. It may be left out.
            direction: ``"up"``, ``"down"``, or None for both.
            conditions: Conditions by name, as ``latency="300ms"``; they hold over the preset's.
        """
        where = self._where("set")
        way, wanted = settings(preset, direction, conditions, where)
        step = _Set(where, reusable(target), way, wanted)
        return self._event(where, "set", step.target, step)

    def scale(self, target: HopTarget, direction: Direction | None = None, **factors: float) -> PlannedAction:
        """Multiply conditions: ``latency=2, rate=0.5``. Shares stop at 100 %; no limit stays none."""
        where = self._where("scale")
        step = _Scale(where, reusable(target), direction_of(direction, where), factors_of(factors, where))
        return self._event(where, "scale", step.target, step)

    def restore(self, target: HopTarget | None = None, direction: Direction | None = None) -> PlannedAction:
        """Put the topology's own conditions back; without a target, everywhere.

        A period that goes on still holds over them until it ends.
        """
        where = self._where("restore")
        step = _Restore(where, reusable(target), direction_of(direction, where))
        return self._event(where, "restore", step.target, step)

    def partition(self, *groups: NodeTarget, name: str | None = None) -> PlannedAction:
        """Cut the groups of nodes off from each other; a single group from all others.

        Nodes in no group still reach everybody. It holds beside those before it, until `heal`; one with a
        `name` replaces the one of that name.
        """
        where = self._where("partition")
        checked, name = groups_of(groups, where), _name(name, where)

        def make() -> Iterator[TimedStep]:
            yield self.at_us, parting(where, checked, Unnamed() if name is None else Named(name))

        return self._planned(where, "partition", None, make)

    def heal(self, name: str | None = None) -> PlannedAction:
        """End the partition of this name; without one, all that instants began."""
        where = self._where("heal")
        return self._event(where, "heal", None, _Heal(where, _name(name, where)))

    def cut(self, target: HopTarget) -> PlannedAction:
        """Cut a network, a node or one link (``"reader@field"``) off, as by pulling the plug."""
        where, target = self._where("cut"), reusable(target)
        return self._event(where, "cut", target, cutting(where, target, CUT, True))

    def reconnect(self, target: HopTarget) -> PlannedAction:
        """Undo `cut`."""
        where, target = self._where("reconnect"), reusable(target)
        return self._event(where, "reconnect", target, cutting(where, target, CUT, False))

    def crash(self, node: NodeTarget) -> PlannedAction:
        """Cut the node's network, then kill its app, as a power failure does."""
        where, node = self._where("crash"), reusable(node)
        return self._planned(where, "crash", node, lambda: crash_steps(where, node, self.at_us, object()))

    def restart(self, node: NodeTarget) -> PlannedAction:
        """Start the node's app again, with its network, whether it crashed, was stopped or still runs."""
        where, node = self._where("restart"), reusable(node)
        step = on_apps(where, node, lambda state, at_us, name: state.start(at_us, name, anew=True))
        return self._event(where, "restart", node, step)

    def stop(self, node: NodeTarget) -> PlannedAction:
        """Ask the node's app to end (SIGTERM); its network stays."""
        where, node = self._where("stop"), reusable(node)
        step = on_apps(where, node, lambda state, at_us, name: state.stop(at_us, name))
        return self._event(where, "stop", node, step)

    def start(self, node: NodeTarget) -> PlannedAction:
        """Start the app of a node that was stopped or has crashed; nothing where it runs."""
        where, node = self._where("start"), reusable(node)
        step = on_apps(where, node, lambda state, at_us, name: state.start(at_us, name, anew=False))
        return self._event(where, "start", node, step)

    def _where(self, verb: str) -> str:
        return f"{self.source}.{verb}"

    def _event(self, where: str, verb: str, target: Any, step: Step) -> PlannedAction:
        return self._planned(where, verb, target, lambda: [(self.at_us, step)])

    def _planned(
        self, where: str, verb: str, target: Any, make: Callable[[], Iterable[TimedStep]]
    ) -> PlannedAction:
        def steps(_rng: Random, _span_us: int) -> Iterable[TimedStep]:
            return make()

        text = verb if target is None else f"{verb} {target_label(target)}"
        return PlannedAction(where, text, self.at_us, steps, target=target)


def at(time: QuantityLike) -> Instant:
    """The moment `time` after T0."""
    at_us = parse_offset(time, source_location(f"at({time!r})"))
    return Instant(at_us, source_location(f"at({seconds(at_us)})"))


def settings(
    preset: NetworkConditions | Direction | None,
    direction: Direction | None,
    conditions: Mapping[str, Any],
    where: str,
) -> tuple[Direction | None, dict[str, Any]]:
    """The direction and the conditions that `set` was given."""
    wanted: dict[str, Any] = {}
    if isinstance(preset, NetworkConditions):
        wanted = whole(preset)
    elif preset is not None and direction is not None:
        raise ScenarioError(f"{preset!r} is no NetworkConditions", where=where)
    else:
        direction = preset or direction
    way = direction_of(direction, where)
    if conditions or not wanted:
        wanted |= parse(conditions, where)
    return way, wanted


def factors_of(factors: Mapping[str, float], where: str) -> dict[str, float]:
    """The factors that `scale` was given, checked."""
    if not factors:
        raise ScenarioError("no condition is given", where=where, hint="write latency=2, rate=0.5, ...")
    for name, factor in factors.items():
        check_graded(name, where)
        number(factor, name, where)
    return dict(factors)


def groups_of(groups: tuple[NodeTarget, ...], where: str) -> tuple[NodeTarget, ...]:
    """The groups that `partition` was given."""
    if not groups:
        raise ScenarioError("no group is given", where=where, hint="write .partition([a, b], [c])")
    return tuple(reusable(group) for group in groups)


def _name(name: Any, where: str) -> str | None:
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ScenarioError(f"{name!r} is not a name", where=where)
    return name


@attrs.frozen
class _Set:
    where: str
    target: HopTarget
    direction: Direction | None
    wanted: Mapping[str, Any]

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        return impose(state, at_us, self.target, self.direction, self.wanted, self.where)


@attrs.frozen
class _Scale:
    where: str
    target: HopTarget
    direction: Direction | None
    factors: Mapping[str, float]

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        for key in hop_keys(self.target, self.direction, state, self.where):
            yield from state.set_instant(at_us, key, self._scaled(state, key))

    def _scaled(self, state: State, key: HopKey) -> dict[str, Any]:
        own = {name: by for name, by in self.factors.items() if concerns(key, self.direction, name)}
        return scaled(state.instants[key], own, self.where)


@attrs.frozen
class _Restore:
    where: str
    target: HopTarget | None
    direction: Direction | None

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        if self.target is not None:
            keys = hop_keys(self.target, self.direction, state, self.where)
        else:
            keys = [key for key in state.base if self.direction in (None, key[2])]
        for key in keys:
            yield from state.restore(at_us, key)


@attrs.frozen
class _Heal:
    where: str
    name: str | None

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        if self.name is not None:
            state.observed.healed.setdefault(self.name, state.event)
        for each in list(state.partitions):
            if self._means(each):
                yield from state.part(at_us, each, None, self.where)

    def _means(self, name: Hashable) -> bool:
        return name == Named(self.name) if self.name is not None else isinstance(name, Named | Unnamed)
