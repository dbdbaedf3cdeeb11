"""What goes on for a while: ``during("10s", "40s").ramp(link, rate=("4mbit", "250kbit"))``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario import disruptions, mobility
from wotemu.scenario.events import (
    Make,
    PlannedEvent,
    TimedStep,
    direction_of,
    few_enough,
    interval,
    moment,
    step_times,
)
from wotemu.scenario.generated import Generated, Walks, between, ramp_values
from wotemu.scenario.hops import parse, parse_graded, parse_range
from wotemu.scenario.radio import PathLoss
from wotemu.scenario.targets import HopTarget, NodeTarget, kept, label
from wotemu.scenario.timeline import Direction
from wotemu.scenario.traces import Trace
from wotemu.scenario.waves import Wave, wave
from wotemu.topology.models import Broker, Network, NetworkConditions, Node
from wotemu.units import Fraction, Like, Quantity, Seconds

Span = tuple[Like, Like]


@attrs.frozen
class Period:
    """From one moment to another, waiting for what goes on between them.

    What a period does to conditions ends with it: what held before holds again. A ramp's end stays;
    `keep=True` keeps the last value of the others too.
    """

    start_s: float
    end_s: float

    def ramp(
        self,
        target: HopTarget,
        direction: Direction | None = None,
        *,
        every: Like = "1s",
        shape: str = "linear",
        **conditions: Any,
    ) -> PlannedEvent:
        """Lead conditions from one value to another, in steps: ``rate=("4mbit", "250kbit")``.

        A single value, ``latency="300ms"``, starts from what holds. The `shape` is ``linear`` or ``log``,
        whose steps have equal ratios.
        """
        where = self._where("ramp")
        if shape not in ("linear", "log"):
            raise ScenarioError(f"{shape!r} is no shape", where=where, hint='write "linear" or "log"')
        ends = {name: _ends(name, value, where) for name, value in _some(conditions, where).items()}
        times, length_s = self._times(every, where), self.end_s - self.start_s

        def values_at(generated: Generated, _rng: Random) -> Iterator[TimedStep]:
            for at_s in times:
                share = (at_s - self.start_s) / length_s
                yield at_s, generated.impose(ramp_values(ends, share, log=shape == "log", where=where))

        return self._generated(where, "ramp", target, direction, tuple(ends), values_at, keep=True)

    def wave(
        self,
        target: HopTarget,
        shape: Wave | str = "sine",
        direction: Direction | None = None,
        *,
        period: Like = "10s",
        every: Like = "1s",
        keep: bool = False,
        **conditions: Any,
    ) -> PlannedEvent:
        """Let conditions swing between two values: ``latency=("20ms", "200ms")``.

        The `shape` is ``sine``, ``square``, ``saw`` or ``triangle`` with its `period`, or a sum of waves
        that have their own: ``sine("20s") + square("5s", weight=0.3)``.
        """
        where = self._where("wave")
        swing = shape if isinstance(shape, Wave) else wave(shape, period)
        bounds = {name: parse_range(name, value, where) for name, value in _some(conditions, where).items()}
        times = self._times(every, where)

        def values_at(generated: Generated, _rng: Random) -> Iterator[TimedStep]:
            for at_s in times:
                share = (swing.at(at_s - self.start_s) + 1) / 2
                values = {name: between(low, high, share) for name, (low, high) in bounds.items()}
                yield at_s, generated.impose(_same(values))

        return self._generated(where, "wave", target, direction, tuple(bounds), values_at, keep=keep)

    def random_walk(
        self,
        target: HopTarget,
        direction: Direction | None = None,
        *,
        every: Like = "1s",
        step: float | str = 0.1,
        keep: bool = False,
        **conditions: Any,
    ) -> PlannedEvent:
        """Let conditions wander between two bounds: ``loss=(0, "5%")``.

        Each step is normally distributed with the deviation `step`, a share of the distance between the
        bounds. Every node wanders by itself, its two ways together.
        """
        where = self._where("random_walk")
        bounds = {name: parse_range(name, value, where) for name, value in _some(conditions, where).items()}
        for name, (low, high) in bounds.items():
            if not low < high:
                raise ScenarioError(f"{name}: {low} is not below {high}", where=where)
        size, times = float(_fraction(step, where)), self._times(every, where)

        def values_at(generated: Generated, rng: Random) -> Iterator[TimedStep]:
            walks = Walks(bounds, size, rng)
            for number, at_s in enumerate(times):
                yield at_s, generated.impose(walks.values(number))

        return self._generated(where, "walk", target, direction, tuple(bounds), values_at, keep=keep)

    def follow(
        self,
        target: HopTarget,
        function: Callable[[float], Mapping[str, Any] | NetworkConditions],
        direction: Direction | None = None,
        *,
        every: Like = "1s",
        keep: bool = False,
    ) -> PlannedEvent:
        """Set what `function` gives for seconds since the begin: ``lambda t: {"loss": t / 100}``.

        It is asked before the run starts, for all steps at once.
        """
        where, target = self._where("follow"), kept(target)
        if not callable(function):
            raise ScenarioError(f"{function!r} is no function of time", where=where)
        times, direction = self._times(every, where), direction_of(direction, where)

        def make(_rng: Random, _duration_s: float) -> Iterator[TimedStep]:
            rows = [(at_s, self._asked(function, at_s, where)) for at_s in times]
            return self._rows(where, target, direction, rows, keep=keep)

        return self._event(where, "follow", target, make)

    def _asked(self, function: Callable[[float], Any], at_s: float, where: str) -> dict[str, Any]:
        t_s = round(at_s - self.start_s, 9)
        try:
            given = function(t_s)
        except InputError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise ScenarioError(
                f"at {t_s:g} it raises {type(error).__name__}: {error}", where=where
            ) from error
        if isinstance(given, NetworkConditions):
            given = {field.name: getattr(given, field.name) for field in attrs.fields(NetworkConditions)}
        if not isinstance(given, Mapping):
            raise ScenarioError(f"at {t_s:g} it gives {given!r}, not conditions by name", where=where)
        return parse(dict(given), where)

    def replay(
        self,
        target: HopTarget,
        trace: Trace | str | Path,
        direction: Direction | None = None,
        *,
        loop: bool = False,
        scale: Mapping[str, float] | None = None,
        speed: float = 1,
        keep: bool = False,
    ) -> PlannedEvent:
        """Set what a trace recorded, from its begin; `loop` starts it again when it is over.

        `trace` is a `Trace` or the path of a file that `Trace.read` takes. `scale` multiplies conditions:
        ``{"rate": 0.5}``; `speed` 2 plays it in half the time.
        """
        where, target = self._where("replay"), kept(target)
        played = (trace if isinstance(trace, Trace) else Trace.read(trace)).scaled(scale or {}, where)
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed < math.inf:
            raise ScenarioError(f"speed={speed!r} is not above zero", where=where)
        direction = direction_of(direction, where)
        few_enough((self.end_s - self.start_s) * speed / played.length_s * len(played.rows), where)

        def make(_rng: Random, _duration_s: float) -> Iterator[TimedStep]:
            rows = list(played.between(0, (self.end_s - self.start_s) * speed, loop=loop))
            placed = [(self.start_s + t_s / speed, values) for t_s, values in rows]
            return self._rows(where, target, direction, placed, keep=keep)

        return self._event(where, "replay", target, make)

    def flap(
        self, target: HopTarget, *, up: Like = "10s", down: Like = "1s", jitter: float | str = 0
    ) -> PlannedEvent:
        """Cut a network, link or node off again and again: first for `down`, then free for `up`, and so on.

        Each length is drawn evenly from `jitter`, a share, below it to as much above it.
        """
        where = self._where("flap")
        lengths_s = interval(down, f"{where}, down"), interval(up, f"{where}, up")
        few_enough(2 * (self.end_s - self.start_s) / sum(lengths_s), where)
        share = float(_fraction(jitter, where))
        flaps = disruptions.Flap(where, kept(target), self.start_s, self.end_s, lengths_s, share)
        return self._event(where, "flap", flaps.target, flaps.steps)

    def churn(
        self, nodes: NodeTarget, *, rate: float | str = "1/min", downtime: Like | Span = "10s"
    ) -> PlannedEvent:
        """Crash nodes at random and restart each after `downtime`: a duration, or two to draw between.

        `rate` is how many crash among all of `nodes`, ``"6/min"`` or a number a second, at independent
        times (a Poisson process). Those that are down when the period ends still come back.
        """
        where = self._where("churn")
        crash_rate = disruptions.per_second(rate, where)
        few_enough(crash_rate * (self.end_s - self.start_s), where)
        churn = disruptions.Churn(
            where, kept(nodes), self.start_s, self.end_s, crash_rate, _span(downtime, f"{where}, downtime")
        )
        return self._event(where, "churn", churn.nodes, churn.steps)

    def move(
        self, node: Node | Broker | str, path: Sequence[tuple[Like, Network | str]], *, gap: Like = "100ms"
    ) -> PlannedEvent:
        """Take a node from network to network: ``path=[("0s", home), ("20s", street)]``, from the begin.

        The node is attached to all of them in the topology, and cut off all but one at any time. At each
        hand-over it is on none for `gap`. On the last it stays, without the others, after the period.
        """
        where = self._where("move")
        gap_s = moment(gap, f"{where}, gap")
        stops = mobility.stops(path, gap_s, where)
        moves = mobility.Move(where, node, self.start_s, self.end_s, stops, gap_s)
        return self._event(where, "move", node, moves.steps)

    def travel(
        self,
        node: Node | Broker | str,
        path: Sequence[tuple[Like, tuple[float, float]]],
        *,
        stations: Mapping[Network, tuple[float, float]] | Mapping[str, tuple[float, float]],
        model: PathLoss | None = None,
        every: Like = "1s",
        gap: Like = "100ms",
        hysteresis_db: float = 3.0,
    ) -> PlannedEvent:
        """Take a node along positions in metres: ``path=[("0s", (0, 0)), ("60s", (300, 0))]``.

        `stations` says where each network's station is. The distance to it gives the rate, loss and delay
        of the node's link by `model` (`PathLoss`), each `every`; the node is on the network it hears best,
        and changes, with a `gap`, once another is louder by `hysteresis_db` (3 dB, as is usual for the A3
        event of 3GPP TS 36.331).
        """
        where = self._where("travel")
        route = mobility.route(path, where)
        sites = mobility.sites(stations, where)
        travel = mobility.Travel(
            where=where,
            node=node,
            start_s=self.start_s,
            times=tuple(self._times(every, where)),
            route=route,
            sites=sites,
            model=model or PathLoss(),
            gap_s=moment(gap, f"{where}, gap"),
            hysteresis_db=hysteresis_db,
        )
        return self._event(where, "travel", node, travel.steps)

    # What they share

    def _where(self, verb: str) -> str:
        return f"during({Seconds(self.start_s)}, {Seconds(self.end_s)}).{verb}"

    def _times(self, every: Like, where: str) -> list[float]:
        every_s = interval(every, f"{where}, every")
        few_enough((self.end_s - self.start_s) / every_s, where)
        return step_times(self.start_s, self.end_s, every_s)

    def _event(self, where: str, verb: str, target: Any, make: Make) -> PlannedEvent:
        return PlannedEvent(where, f"{verb} {label(target)}", self.start_s, make, target=target)

    def _generated(
        self,
        where: str,
        verb: str,
        target: HopTarget,
        direction: Direction | None,
        names: tuple[str, ...],
        values_at: Callable[[Generated, Random], Iterator[TimedStep]],
        *,
        keep: bool,
    ) -> PlannedEvent:
        target, way = kept(target), direction_of(direction, where)

        def make(rng: Random, _duration_s: float) -> Iterator[TimedStep]:
            generated = Generated(where, target, way, names)
            for at_s, step in values_at(generated, rng):
                if keep or at_s < self.end_s:
                    yield at_s, step
            if not keep:
                yield self.end_s, generated.release()

        return self._event(where, verb, target, make)

    def _rows(
        self,
        where: str,
        target: HopTarget,
        direction: Direction | None,
        rows: Sequence[tuple[float, Mapping[str, Any]]],
        *,
        keep: bool,
    ) -> Iterator[TimedStep]:
        names = tuple(dict.fromkeys(name for _, values in rows for name in values))
        generated = Generated(where, target, direction, names)
        for at_s, values in rows:
            if keep or at_s < self.end_s:
                yield at_s, generated.impose(_same(values))
        if not keep:
            yield self.end_s, generated.release()


def during(start: Like, end: Like) -> Period:
    """The time from `start` to `end`, both after T0."""
    where = f"during({start!r}, {end!r})"
    period = Period(moment(start, where), moment(end, where))
    if not period.start_s < period.end_s:
        raise ScenarioError("it ends before it has begun", where=where)
    return period


def _same(values: Mapping[str, Any]) -> Any:
    return lambda _key, _held: values


def _some(conditions: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if not conditions:
        raise ScenarioError("no condition is given", where=where, hint='write latency=("20ms", "300ms"), ...')
    return conditions


def _ends(name: str, value: Any, where: str) -> tuple[Quantity | None, Quantity]:
    if isinstance(value, tuple | list):
        return parse_range(name, value, where)
    return None, parse_graded(name, value, where)


def _fraction(value: float | str, where: str) -> Fraction:
    try:
        return Fraction.of(value)
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=where) from error


def _span(value: Like | Span, where: str) -> tuple[float, float]:
    low, high = value if isinstance(value, tuple) else (value, value)
    span = moment(low, where), moment(high, where)
    if span[0] > span[1]:
        raise ScenarioError(f"{low} is not below {high}", where=where)
    return span
