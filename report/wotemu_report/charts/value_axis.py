"""Vertical axes: linear for counts, sizes and percentages, logarithmic for durations and rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import polars as pl

from wotemu_report.charts.theme import DURATION

_MAX_HALF_DECADES = 8


def value_y(
    field: str,
    title: str,
    *,
    label: str | None = None,
    zero: bool = True,
    whole: bool = False,
    top: float | None = None,
) -> alt.Y:
    """A linear axis.

    Args:
        field: The column that it shows.
        title: What it is, with the unit.
        label: A Vega expression for its labels.
        zero: Whether it begins at 0.
        whole: Whether it counts: only whole numbers are labelled.
        top: Its upper end; its lower end is then 0.
    """
    shape = alt.Scale(zero=zero, nice=5) if top is None else alt.Scale(domain=[0, top])
    if whole:
        # Vega labels halves too where the values are few: "0.5 requests".
        label = "datum.value % 1 ? '' : format(datum.value, ',d')"
    ticks = alt.Axis(title=title, tickCount=5) if label is None else _labelled(title, label)
    return alt.Y(field, type="quantitative", scale=shape, axis=ticks)


def value_x(field: str, title: str, *, zero: bool) -> alt.X:
    """A horizontal linear axis of values; `zero` says whether it has to show 0."""
    # Labels at its ends would be moved inwards, onto their neighbours.
    ticks = alt.Axis(title=title, tickCount=12, labelFlush=False, labelOverlap="greedy", labelSeparation=10)
    return alt.X(field, type="quantitative", scale=alt.Scale(zero=zero, nice=True), axis=ticks)


def _labelled(title: str, label: str) -> alt.Axis:
    return alt.Axis(title=title, tickCount=5, labelExpr=label)


def duration_y(field: str, values: pl.Series) -> alt.Y:
    """A logarithmic axis of milliseconds that `values` fit on, labelled at 1, 3 and 10 of each decade."""
    known = values.filter(values.is_finite() & (values > 0))
    low, high = (
        float(bound) if isinstance(bound, int | float) else 1.0 for bound in (known.min(), known.max())
    )
    first, last = math.floor(2 * math.log10(low)), math.ceil(2 * math.log10(high))
    steps = [_half_decade(step) for step in range(first, max(last, first + 1) + 1)]
    labelled = steps if len(steps) <= _MAX_HALF_DECADES else steps[first % 2 :: 2]
    return _log_y(field, "duration", (steps[0], steps[-1]), labelled, DURATION)


def _half_decade(step: int) -> float:
    """1, 3, 10, 30, ... for 0, 1, 2, 3, ...; exact, which 10 to the power of a half would not be."""
    decade, half = divmod(step, 2)
    return float(f"{3 if half else 1}e{decade}")


def decade_y(field: str, title: str, label: str, decades: tuple[float, float]) -> alt.Y:
    """A logarithmic axis from one power of ten to another, labelled at each."""
    first, last = (round(math.log10(bound)) for bound in decades)
    labelled = [float(f"1e{decade}") for decade in range(first, last + 1)]
    return _log_y(field, title, decades, labelled, label)


def _log_y(
    field: str, title: str, domain: tuple[float, float], labelled: Sequence[float], label: str
) -> alt.Y:
    return alt.Y(
        field,
        type="quantitative",
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=alt.Axis(title=title, values=list(labelled), labelExpr=label),
    )


def enclosing_decades(values: Sequence[float]) -> tuple[float, float]:
    """The powers of ten that enclose all values but 0; zeros get a decade below."""
    above = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(above))), math.ceil(math.log10(max(above)))
    return float(f"1e{low - (0 in values)}"), float(f"1e{max(high, low + 1)}")
