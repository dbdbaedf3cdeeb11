"""Links that flap and nodes that come and go, at random times that are drawn beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.events import Step, TimedStep
from wotemu.scenario.instants import SILENCE_BEFORE_CRASH_S, App, Cut
from wotemu.scenario.state import State
from wotemu.scenario.targets import HopTarget, NodeTarget, replica_networks, replicas
from wotemu.scenario.timeline import Change

_PER = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def per_second(rate: Any, where: str) -> float:
    """How often something happens in a second, from ``"6/min"``, ``"2/h"`` or a number."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(?:/\s*(s|min|m|h))?\s*", str(rate))
    often = float(match.group(1)) / _PER[match.group(2) or "s"] if match and rate is not True else 0.0
    if not often:
        raise ScenarioError(f"rate={rate!r} says not how often", where=where, hint='write "6/min"')
    return often


@attrs.frozen
class Flap:
    """Cuts that come again and again. `lengths_s` are how long it is cut and how long it is not."""

    where: str
    target: HopTarget
    start_s: float
    end_s: float
    lengths_s: tuple[float, float]
    jitter: float

    def steps(self, rng: Random, _duration_s: float) -> Iterator[TimedStep]:
        """Down, up, down, ... and up at the end."""
        reason = f"flap {rng.getrandbits(64):x}"
        at_s, cut = self.start_s, True
        while at_s < self.end_s:
            yield at_s, self._step(reason, cut)
            at_s += self.lengths_s[0 if cut else 1] * (1 + rng.uniform(-self.jitter, self.jitter))
            cut = not cut
        if not cut:
            yield self.end_s, self._step(reason, cut)

    def _step(self, reason: str, cut: bool) -> Step:
        def step(state: State, at_s: float) -> Iterator[Change]:
            for replica, network in replica_networks(self.target, state.topology, self.where):
                yield from state.set_cut(at_s, replica, [network], reason, cut)

        return step


@attrs.frozen
class Churn:
    """Crashes at independent times, each of a random node that runs, and its restart."""

    where: str
    nodes: NodeTarget
    start_s: float
    end_s: float
    rate: float
    downtime_s: tuple[float, float]

    def steps(self, rng: Random, _duration_s: float) -> Iterator[TimedStep]:
        """A cut, a crash and a restart, each time."""
        at_s = self.start_s + rng.expovariate(self.rate)
        while at_s < self.end_s:
            yield from self._one(at_s, rng.random(), rng.uniform(*self.downtime_s))
            at_s += rng.expovariate(self.rate)

    def _one(self, at_s: float, draw: float, downtime_s: float) -> Iterator[TimedStep]:
        chosen: list[str] = []

        def cut(state: State, at_s: float) -> Iterator[Change]:
            names = replicas(self.nodes, state.topology, self.where)
            running = [
                name for name in names if state.app.get(name) == "running" and not _crashed(state, name)
            ]
            chosen.extend(running[int(draw * len(running)) :][:1])
            return Cut(self.where, tuple(chosen), cut=True)(state, at_s) if chosen else iter(())

        def crash(state: State, at_s: float) -> Iterator[Change]:
            return App(self.where, tuple(chosen), state="crashed")(state, at_s) if chosen else iter(())

        def restart(state: State, at_s: float) -> Iterator[Change]:
            if chosen and state.app[chosen[0]] == "crashed":
                yield from Cut(self.where, tuple(chosen), cut=False)(state, at_s)
                yield from App(self.where, tuple(chosen), state="running")(state, at_s)

        yield at_s, cut
        yield at_s + SILENCE_BEFORE_CRASH_S, crash
        yield at_s + SILENCE_BEFORE_CRASH_S + downtime_s, restart


def _crashed(state: State, replica: str) -> bool:
    """Whether its network is silent already, as shortly before a crash."""
    return any("crash" in reasons for (name, _), reasons in state.cut.items() if name == replica)
