"""The horizontal time axis, and what every chart over time has on it: phases, changes and crashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from wotemu_report.axis import Axis, bin_width
from wotemu_report.charts import palette
from wotemu_report.charts.layers import HEIGHT, Layer, Spec, layer, specification, tips

LONG_S = 600
"""From this length on, in seconds, instants read as minutes and seconds."""
_MAX_TICKS = 12
_MAX_PHASE_NAMES = 12
_MAX_MARKS = 60
_PHASE = "#829ab1"
TICKS = "sequence(ceil(zoom[0] / tick) * tick, zoom[1] + tick / 1000, tick)"
"""Vega expression: where the axis is labelled."""


def time_x(axis: Axis, field: str = "s") -> alt.X:
    """Seconds since T0, the same on every chart: the range that the page's `zoom` says."""
    ends: Any = [{"expr": "zoom[0]"}, {"expr": "zoom[1]"}]
    return alt.X(
        field,
        type="quantitative",
        scale=alt.Scale(domain=ends, nice=False, zero=False, clamp=False),
        axis=alt.Axis(
            title=None,
            labelExpr=_clock(axis),
            values=alt.ExprRef(TICKS),
            labelFlush=True,
            labelOverlap="greedy",
            labelSeparation=4,
        ),
    )


def zoom_params(axis: Axis) -> list[Spec]:
    """Parameters of every chart over time: the range that it shows, and its ticks' distance, in seconds."""
    return [
        {"name": "zoom", "value": [0, axis.end_s]},
        {"name": "tick", "value": bin_width(axis.end_s, _MAX_TICKS)},
    ]


def _clock(axis: Axis) -> str:
    """A Vega expression for instants: seconds in short runs, minutes and seconds in long ones."""
    if axis.end_s < LONG_S:
        return "format(datum.value, '~r') + ' s'"
    seconds = "format(datum.value % 60, tick < 1 ? '04.1f' : '02d')"
    return f"format(floor(datum.value / 60), 'd') + ':' + {seconds}"


def over_time(axis: Axis, layers: Sequence[Layer], *, height: int = HEIGHT, half: bool = False) -> Spec:
    """The layers over the run's phases, as a Vega-Lite specification as wide as its container."""
    below = _bands(axis)
    framed = [*below, *layers, *_labels(axis), *_crashes(axis)]
    spec = specification(framed, height=height, half=half)
    spec["params"] = [*zoom_params(axis), *spec.get("params", ())]
    first = sum(len(each.marks) for each in below)
    # Which of its layers hold the chart's own rows.
    spec["usermeta"] = {"own": [first, first + sum(len(each.marks) for each in layers)]}
    return spec


def _phases(axis: Axis) -> pl.DataFrame:
    """A row for each phase; `label` is its number where there is no room for so many names."""
    named = len(axis.phases) <= _MAX_PHASE_NAMES
    rows = [
        (number, span.name, span.name if named else str(number), span.start_s, span.end_s)
        for number, span in enumerate(axis.phases, 1)
    ]
    return pl.DataFrame(rows, schema=["number", "phase", "label", "s", "end"], orient="row")


def _bands(axis: Axis) -> list[Layer]:
    """Every other phase shaded, a rule where each begins, dotted ones at the timeline's changes."""
    base = alt.Chart().encode(x=time_x(axis))
    shade: Any = alt.ExprRef("datum.number % 2 == 0 ? 0.13 : 0")
    bands = base.mark_rect(color=_PHASE, opacity=1, fillOpacity=shade, clip=True).encode(
        x2="end:Q", tooltip=tips(phase="phase", s="from (s)|.4~r", end="to (s)|.4~r")
    )
    starts = base.transform_filter("datum.s > 0").mark_rule(
        color=_PHASE, strokeWidth=1, opacity=0.7, clip=True
    )
    found = [layer(_phases(axis), bands, starts)]
    between = sorted(set(axis.marks) - {span.start_s for span in axis.phases} - {0.0})
    # So many marks that they touch would say nothing and hide the curves.
    if 0 < len(between) <= _MAX_MARKS:
        dotted = base.mark_rule(color=_PHASE, strokeDash=[2, 3], strokeWidth=1, opacity=0.6, clip=True)
        found.append(layer(pl.DataFrame({"s": between}), dotted))
    return found


def _labels(axis: Axis) -> list[Layer]:
    """The names of the phases above the plot, cut to the width of their phase."""
    room: Any = alt.ExprRef(
        "max(8, (min(datum.end, zoom[1]) - datum.from) / (zoom[1] - zoom[0]) * width - 8)"
    )
    text = alt.Chart().mark_text(
        align="left", baseline="bottom", dx=3, fontSize=10.5, fontWeight=600, color="#52606d", limit=room
    )
    in_range = text.transform_filter("datum.end > zoom[0] && datum.s < zoom[1]").transform_calculate(
        **{"from": "max(datum.s, zoom[0])"}
    )
    return [layer(_phases(axis), in_range.encode(x=time_x(axis, "from"), y=alt.value(-4), text="label:N"))]


def _crashes(axis: Axis) -> list[Layer]:
    """A small vermilion triangle at the top wherever an app crashed."""
    if not axis.crashes:
        return []
    rows = pl.DataFrame(axis.crashes[:_MAX_MARKS], schema=["s", "node"], orient="row")
    mark = alt.Chart().mark_point(
        shape="triangle-down", filled=True, size=46, color=palette.BAD, opacity=1, clip=True
    )
    tooltip = tips(node="app crashed", s="at (s)|.4~r")
    return [layer(rows, mark.encode(x=time_x(axis), y=alt.value(3), tooltip=tooltip))]
