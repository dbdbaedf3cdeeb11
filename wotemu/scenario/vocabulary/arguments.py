"""Checks of the arguments that the words of a period take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wotemu.errors import ScenarioError
from wotemu.scenario.condition_values import parse_graded, parse_range
from wotemu.scenario.vocabulary.actions import parse_length, parse_offset, seconds
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave, wave
from wotemu.units import Quantity, QuantityLike

DurationRange = tuple[QuantityLike, QuantityLike]
Result = TypeVar("Result")


def require_conditions(conditions: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The conditions as they are.

    Raises:
        ScenarioError: There is none.
    """
    if not conditions:
        raise ScenarioError("no condition is given", where=where, hint='write latency=("20ms", "300ms"), ...')
    return conditions


def parse_ends(name: str, value: Any, where: str) -> tuple[Quantity | None, Quantity]:
    """The first value of a ramp (None: it starts from what holds) and the last."""
    if isinstance(value, tuple | list):
        return parse_range(name, value, where)
    return None, parse_graded(name, value, where)


def wave_of(shape: Wave | str, period: QuantityLike | None, where: str) -> Wave:
    """A wave from a shape by name and its period, or the wave itself."""
    if not isinstance(shape, Wave):
        return wave(shape, "10s" if period is None else period)
    if period is not None:
        raise ScenarioError(
            f"period={period!r} says nothing: the shape has periods of its own",
            where=where,
            hint='write sine("4s"), or "sine" with period="4s"',
            field="period",
        )
    return shape


def coarse_step_note(swing: Wave, every: QuantityLike | None, where: str) -> tuple[str, ...]:
    """A note for the linter where steps are too long to show a wave."""
    if every is None or parse_length(every, where) <= swing.coarsest_us:
        return ()
    longest = seconds(swing.coarsest_us)
    return (
        f"{where}: every={every!r} is too coarse for the wave, which takes another shape: "
        f"it needs {longest} or less",
    )


def trace_of(trace: Trace | str | Path, where: str) -> Trace:
    """The trace, or the one in the file of this path."""
    if isinstance(trace, Trace):
        return trace
    if not isinstance(trace, str | Path):
        raise ScenarioError(
            f"{trace!r} is no Trace and no path", where=where, field="trace", hint='write "traces/lte.csv"'
        )
    return with_location(where, lambda: Trace.read(trace))


def with_location(where: str, action: Callable[[], Result]) -> Result:
    """Call `action`; its errors also name where the trace is replayed."""
    try:
        return action()
    except ScenarioError as error:
        error.where = f"{where}: {error.where}"
        raise


def checked_factors(scale: Any, where: str) -> Mapping[str, float]:
    """The factors for the conditions of a trace, by name; none where `scale` is None."""
    if scale is not None and not isinstance(scale, Mapping):
        raise ScenarioError(
            f"scale={scale!r} is no mapping", where=where, field="scale", hint='write scale={"rate": 0.5}'
        )
    return scale or {}


def late_waypoints_note(times: Sequence[int], length_us: int, where: str) -> tuple[str, ...]:
    """A note for the linter where a path goes on after the period's end."""
    late = sum(t_us > length_us for t_us in times)
    if not late:
        return ()
    what = "its last place lies" if late == 1 else f"its last {late} places lie"
    return (f"{where}: {what} beyond the period's end",)


def parse_duration_range(value: QuantityLike | DurationRange, where: str, field: str) -> tuple[int, int]:
    """The shortest and the longest duration to draw from, in microseconds."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ScenarioError(f"{value!r} is no pair of durations", where=f"{where}, {field}", field=field)
    low, high = (parse_offset(each, where, field) for each in pair)
    if low > high:
        raise ScenarioError(f"{pair[0]} is not below {pair[1]}", where=f"{where}, {field}", field=field)
    return low, high
