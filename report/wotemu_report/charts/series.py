"""Marks for series over time: lines, stacked bars and dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from wotemu_report.axis import Axis
from wotemu_report.charts.layers import Layer, layer, series_color
from wotemu_report.charts.time_axis import time_x

_MAX_SPACED_BINS = 70


def lines(
    rows: pl.DataFrame,
    axis: Axis,
    y: alt.Y,
    colors: Mapping[str, str],
    tooltip: list[alt.Tooltip],
    *,
    dash: Sequence[int] = (1, 0),
    pick: bool = True,
    step: bool = False,
) -> Layer:
    """A line for each series, with invisible points that answer the pointer.

    Args:
        rows: `s` (a bin's start), `series` and the value.
        axis: The time axis with the bins: a value is drawn at the middle of its bin.
        y: The vertical axis.
        colors: The colour of each series.
        tooltip: What a point shows.
        dash: The lengths in pixels of a line's strokes and gaps.
        pick: Whether a click on a legend's entry highlights its series. Vega-Lite allows one such selection
            a chart: give False for further lines of the same series.
        step: Whether a value holds for its whole bin.
    """
    middle = rows.with_columns(mid=pl.min_horizontal(pl.col("s") + axis.bin_s / 2, pl.lit(axis.end_s)))
    base = alt.Chart().encode(x=time_x(axis, "mid"), y=y, color=series_color(colors))
    line = base.mark_line(strokeDash=list(dash), interpolate="step" if step else "linear", clip=True)
    if pick:
        chosen = alt.selection_point(fields=["series"], bind="legend", name="pick")
        line = line.encode(opacity=alt.condition(chosen, alt.value(1), alt.value(0.12))).add_params(chosen)
    return layer(middle, line, pointer_targets(base, tooltip))


def pointer_targets(base: alt.Chart, tooltip: list[alt.Tooltip]) -> alt.Chart:
    """Circles that are too faint to be seen but answer the pointer: a line alone is too thin to hit."""
    targets: alt.Chart = base.mark_circle(size=90, opacity=0.001, clip=True).encode(tooltip=tooltip)
    return targets


def stacked(
    rows: pl.DataFrame, axis: Axis, y: alt.Y, colors: Mapping[str, str], tooltip: list[alt.Tooltip]
) -> Layer:
    """Bars one bin wide, with the series on top of each other in the order of `colors`."""
    order = {name: place for place, name in enumerate(colors)}
    placed = rows.with_columns(
        end=pl.min_horizontal(pl.col("s") + axis.bin_s, pl.lit(axis.end_s)),
        order=pl.col("series").replace_strict(order, return_dtype=pl.Int64),
    )
    bars = alt.Chart().mark_bar(clip=True, binSpacing=1 if len(axis.bins) <= _MAX_SPACED_BINS else 0)
    encoded = bars.encode(
        x=time_x(axis).bin("binned"),
        x2="end:Q",
        y=y.stack("zero"),
        color=series_color(colors),
        order=alt.Order("order", type="quantitative"),
        tooltip=tooltip,
    )
    return layer(placed, encoded)


def dots(
    rows: pl.DataFrame,
    axis: Axis,
    y: alt.Y,
    colors: Mapping[str, str],
    tooltip: list[alt.Tooltip],
    *,
    size: int,
    opacity: float,
) -> Layer:
    """A dot for each row, coloured by its `series`; `size` is its area in square pixels."""
    mark = alt.Chart().mark_circle(size=size, opacity=opacity, clip=True)
    encoded = mark.encode(x=time_x(axis), y=y, color=series_color(colors), tooltip=tooltip)
    return layer(rows, encoded)
