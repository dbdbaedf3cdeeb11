"""Links that flap and nodes that come and go, at random times that are drawn beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import State
from wotemu.scenario.timeline import Change
from wotemu.scenario.vocabulary.actions import Ending, TimedStep, microseconds
from wotemu.scenario.vocabulary.faults import SILENCE_BEFORE_CRASH_US, Span, app_replicas, cutting
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget

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
    """Cuts that come again and again. `lengths_us` are how long it is cut and how long it is not."""

    where: str
    target: HopTarget
    start_us: int
    end_us: int
    lengths_us: tuple[int, int]
    jitter: float

    def steps(self, rng: Random, _span_us: int) -> Iterator[TimedStep]:
        """Down, up, down, ... and up at the end."""
        span = Span(self.where)
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
    """Crashes at independent times, each of a random node that runs, and its restart."""

    where: str
    nodes: NodeTarget
    start_us: int
    end_us: int
    rate: float
    downtime_us: tuple[int, int]

    def steps(self, rng: Random, _span_us: int) -> Iterator[TimedStep]:
        """A cut, a crash and a restart, each time; before, a look at whether the nodes are there."""
        yield self.start_us, self._check
        at_us = self.start_us + self._wait_us(rng)
        while at_us < self.end_us:
            yield from self._one(at_us, rng.random(), round(rng.uniform(*self.downtime_us)))
            at_us += self._wait_us(rng)

    def _check(self, state: State, _at_us: int) -> Iterator[Change]:
        app_replicas(self.nodes, state, self.where)
        return iter(())

    def _wait_us(self, rng: Random) -> int:
        return microseconds(rng.expovariate(self.rate))

    def _one(self, at_us: int, draw: float, downtime_us: int) -> Iterator[TimedStep]:
        crash, chosen = Span(self.where), list[str]()

        def silence(state: State, at_us: int) -> Iterator[Change]:
            names = app_replicas(self.nodes, state, self.where)
            up = [name for name in names if state.app[name] == "running" and not state.crashes.get(name)]
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
