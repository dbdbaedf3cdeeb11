"""Effects that last or vary for a while: ``during("10s", "40s").ramp(link, rate=("4mbit", "250kbit"))``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Unpack, get_args

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.condition_values import all_fields, interpolate, parse_conditions, parse_range
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
    checked_factors,
    coarse_step_note,
    late_waypoints_note,
    parse_duration_range,
    parse_ends,
    require_conditions,
    trace_of,
    wave_of,
    with_location,
)
from wotemu.scenario.vocabulary.holds import Holds
from wotemu.scenario.vocabulary.radio import PathLoss
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.stepped import SteppedLayer, Values, Walks, ramp_values, same_for_all
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.topology.condition_types import ConditionEnds, ConditionRanges
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker
from wotemu.units import QuantityLike

ValuesAt = Callable[[Random], Iterable[tuple[int, Values]]]


@keeps_calls
@attrs.frozen(repr=False)
class Period(Holds):
    """The time between two moments.

    Its effects lie over what instants set, and over periods that began before it. When it ends, whatever lies
    below holds again, as it is by then. ``keep=True`` sets the last values for good instead, as an instant at
    the end would.
    """

    def ramp(
        self,
        target: HopTarget,
        direction: Direction | None = None,
        *,
        every: QuantityLike = "1s",
        shape: str = "linear",
        keep: bool = False,
        **conditions: Unpack[ConditionEnds],
    ) -> PlannedAction:
        """Lead conditions from one value to another, in steps: ``rate=("4mbit", "250kbit")``.

        Args:
            target: What `set` takes.
            direction: ``"up"``, ``"down"``, or None for both.
            every: The time between two steps.
            shape: ``"linear"``, or ``"log"``, whose steps have equal ratios.
            keep: Whether the last values stay after the end.
            conditions: The first and the last value by names of conditions; a single value, as
                ``latency="300ms"``, is the last one and starts from what holds.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("ramp")
        if not isinstance(shape, str) or shape not in ("linear", "log"):
            raise ScenarioError(
                f"{shape!r} is no shape", where=where, field="shape", hint='write "linear" or "log"'
            )
        ends = {
            name: parse_ends(name, value, where)
            for name, value in require_conditions(conditions, where).items()
        }
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
        **conditions: Unpack[ConditionRanges],
    ) -> PlannedAction:
        """Let conditions swing between two values: ``latency=("20ms", "200ms")``.

        Args:
            target: What `set` takes.
            shape: ``sine``, ``square``, ``saw`` or ``triangle``, or a sum of waves that have their own
                periods: ``sine("20s") + square("5s", weight=0.3)``.
            direction: ``"up"``, ``"down"``, or None for both.
            period: Of a named shape, by default 10 s.
            every: The time between two steps; by default a second, or an eighth of the shortest period where
                a second is too coarse for it.
            keep: Whether the last values stay after the end.
            conditions: Pairs of values by names of conditions.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("wave")
        swing = wave_of(shape, period, where)
        bounds = {
            name: parse_range(name, value, where)
            for name, value in require_conditions(conditions, where).items()
        }
        times = self._times(seconds(swing.usual_us) if every is None else every, where)
        notes = coarse_step_note(swing, every, where)

        def values_at(_rng: Random) -> Iterator[tuple[int, Values]]:
            for at_us in times:
                high = (swing.at((at_us - self.start_us) / 1e6) + 1) / 2
                yield at_us, same_for_all({name: interpolate(*ends, high) for name, ends in bounds.items()})

        return self._generated(where, "wave", target, direction, bounds, values_at, keep=keep, notes=notes)

    def random_walk(
        self,
        target: HopTarget,
        direction: Direction | None = None,
        *,
        every: QuantityLike = "1s",
        step: float | str = 0.1,
        keep: bool = False,
        **conditions: Unpack[ConditionRanges],
    ) -> PlannedAction:
        """Let conditions wander between two bounds: ``loss=(0, "5%")``.

        Every node wanders by itself, its two hops together.

        Args:
            target: What `set` takes.
            direction: ``"up"``, ``"down"``, or None for both.
            every: The time between two steps.
            step: Standard deviation of a step, which is normally distributed, as a share of the distance
                between the bounds.
            keep: Whether the last values stay after the end.
            conditions: Lower and upper bounds by names of conditions.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("random_walk")
        bounds = {
            name: parse_range(name, value, where)
            for name, value in require_conditions(conditions, where).items()
        }
        for name, (low, high) in bounds.items():
            if not low < high:
                raise ScenarioError(f"{name}: {low} is not below {high}", where=where, field=name)
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
        """Set the conditions that a function of time returns: ``lambda t: {"loss": t / 100}``.

        Args:
            target: What `set` takes.
            function: Takes seconds since the period began, returns NetworkConditions or conditions by name.
                It is called for all steps before the run starts.
            direction: ``"up"``, ``"down"``, or None for both.
            every: The time between two steps.
            keep: Whether the last values stay after the end.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("follow")
        if not callable(function):
            raise ScenarioError(f"{function!r} is no function of time", where=where, field="function")
        times = self._times(every, where)

        @cache  # called once, however often guards have the scenario resolved again
        def rows() -> list[tuple[int, Mapping[str, Any]]]:
            return [(at_us, self._call(function, at_us, where)) for at_us in times]

        return self._rows(where, "follow", target, direction, rows, keep=keep)

    def _call(self, function: Callable[[float], Any], at_us: int, where: str) -> dict[str, Any]:
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
            return all_fields(given)
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise ScenarioError(f"at {t_s:g} it gives {given!r}, not conditions by name", where=where)
        return parse_conditions(dict(given), where)

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
        """Set the conditions of a trace, from its begin.

        Args:
            target: What `set` takes.
            trace: A `Trace`, or the path of a file that `Trace.read` takes.
            direction: ``"up"``, ``"down"``, or None for both.
            loop: Whether the trace starts again when it is over.
            scale: Factors by names of conditions: ``{"rate": 0.5}``.
            speed: 2 plays it in half the time.
            keep: Whether the last values stay after the end.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("replay")
        played = trace_of(trace, where).scaled(checked_factors(scale, where), where)
        factor(speed, "speed", where)
        flag(loop, "loop", where)
        length_us = self.end_us - self.start_us
        times = length_us / 1e6 * speed / played.length_s if loop else 1.0
        check_step_count(times * len(played.rows), where)
        placed = with_location(
            where, lambda: played.placed(self.start_us, self.end_us, speed=speed, loop=loop)
        )
        return self._rows(where, "replay", target, direction, lambda: placed, keep=keep)

    def flap(
        self,
        target: HopTarget,
        *,
        up: QuantityLike = "10s",
        down: QuantityLike = "1s",
        jitter: float | str = 0,
    ) -> PlannedAction:
        """Cut off a network, link or node again and again, beginning with a cut.

        Args:
            target: What `cut` takes.
            up: How long it is connected each time.
            down: How long it is cut off each time.
            jitter: A share of `up` and `down` by which each time is shorter or longer, drawn uniformly.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("flap")
        lengths_us = parse_length(down, where, "down"), parse_length(up, where, "up")
        check_step_count(2 * (self.end_us - self.start_us) / sum(lengths_us), where)
        flaps = faults.Flap(
            where, reusable(target), self.start_us, self.end_us, lengths_us, share(jitter, "jitter", where)
        )
        return self._action(where, "flap", flaps.target, flaps.steps)

    def churn(
        self,
        nodes: NodeTarget,
        *,
        rate: float | str = "1/min",
        downtime: QuantityLike | DurationRange = "10s",
        fault: faults.Fault = "crash",
    ) -> PlannedAction:
        """Crash or pause nodes at random times, and restart or resume each after a while.

        Nodes that are down when the period ends still come back.

        Args:
            nodes: What `crash` takes; each crash is of one replica that runs, drawn uniformly.
            rate: How often one of all nodes crashes, ``"6/min"`` or a number per second, at independent times
                (a Poisson process).
            downtime: How long a node is down: a duration, or two to draw from uniformly.
            fault: ``"crash"``, or ``"pause"``, see `pause`.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("churn")
        crash_rate = faults.per_second(rate, where)
        if not isinstance(fault, str) or fault not in get_args(faults.Fault):
            raise ScenarioError(
                f"{fault!r} is no fault", where=where, field="fault", hint='write "crash" or "pause"'
            )
        check_step_count(crash_rate * (self.end_us - self.start_us) / 1e6, where)
        churn = faults.Churn(
            where,
            reusable(nodes),
            self.start_us,
            self.end_us,
            crash_rate,
            parse_duration_range(downtime, where, "downtime"),
            fault,
        )
        return self._action(where, "churn", churn.nodes, churn.steps)

    def move(
        self,
        node: Node | Broker | str,
        path: Sequence[tuple[QuantityLike, Network | str]],
        *,
        gap: QuantityLike = "100ms",
    ) -> PlannedAction:
        """Take a node from network to network: ``path=[("0s", home), ("20s", street)]``.

        The node is cut off from all networks of the path but one. When the period ends it is on all of them
        again, so let the period last as long as the node is on its way.

        Args:
            node: A node that the topology attaches to all networks of the path.
            path: Times after the period's begin, and the network that the node joins then.
            gap: How long the node is on no network at each hand-over.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("move")
        gap_us = parse_offset(gap, where, "gap")
        stops = mobility.stops(path, gap_us, where)
        moves = mobility.Move(where, node, self.start_us, self.end_us, stops, gap_us)
        return self._action(
            where,
            "move",
            node,
            moves.steps,
            late_waypoints_note([t_us + 1 for t_us, _ in stops], self.end_us - self.start_us, where),
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
        the link's own conditions; the node is on the network whose signal is strongest. When the period ends,
        its links are as they were, and it is on all networks again.

        Args:
            node: A node that the topology attaches to all networks of the stations.
            path: Times after the period's begin, and positions (x, y) in metres. In between the node moves in
                a straight line; it stays at the last position.
            stations: The position of each network's station.
            model: The loss of signal with distance, and what it does to a link; by default WiFi at 2.4 GHz.
            every: The time between two steps.
            gap: How long the node is on no network at each hand-over.
            hysteresis_db: How much stronger another network's signal must be for a hand-over (3 dB is usual
                for the A3 event of 3GPP TS 36.331).

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("travel")
        if model is not None and not isinstance(model, PathLoss):
            raise ScenarioError(
                f"model={model!r} is no PathLoss", where=where, field="model", hint="PathLoss(exponent=3)"
            )
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
            gap_us=parse_offset(gap, where, "gap"),
            hysteresis_db=number(hysteresis_db, "hysteresis_db", where, most=1000),
        )
        return self._action(
            where,
            "travel",
            node,
            travel.steps,
            late_waypoints_note([t_us for t_us, _ in route], self.end_us - self.start_us, where),
        )

    # The parts that these methods share.

    def _times(self, every: QuantityLike, where: str) -> list[int]:
        every_us = parse_length(every, where, "every")
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
            generated = SteppedLayer(where, target, way, names, keep=keep)
            return generated.steps(self.start_us, self.end_us, values_at(rng))

        return self._action(where, verb, target, make, notes)

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
            return ((at_us, same_for_all(values)) for at_us, values in rows())

        return self._generated(where, verb, target, direction, (), values_at, keep=keep)


def during(start: QuantityLike, end: QuantityLike) -> Period:
    """The time between two moments.

    Args:
        start: An offset from T0: a number of seconds, or text such as ``"20s"`` or ``"1:30"``.
        end: An offset from T0 after `start`.

    Returns:
        An object whose methods are what can happen meanwhile, such as ``during(10, 20).cut(link)``.

    Raises:
        ScenarioError: A time can't be read, or `end` is not after `start`.
    """
    where = source_location(f"during({start!r}, {end!r})")
    start_us, end_us = parse_offset(start, where), parse_offset(end, where)
    if start_us == end_us:
        raise ScenarioError("it lasts no time", where=where)
    if start_us > end_us:
        raise ScenarioError("it ends before it has begun", where=where)
    return Period(start_us, source_location(f"during({seconds(start_us)}, {seconds(end_us)})"), end_us)
