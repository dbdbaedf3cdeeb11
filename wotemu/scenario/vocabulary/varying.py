"""Conditions that vary while a period lasts: ``during(10, 40).ramp(link, rate=("4mbit", "250kbit"))``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Unpack

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.condition_values import all_fields, interpolate, parse_conditions, parse_range
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary.actions import (
    PlannedAction,
    TimedStep,
    check_step_count,
    direction_of,
    factor,
    flag,
    parse_length,
    seconds,
    share,
    step_times,
)
from wotemu.scenario.vocabulary.arguments import (
    checked_factors,
    coarse_step_note,
    parse_ends,
    require_conditions,
    trace_of,
    wave_of,
    with_location,
)
from wotemu.scenario.vocabulary.holds import Holds
from wotemu.scenario.vocabulary.stepped import SteppedLayer, Values, Walks, ramp_values, same_for_all
from wotemu.scenario.vocabulary.targets import HopTarget, reusable
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.topology.condition_types import ConditionEnds, ConditionRanges
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import QuantityLike

ValuesAt = Callable[[Random], Iterable[tuple[int, Values]]]


@keeps_calls
@attrs.frozen(repr=False)
class Varying(Holds):
    """A period during which conditions vary, in steps."""

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

    # The parts that these methods share.

    def _times(self, every: QuantityLike, where: str) -> list[int]:
        """The instants of the steps, in microseconds after T0."""
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
