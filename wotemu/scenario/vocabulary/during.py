"""What goes on for a while: ``during("10s", "40s").ramp(link, rate=("4mbit", "250kbit"))``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.condition_values import between, parse, parse_range, whole
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary import faults, mobility
from wotemu.scenario.vocabulary.actions import (
    PlannedAction,
    TimedStep,
    check_step_count,
    direction_of,
    factor,
    flag,
    number,
    parse_length,
    parse_offset,
    seconds,
    share,
    step_times,
)
from wotemu.scenario.vocabulary.arguments import (
    DurationRange,
    at_place,
    ends_of,
    factors_or_none,
    missed_places,
    parse_duration_range,
    some,
    swing_of,
    too_coarse,
    trace_of,
)
from wotemu.scenario.vocabulary.holds import Hold
from wotemu.scenario.vocabulary.radio import PathLoss
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.stepped import Generated, Values, Walks, ramp_values, same
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker
from wotemu.units import QuantityLike

ValuesAt = Callable[[Random], Iterable[tuple[int, Values]]]


@attrs.frozen(repr=False)
class Period(Hold):
    """From one moment to another, waiting for what goes on between them.

    A period lies over what instants set, and over periods that began before it. When it ends, what lies
    below it holds again, as it is by then. ``keep=True`` sets the last values for good instead, as an
    instant at the end would.
    """

    def ramp(
        self,
        target: HopTarget,
        direction: Direction | None = None,
        *,
        every: QuantityLike = "1s",
        shape: str = "linear",
        keep: bool = False,
        **conditions: Any,
    ) -> PlannedAction:
        """Lead conditions from one value to another, in steps: ``rate=("4mbit", "250kbit")``.

        A single value, ``latency="300ms"``, starts from what holds. The `shape` is ``linear`` or ``log``,
        whose steps have equal ratios. With `keep` the last value stays after the end.
        """
        where = self._where("ramp")
        if not isinstance(shape, str) or shape not in ("linear", "log"):
            raise ScenarioError(f"{shape!r} is no shape", where=where, hint='write "linear" or "log"')
        ends = {name: ends_of(name, value, where) for name, value in some(conditions, where).items()}
        times, length_us = self._times(every, where), self.end_us - self.start_us

        def values_at(_rng: Random) -> Iterator[tuple[int, Values]]:
            for at_us in times:
                part = (at_us - self.start_us) / length_us
                yield at_us, ramp_values(ends, part, log=shape == "log", where=where)

        return self._generated(where, "ramp", target, direction, ends, values_at, keep=keep)

    def wave(
        self,
        target: HopTarget,
        shape: Wave | str = "sine",
        direction: Direction | None = None,
        *,
        period: QuantityLike | None = None,
        every: QuantityLike | None = None,
        keep: bool = False,
        **conditions: Any,
    ) -> PlannedAction:
        """Let conditions swing between two values: ``latency=("20ms", "200ms")``.

        Args:
            target: What swings.
            shape: ``sine``, ``square``, ``saw`` or ``triangle``, or a sum of waves that have their own
                periods: ``sine("20s") + square("5s", weight=0.3)``.
            direction: ``"up"``, ``"down"``, or None for both.
            period: Of a named shape, by default 10 s.
            every: How often the conditions change, by default each second, or each eighth of the shortest
                period where a second is too coarse for it.
            keep: Whether the last values stay after the end.
            conditions: Pairs of values by the names of conditions.
        """
        where = self._where("wave")
        swing = swing_of(shape, period, where)
        bounds = {name: parse_range(name, value, where) for name, value in some(conditions, where).items()}
        times = self._times(seconds(swing.usual_us) if every is None else every, where)
        notes = too_coarse(swing, every, where)

        def values_at(_rng: Random) -> Iterator[tuple[int, Values]]:
            for at_us in times:
                high = (swing.at((at_us - self.start_us) / 1e6) + 1) / 2
                yield at_us, same({name: between(*ends, high) for name, ends in bounds.items()})

        return self._generated(where, "wave", target, direction, bounds, values_at, keep=keep, notes=notes)

    def random_walk(
        self,
        target: HopTarget,
        direction: Direction | None = None,
        *,
        every: QuantityLike = "1s",
        step: float | str = 0.1,
        keep: bool = False,
        **conditions: Any,
    ) -> PlannedAction:
        """Let conditions wander between two bounds: ``loss=(0, "5%")``.

        Each step is normally distributed with the deviation `step`, a share of the distance between the
        bounds. Every node wanders by itself, its two ways together.
        """
        where = self._where("random_walk")
        bounds = {name: parse_range(name, value, where) for name, value in some(conditions, where).items()}
        for name, (low, high) in bounds.items():
            if not low < high:
                raise ScenarioError(f"{name}: {low} is not below {high}", where=where)
        size, times = share(step, "step", where), self._times(every, where)

        def values_at(rng: Random) -> Iterator[tuple[int, Values]]:
            walks = Walks(bounds, size, rng)
            return ((at_us, walks.values(step_no)) for step_no, at_us in enumerate(times))

        return self._generated(where, "walk", target, direction, bounds, values_at, keep=keep)

    def follow(
        self,
        target: HopTarget,
        function: Callable[[float], Mapping[str, Any] | NetworkConditions],
        direction: Direction | None = None,
        *,
        every: QuantityLike = "1s",
        keep: bool = False,
    ) -> PlannedAction:
        """Set what `function` gives for seconds since the begin: ``lambda t: {"loss": t / 100}``.

        It is asked before the run starts, for all steps at once.
        """
        where = self._where("follow")
        if not callable(function):
            raise ScenarioError(f"{function!r} is no function of time", where=where)
        times = self._times(every, where)

        @cache  # asked once, however often guards have the scenario resolved again
        def rows() -> list[tuple[int, Mapping[str, Any]]]:
            return [(at_us, self._asked(function, at_us, where)) for at_us in times]

        return self._rows(where, "follow", target, direction, rows, keep=keep)

    def _asked(self, function: Callable[[float], Any], at_us: int, where: str) -> dict[str, Any]:
        t_s = (at_us - self.start_us) / 1e6
        try:
            given = function(t_s)
        except InputError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise ScenarioError(
                f"at {t_s:g} it raises {type(error).__name__}: {error}", where=where
            ) from error
        if isinstance(given, NetworkConditions):
            return whole(given)
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
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
    ) -> PlannedAction:
        """Set what a trace recorded, from its begin; `loop` starts it again when it is over.

        `trace` is a `Trace` or the path of a file that `Trace.read` takes. `scale` multiplies conditions:
        ``{"rate": 0.5}``; `speed` 2 plays it in half the time.
        """
        where = self._where("replay")
        played = trace_of(trace, where).scaled(factors_or_none(scale, where), where)
        factor(speed, "speed", where)
        flag(loop, "loop", where)
        length_us = self.end_us - self.start_us
        times = length_us / 1e6 * speed / played.length_s if loop else 1.0
        check_step_count(times * len(played.rows), where)
        placed = at_place(where, lambda: played.placed(self.start_us, self.end_us, speed=speed, loop=loop))
        return self._rows(where, "replay", target, direction, lambda: placed, keep=keep)

    def flap(
        self,
        target: HopTarget,
        *,
        up: QuantityLike = "10s",
        down: QuantityLike = "1s",
        jitter: float | str = 0,
    ) -> PlannedAction:
        """Cut a network, link or node off again and again: first for `down`, then free for `up`, and so on.

        Each length is drawn evenly from `jitter`, a share, below it to as much above it.
        """
        where = self._where("flap")
        lengths_us = parse_length(down, f"{where}, down"), parse_length(up, f"{where}, up")
        check_step_count(2 * (self.end_us - self.start_us) / sum(lengths_us), where)
        flaps = faults.Flap(
            where, reusable(target), self.start_us, self.end_us, lengths_us, share(jitter, "jitter", where)
        )
        return self._event(where, "flap", flaps.target, flaps.steps)

    def churn(
        self,
        nodes: NodeTarget,
        *,
        rate: float | str = "1/min",
        downtime: QuantityLike | DurationRange = "10s",
    ) -> PlannedAction:
        """Crash nodes at random and restart each after `downtime`: a duration, or two to draw between.

        `rate` is how many crash among all of `nodes`, ``"6/min"`` or a number a second, at independent
        times (a Poisson process). Those that are down when the period ends still come back.
        """
        where = self._where("churn")
        crash_rate = faults.per_second(rate, where)
        check_step_count(crash_rate * (self.end_us - self.start_us) / 1e6, where)
        churn = faults.Churn(
            where,
            reusable(nodes),
            self.start_us,
            self.end_us,
            crash_rate,
            parse_duration_range(downtime, f"{where}, downtime"),
        )
        return self._event(where, "churn", churn.nodes, churn.steps)

    def move(
        self,
        node: Node | Broker | str,
        path: Sequence[tuple[QuantityLike, Network | str]],
        *,
        gap: QuantityLike = "100ms",
    ) -> PlannedAction:
        """Take a node from network to network: ``path=[("0s", home), ("20s", street)]``, from the begin.

        The node is attached to all of them in the topology, and cut off all but one at any time. At each
        hand-over it is on none for `gap`. When the period ends it is on all of them again: have it last as
        long as the node is on its way.
        """
        where = self._where("move")
        gap_us = parse_offset(gap, f"{where}, gap")
        stops = mobility.stops(path, gap_us, where)
        moves = mobility.Move(where, node, self.start_us, self.end_us, stops, gap_us)
        return self._event(
            where,
            "move",
            node,
            moves.steps,
            missed_places([t_us + 1 for t_us, _ in stops], self.end_us - self.start_us, where),
        )

    def travel(
        self,
        node: Node | Broker | str,
        path: Sequence[tuple[QuantityLike, tuple[float, float]]],
        *,
        stations: Mapping[Network, tuple[float, float]] | Mapping[str, tuple[float, float]],
        model: PathLoss | None = None,
        every: QuantityLike = "1s",
        gap: QuantityLike = "100ms",
        hysteresis_db: float = 3.0,
    ) -> PlannedAction:
        """Take a node along positions in metres: ``path=[("0s", (0, 0)), ("60s", (300, 0))]``.

        The distance to a station adds delay and loss to the node's link there, and limits its rate, beside
        the link's own conditions; the node is on the network that it hears best. When the period ends, its
        links are as they were, and it is on all networks again.

        Args:
            node: What travels; it is attached to all the networks in the topology.
            path: Where it is when; in between it goes straight, and it stays at the last.
            stations: Where each network's station is.
            model: What distance does to a link.
            every: How often the conditions change.
            gap: How long the node is on no network at each hand-over.
            hysteresis_db: By how much another network must be louder (3 dB, as is usual for the A3 event of
                3GPP TS 36.331).
        """
        where = self._where("travel")
        if model is not None and not isinstance(model, PathLoss):
            raise ScenarioError(f"model={model!r} is no PathLoss", where=where, hint="PathLoss(exponent=3)")
        route = mobility.route(path, where)
        travel = mobility.Travel(
            where=where,
            node=node,
            start_us=self.start_us,
            end_us=self.end_us,
            times=tuple(self._times(every, where)),
            route=route,
            sites=mobility.sites(stations, where),
            model=model or PathLoss(),
            gap_us=parse_offset(gap, f"{where}, gap"),
            hysteresis_db=number(hysteresis_db, "hysteresis_db", where, most=1000),
        )
        return self._event(
            where,
            "travel",
            node,
            travel.steps,
            missed_places([t_us for t_us, _ in route], self.end_us - self.start_us, where),
        )

    # What they share

    def _times(self, every: QuantityLike, where: str) -> list[int]:
        every_us = parse_length(every, f"{where}, every")
        check_step_count((self.end_us - self.start_us) / every_us, where)
        return step_times(self.start_us, self.end_us, every_us)

    def _generated(
        self,
        where: str,
        verb: str,
        target: HopTarget,
        direction: Direction | None,
        names: Iterable[str],
        values_at: ValuesAt,
        *,
        keep: bool,
        notes: tuple[str, ...] = (),
    ) -> PlannedAction:
        target, way, keep = reusable(target), direction_of(direction, where), flag(keep, "keep", where)

        def make(rng: Random, _span_us: int) -> Iterator[TimedStep]:
            generated = Generated(where, target, way, names, keep=keep)
            return generated.steps(self.start_us, self.end_us, values_at(rng))

        return self._event(where, verb, target, make, notes)

    def _rows(
        self,
        where: str,
        verb: str,
        target: HopTarget,
        direction: Direction | None,
        rows: Callable[[], Sequence[tuple[int, Mapping[str, Any]]]],
        *,
        keep: bool,
    ) -> PlannedAction:
        def values_at(_rng: Random) -> Iterator[tuple[int, Values]]:
            return ((at_us, same(values)) for at_us, values in rows())

        return self._generated(where, verb, target, direction, (), values_at, keep=keep)


def during(start: QuantityLike, end: QuantityLike) -> Period:
    """The time from `start` to `end`, both after T0."""
    where = source_location(f"during({start!r}, {end!r})")
    start_us, end_us = parse_offset(start, where), parse_offset(end, where)
    if start_us == end_us:
        raise ScenarioError("it lasts no time", where=where)
    if start_us > end_us:
        raise ScenarioError("it ends before it has begun", where=where)
    return Period(start_us, end_us, source_location(f"during({seconds(start_us)}, {seconds(end_us)})"))
