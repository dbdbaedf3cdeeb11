"""Crashes, stops, pauses, cuts and partitions, at given times or at random ones that are drawn beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from random import Random
from typing import Any, Literal, get_args

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import State
from wotemu.scenario.state.node_settings import NodeSetting, SettingKind
from wotemu.scenario.state.partitions import Groups
from wotemu.scenario.timeline import Change
from wotemu.scenario.vocabulary.actions import Ending, Step, TimedStep, microseconds
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, network_name, replica_networks, replicas
from wotemu.topology.members import networks_of
from wotemu.topology.network import Network

SILENCE_BEFORE_CRASH_S = 0.05
"""A crashed machine sends no FIN and no RST: its network goes silent this long before its app is killed."""

SILENCE_BEFORE_CRASH_US = microseconds(SILENCE_BEFORE_CRASH_S)


@attrs.frozen(eq=False)
class Occurrence:
    """One period or crash, as the reason for what it cuts, parts or stops. Each is equal only to itself."""

    where: str


_WithoutValues = Literal["crash", "pause", "disconnect"]
Fault = _WithoutValues | SettingKind
"""The faults that churn can cause."""
FAULTS: tuple[str, ...] = (*get_args(_WithoutValues), *get_args(SettingKind))

OnReplica = Callable[[State, int, str], Iterator[Change]]


def on_apps(where: str, nodes: NodeTarget, act: OnReplica) -> Step:
    """A step that calls `act` for each replica of the target."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        for replica in app_replicas(nodes, state, where):
            yield from act(state, at_us, replica)

    return step


def app_replicas(nodes: NodeTarget, state: State, where: str) -> list[str]:
    """The replicas of a target.

    Raises:
        ScenarioError: One is of a plain service, whose program WoTemu neither starts nor ends, or an uplink.
    """
    found = replicas(nodes, state.topology, where)
    for replica in found:
        if replica not in state.app:
            is_uplink = any(uplink.name == replica for uplink in state.topology.uplinks)
            what = (
                "an uplink, which runs no program of the emulation's"
                if is_uplink
                else "a plain service, whose program is not WoTemu's to start or end"
            )
            raise ScenarioError(
                f"{replica!r} is {what}",
                where=where,
                hint=f"cut it off instead: .cut({replica!r})",
            )
    return found


def crash_steps(where: str, nodes: NodeTarget, at_us: int, crash: Hashable) -> Iterator[TimedStep]:
    """The two steps of a crash: the network goes silent, then the apps are killed.

    Args:
        where: The action in the user's file, for messages.
        nodes: The nodes that crash.
        at_us: When, in microseconds after T0.
        crash: Identifies the crash, for `State.revive`.
    """
    yield at_us, on_apps(where, nodes, lambda state, at_us, name: state.silence(at_us, name, crash))
    kill = on_apps(where, nodes, lambda state, at_us, name: state.kill(at_us, name, crash))
    yield at_us + SILENCE_BEFORE_CRASH_US, kill


def unplugging(
    where: str, nodes: NodeTarget, network: Network | str | None, reason: Hashable, unplugged: bool
) -> Step:
    """A step that unplugs nodes from a network (None: from all of theirs), or plugs them in again."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        wanted = None if network is None else network_name(network, state.topology, where)
        for replica in app_replicas(nodes, state, where):
            own = networks_of(state.topology, replica)
            if wanted is not None and wanted not in own:
                raise ScenarioError(
                    f"{replica!r} is not on network {wanted!r}",
                    where=where,
                    hint=f"it is on {', '.join(own)}",
                )
            yield from state.unplug(at_us, replica, own if wanted is None else [wanted], reason, unplugged)

    return step


def pausing(where: str, nodes: NodeTarget, reason: Hashable, paused: bool) -> Step:
    """A step that suspends the processes of nodes, or lets them go on, for one reason of possibly several."""
    return on_apps(where, nodes, lambda state, at_us, name: state.pause(at_us, name, reason, paused))


def setting_on_nodes(
    where: str,
    kind: SettingKind,
    nodes: NodeTarget,
    value: NodeSetting | None,
    period: Hashable | None = None,
) -> Step:
    """A step that sets something on nodes, such as their limits, for a period or for good; None ends that."""
    return on_apps(
        where, nodes, lambda state, at_us, name: state.set_on_node(at_us, kind, name, value, period)
    )


def cutting(where: str, target: HopTarget, reason: Hashable, cut: bool) -> Step:
    """A step that cuts off or reconnects a target, for one reason of possibly several."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        for replica, network in replica_networks(target, state.topology, where):
            yield from state.set_cut(at_us, replica, [network], reason, cut)

    return step


def parting(where: str, groups: tuple[NodeTarget, ...], name: Hashable) -> Step:
    """A step that begins a partition, or replaces the one with this key."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        sets: Groups = tuple(tuple(replicas(group, state.topology, where)) for group in groups)
        seen: set[str] = set()
        for names in sets:
            if twice := seen.intersection(names):
                raise ScenarioError(f"{sorted(twice)[0]!r} is in two groups", where=where)
            seen.update(names)
        return state.part(at_us, name, sets, where)

    return step


_PER = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def per_second(rate: Any, where: str) -> float:
    """A frequency in 1/s, from ``"6/min"``, ``"2/h"`` or a number per second."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(?:/\s*(s|min|m|h))?\s*", str(rate))
    often = float(match.group(1)) / _PER[match.group(2) or "s"] if match and rate is not True else 0.0
    if not often:
        raise ScenarioError(
            f"rate={rate!r} says not how often", where=where, hint='write "6/min"', field="rate"
        )
    return often


@attrs.frozen
class Flap:
    """A target that is cut off again and again; `lengths_us` are the durations of a cut and of a pause."""

    where: str
    target: HopTarget
    start_us: int
    end_us: int
    lengths_us: tuple[int, int]
    jitter: float

    def steps(self, rng: Random, _span_us: int) -> Iterator[TimedStep]:
        """The cuts and reconnections in turn, and a reconnection at the end."""
        span = Occurrence(self.where)
        at_us, cut = self.start_us, True
        while at_us < self.end_us:
            yield at_us, cutting(self.where, self.target, span, cut)
            length_us = self.lengths_us[0 if cut else 1] * (1 + rng.uniform(-self.jitter, self.jitter))
            at_us += max(1, round(length_us))
            cut = not cut
        if not cut:
            yield self.end_us, Ending(cutting(self.where, self.target, span, cut))


@attrs.frozen
class Churn:
    """Faults of one kind at independent times, each of a random replica that runs, and their ends."""

    where: str
    nodes: NodeTarget
    start_us: int
    end_us: int
    rate: float
    downtime_us: tuple[int, int]
    fault: Fault = "crash"
    setting: NodeSetting | None = None
    """What a node has while a fault that sets something lasts."""

    def steps(self, rng: Random, _span_us: int) -> Iterator[TimedStep]:
        """Silence, kill and restart of each crash, or begin and end of each other fault.

        A first step checks the target, even without any.
        """
        yield self.start_us, self._check
        at_us = self.start_us + self._wait_us(rng)
        while at_us < self.end_us:
            make = self._crash if self.fault == "crash" else self._hold
            yield from make(at_us, rng.random(), round(rng.uniform(*self.downtime_us)))
            at_us += self._wait_us(rng)

    def _check(self, state: State, _at_us: int) -> Iterator[Change]:
        app_replicas(self.nodes, state, self.where)
        return iter(())

    def _wait_us(self, rng: Random) -> int:
        return microseconds(rng.expovariate(self.rate))

    def _up(self, state: State) -> list[str]:
        """The replicas that run, and of those to be unplugged the ones that are plugged in."""
        names = app_replicas(self.nodes, state, self.where)
        up = [name for name in names if state.app[name] == "running" and not state.crashes.get(name)]
        if self.fault == "disconnect":
            unplugged = {replica for (replica, _), reasons in state.unplugged.items() if reasons}
            return [name for name in up if name not in unplugged]
        return [name for name in up if not state.pauses.get(name)]

    def _hold(self, at_us: int, draw: float, downtime_us: int) -> Iterator[TimedStep]:
        period, chosen = Occurrence(self.where), list[str]()

        def begin(state: State, at_us: int) -> Iterator[Change]:
            up = self._up(state)
            chosen.extend(up[int(draw * len(up)) :][:1])
            yield from change(state, at_us, True)

        def change(state: State, at_us: int, holds: bool) -> Iterator[Change]:
            for replica in chosen:
                yield from self._change(state, at_us, replica, period, holds)

        def end(state: State, at_us: int) -> Iterator[Change]:
            return change(state, at_us, False)

        yield at_us, begin
        yield at_us + downtime_us, Ending(end)

    def _change(
        self, state: State, at_us: int, replica: str, period: Hashable, holds: bool
    ) -> Iterator[Change]:
        """Begin or end a fault that is no crash."""
        match self.fault:
            case "crash":
                raise AssertionError("a crash has steps of its own")
            case "pause":
                return state.pause(at_us, replica, period, holds)
            case "disconnect":
                networks = networks_of(state.topology, replica)
                return state.unplug(at_us, replica, networks, period, holds)
            case kind:
                return state.set_on_node(at_us, kind, replica, self.setting if holds else None, period)

    def _crash(self, at_us: int, draw: float, downtime_us: int) -> Iterator[TimedStep]:
        crash, chosen = Occurrence(self.where), list[str]()

        def silence(state: State, at_us: int) -> Iterator[Change]:
            up = self._up(state)
            chosen.extend(up[int(draw * len(up)) :][:1])
            for replica in chosen:
                yield from state.silence(at_us, replica, crash)

        def kill(state: State, at_us: int) -> Iterator[Change]:
            for replica in chosen:
                yield from state.kill(at_us, replica, crash)

        def revive(state: State, at_us: int) -> Iterator[Change]:
            for replica in chosen:
                yield from state.revive(at_us, replica, crash)

        killed_us = at_us + SILENCE_BEFORE_CRASH_US
        yield at_us, silence
        yield killed_us, kill
        yield killed_us + downtime_us, revive
