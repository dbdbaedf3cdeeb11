"""What the words of a period were given, checked."""

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


def some(conditions: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The conditions, of which there is one at least."""
    if not conditions:
        raise ScenarioError("no condition is given", where=where, hint='write latency=("20ms", "300ms"), ...')
    return conditions


def ends_of(name: str, value: Any, where: str) -> tuple[Quantity | None, Quantity]:
    """Where a ramp begins (None: at what holds) and ends."""
    if isinstance(value, tuple | list):
        return parse_range(name, value, where)
    return None, parse_graded(name, value, where)


def swing_of(shape: Wave | str, period: QuantityLike | None, where: str) -> Wave:
    """The wave that a shape and a period mean."""
    if not isinstance(shape, Wave):
        return wave(shape, "10s" if period is None else period)
    if period is not None:
        raise ScenarioError(
            f"period={period!r} says nothing: the shape has periods of its own",
            where=where,
            hint='write sine("4s"), or "sine" with period="4s"',
        )
    return shape


def too_coarse(swing: Wave, every: QuantityLike | None, where: str) -> tuple[str, ...]:
    """What to say of steps that are too long for a wave."""
    if every is None or parse_length(every, where) <= swing.coarsest_us:
        return ()
    longest = seconds(swing.coarsest_us)
    return (
        f"{where}: every={every!r} is too coarse for the wave, which takes another shape: "
        f"it needs {longest} or less",
    )


def trace_of(trace: Trace | str | Path, where: str) -> Trace:
    """The trace, read where a path is given."""
    if isinstance(trace, Trace):
        return trace
    if not isinstance(trace, str | Path):
        raise ScenarioError(f"{trace!r} is no Trace and no path", where=where, hint='write "traces/lte.csv"')
    return at_place(where, lambda: Trace.read(trace))


def at_place(where: str, action: Callable[[], Result]) -> Result:
    """Do something with a trace; errors say where it is replayed, too."""
    try:
        return action()
    except ScenarioError as error:
        error.where = f"{where}: {error.where}"
        raise


def factors_or_none(scale: Any, where: str) -> Mapping[str, float]:
    """By how much a trace's conditions are multiplied."""
    if scale is not None and not isinstance(scale, Mapping):
        raise ScenarioError(f"scale={scale!r} is no mapping", where=where, hint='write scale={"rate": 0.5}')
    return scale or {}


def missed_places(times: Sequence[int], length_us: int, where: str) -> tuple[str, ...]:
    """What to say of places on a path that are behind the period's end."""
    late = sum(t_us > length_us for t_us in times)
    if not late:
        return ()
    what = "its last place lies" if late == 1 else f"its last {late} places lie"
    return (f"{where}: {what} beyond the period's end",)


def parse_duration_range(value: QuantityLike | DurationRange, where: str) -> tuple[int, int]:
    """The shortest and the longest of durations to draw between, in microseconds."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ScenarioError(f"{value!r} is no pair of durations", where=where)
    low, high = (parse_offset(each, where) for each in pair)
    if low > high:
        raise ScenarioError(f"{pair[0]} is not below {pair[1]}", where=where)
    return low, high
