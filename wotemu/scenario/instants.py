"""What happens at one moment: ``at("20s").set(network, loss="5%")``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.events import PlannedEvent, Step, TimedStep, direction_of, moment
from wotemu.scenario.hops import concerns, hop_keys, impose, impose_on, like, parse, parse_graded
from wotemu.scenario.state import State, networks_of
from wotemu.scenario.targets import HopTarget, NodeTarget, kept, label, replicas
from wotemu.scenario.timeline import Change, Direction
from wotemu.units import Like, Seconds

SILENCE_BEFORE_CRASH_S = 0.05
"""A crashed machine sends no FIN and no RST: its network goes silent this long before its app is killed."""

CRASH = "crash"
"""Why a crashed replica is cut off its networks."""


@attrs.frozen
class Instant:
    """One moment, waiting for what happens at it."""

    at_s: float

    def set(self, target: HopTarget, direction: Direction | None = None, **conditions: Any) -> PlannedEvent:
        """Set the given conditions of a network, link or node; the others stay as they are.

        Without `direction`, a network's delay and loss are set for one crossing of it and its rate for
        both ways; a link's or node's conditions are set on its way up and its way down.
        """
        where = self._where("set")
        step = _Set(where, kept(target), direction_of(direction, where), parse(conditions, where))
        return self._event(where, "set", step.target, step)

    def scale(self, target: HopTarget, direction: Direction | None = None, **factors: float) -> PlannedEvent:
        """Multiply conditions: ``latency=2, rate=0.5``. Shares stop at 100 %; no limit stays none."""
        where = self._where("scale")
        step = _Scale(where, kept(target), direction_of(direction, where), _factors(factors, where))
        return self._event(where, "scale", step.target, step)

    def restore(self, target: HopTarget | None = None, direction: Direction | None = None) -> PlannedEvent:
        """Put the topology's own conditions back; without a target, everywhere."""
        where = self._where("restore")
        step = _Restore(where, kept(target), direction_of(direction, where))
        return self._event(where, "restore", step.target, step)

    def partition(self, *groups: NodeTarget) -> PlannedEvent:
        """Cut the groups of nodes off from each other; a single group from all others.

        Nodes in no group still reach everybody. It replaces the partition before it.
        """
        where = self._where("partition")
        if not groups:
            raise ScenarioError("no group is given", where=where, hint="write .partition([a, b], [c])")
        return self._event(
            where, "partition", None, _Partition(where, tuple(kept(group) for group in groups))
        )

    def heal(self) -> PlannedEvent:
        """End the partition."""
        return self._event(
            self._where("heal"), "heal", None, lambda state, at_s: state.set_partition(at_s, ())
        )

    def crash(self, node: NodeTarget) -> PlannedEvent:
        """Cut the node's network, then kill its app, as a power failure does."""
        where, node = self._where("crash"), kept(node)
        return self._event(
            where,
            "crash",
            node,
            Cut(where, node, cut=True),
            (SILENCE_BEFORE_CRASH_S, App(where, node, state="crashed")),
        )

    def restart(self, node: NodeTarget) -> PlannedEvent:
        """Start the node's app again, with its network, whether it crashed, was stopped or still runs."""
        where, node = self._where("restart"), kept(node)
        steps = (Cut(where, node, cut=False), App(where, node, state="running"))
        return self._event(where, "restart", node, *steps)

    def stop(self, node: NodeTarget) -> PlannedEvent:
        """Ask the node's app to end (SIGTERM); its network stays."""
        where, node = self._where("stop"), kept(node)
        return self._event(where, "stop", node, App(where, node, state="stopped"))

    def start(self, node: NodeTarget) -> PlannedEvent:
        """Start the app of a node that was stopped or has crashed; nothing where it runs."""
        where, node = self._where("start"), kept(node)
        steps = (Cut(where, node, cut=False), App(where, node, state="running", unless="running"))
        return self._event(where, "start", node, *steps)

    def _where(self, verb: str) -> str:
        return f"at({Seconds(self.at_s)}).{verb}"

    def _event(self, where: str, verb: str, target: Any, *steps: Step | TimedStep) -> PlannedEvent:
        timed = [step if isinstance(step, tuple) else (0.0, step) for step in steps]
        planned = tuple((self.at_s + after_s, step) for after_s, step in timed)
        text = verb if target is None else f"{verb} {label(target)}"
        return PlannedEvent(where, text, self.at_s, lambda _rng, _duration_s: planned, target=target)


def at(time: Like) -> Instant:
    """The moment `time` after T0."""
    return Instant(moment(time, f"at({time!r})"))


def _factors(factors: Mapping[str, float], where: str) -> dict[str, float]:
    if not factors:
        raise ScenarioError("no condition is given", where=where, hint="write latency=2, rate=0.5, ...")
    for name, factor in factors.items():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            raise ScenarioError(f"{name}={factor!r} is no factor", where=where, hint=f"write {name}=2")
        parse_graded(name, 0, where)
    return dict(factors)


@attrs.frozen
class _Set:
    where: str
    target: HopTarget
    direction: Direction | None
    wanted: Mapping[str, Any]

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        return impose(state, at_s, self.target, self.direction, self.wanted, self.where)


@attrs.frozen
class _Scale:
    where: str
    target: HopTarget
    direction: Direction | None
    factors: Mapping[str, float]

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        for key in hop_keys(self.target, self.direction, state, self.where):
            yield from impose_on(state, at_s, key, self.direction, self._scaled(state, key))

    def _scaled(self, state: State, key: Any) -> dict[str, Any]:
        current = {name: getattr(state.conditions[key], name) for name in self.factors}
        return {
            name: like(value, value * self.factors[name])
            for name, value in current.items()
            if value is not None and concerns(key, self.direction, name)
        }


@attrs.frozen
class _Restore:
    where: str
    target: HopTarget | None
    direction: Direction | None

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        if self.target is not None:
            keys = hop_keys(self.target, self.direction, state, self.where)
        else:
            keys = [key for key in state.base if self.direction in (None, key[2])]
        for key in keys:
            yield from state.set_conditions(at_s, key, state.base[key])


@attrs.frozen
class _Partition:
    where: str
    groups: tuple[NodeTarget, ...]

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        groups = tuple(tuple(replicas(group, state.topology, self.where)) for group in self.groups)
        seen: set[str] = set()
        for names in groups:
            if twice := seen.intersection(names):
                raise ScenarioError(f"{sorted(twice)[0]!r} is in two groups", where=self.where)
            seen.update(names)
        return state.set_partition(at_s, groups)


@attrs.frozen(kw_only=True)
class Cut:
    """Cut replicas off all their networks, as a crash does, or let them back."""

    where: str = attrs.field(kw_only=False)
    node: NodeTarget = attrs.field(kw_only=False)
    cut: bool

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        """Carry it out."""
        for replica in replicas(self.node, state.topology, self.where):
            networks: Iterable[str] = networks_of(state.topology, replica)
            yield from state.set_cut(at_s, replica, networks, CRASH, self.cut)


@attrs.frozen(kw_only=True)
class App:
    """Bring replicas' apps into a state; those that are in the state `unless` are left alone."""

    where: str = attrs.field(kw_only=False)
    node: NodeTarget = attrs.field(kw_only=False)
    state: str
    unless: str = ""

    def __call__(self, state: State, at_s: float) -> Iterator[Change]:
        """Carry it out."""
        for replica in replicas(self.node, state.topology, self.where):
            if replica not in state.app:
                raise ScenarioError(
                    f"{replica!r} is a plain service, whose program is not WoTemu's to start or end",
                    where=self.where,
                    hint=f"cut it off instead: .partition({replica!r}), or a loss of 100% on its link",
                )
            if state.app[replica] != self.unless:
                yield from state.set_app(at_s, replica, self.state)
