"""The look that every chart shares: one time axis with its phases, one theme, one way of drawing series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from wotemu_report.axis import Axis, bin_width
from wotemu_report.charts import palette

HEIGHT = 190
LONG_S = 600
_PHASE_LABELS = 12
_PHASE = "#829ab1"
_MAX_MARKS = 60
_WHOLE_PX, _HALF_PX = 1040, 450
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
Spec = dict[str, Any]

_PHASE_COLUMNS = ("number", "phase", "label", "s", "end")
_MARK_COLUMNS = ("s",)
_CRASH_COLUMNS = ("s", "node")
MARKS_OF_AXIS = frozenset({_PHASE_COLUMNS, _MARK_COLUMNS, _CRASH_COLUMNS})
"""The columns of data that every chart over time has: phases, changes and crashes."""

Layer = alt.Chart | alt.LayerChart

DURATION = (
    "datum.value >= 1000 ? format(datum.value / 1000, '~r') + ' s'"
    " : datum.value >= 1 ? format(datum.value, '~r') + ' ms' : format(datum.value * 1000, '~r') + ' µs'"
)
SIZE = (
    "datum.value >= 1e9 ? format(datum.value / 1e9, '~r') + ' GB' : datum.value >= 1e6 ?"
    " format(datum.value / 1e6, '~r') + ' MB' : datum.value >= 1e3 ? format(datum.value / 1e3, '~r') + ' kB'"
    " : format(datum.value, '~r') + ' B'"
)
CONFIG: Spec = {
    "font": _FONT,
    "background": "transparent",
    "padding": {"left": 4, "right": 12, "top": 4, "bottom": 4},
    "view": {"stroke": None},
    "axis": {
        "labelColor": palette.INK,
        "titleColor": palette.INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "domainColor": "#cbd2d9",
        "tickColor": "#cbd2d9",
        "gridColor": "#e4e7eb",
        "labelLimit": 220,
    },
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "minExtent": 56},
    "axisX": {"grid": False},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "labelColor": palette.INK,
        "labelFontSize": 11,
        "labelLimit": 320,
        "symbolSize": 60,
        "columnPadding": 14,
        "rowPadding": 2,
        "offset": 20,
        "symbolType": "circle",
        "symbolStrokeWidth": 3,
    },
    "line": {"strokeWidth": 1.8, "strokeJoin": "round", "strokeCap": "round"},
    "bar": {"stroke": None},
}
"""The theme, given to vega-embed once for all charts of a page."""


def data(frame: pl.DataFrame) -> alt.InlineData:
    """The frame's rows as a chart's own data, as CSV: half of JSON's size, and Altair copies it as one value.

    What is no finite number becomes null.
    """
    finite = pl.selectors.float()
    rows = frame.with_columns(pl.when(finite.is_finite()).then(finite))
    kinds = {name: "number" if kind.is_numeric() else "string" for name, kind in frame.schema.items()}
    return alt.InlineData(values=rows.write_csv(), format=alt.CsvDataFormat(type="csv", parse=kinds))


def scale(names: Mapping[str, str]) -> alt.Scale:
    """A colour scale from series' names to colours."""
    return alt.Scale(domain=list(names), range=list(names.values()))


def time_x(axis: Axis, field: str = "s") -> alt.X:
    """Seconds since T0, the same on every chart."""
    step = bin_width(axis.end_s, 12)
    ticks = list(range(0, int(axis.end_s) + 1, step))
    return alt.X(
        field,
        type="quantitative",
        scale=alt.Scale(domain=[0, axis.end_s], nice=False, zero=False, clamp=False),
        axis=alt.Axis(
            title=None,
            labelExpr=_clock(axis),
            values=ticks,
            labelFlush=True,
            labelOverlap="greedy",
            labelSeparation=4,
        ),
    )


def _clock(axis: Axis) -> str:
    """A Vega expression for instants: seconds in short runs, minutes and seconds in long ones."""
    if axis.end_s < LONG_S:
        return "format(datum.value, '~r') + ' s'"
    return "format(floor(datum.value / 60), 'd') + ':' + format(datum.value % 60, '02d')"


def value_y(
    field: str,
    title: str,
    *,
    label: str | None = None,
    zero: bool = True,
    whole: bool = False,
    top: float | None = None,
) -> alt.Y:
    """A vertical axis.

    `label` is a Vega expression for its labels, `top` its upper end, `whole` for counts.
    """
    shape = alt.Scale(zero=zero, nice=5)
    if top is not None:
        shape = alt.Scale(domain=[0, top])
    ticks = alt.Axis(title=title, tickCount=5)
    if whole:
        ticks = alt.Axis(
            title=title, tickCount=5, labelExpr="datum.value % 1 ? '' : format(datum.value, ',d')"
        )
    elif label is not None:
        ticks = alt.Axis(title=title, tickCount=5, labelExpr=label)
    return alt.Y(field, type="quantitative", scale=shape, axis=ticks)


def duration_y(field: str, values: pl.Series) -> alt.Y:
    """A logarithmic axis of milliseconds that `values` fit on, labelled at 1, 3 and 10 of each decade."""
    known = values.filter(values.is_finite() & (values > 0))
    low, high = (
        float(bound) if isinstance(bound, int | float) else 1.0 for bound in (known.min(), known.max())
    )
    first, last = math.floor(2 * math.log10(low)), math.ceil(2 * math.log10(high))
    steps = [_half_decade(step) for step in range(first, max(last, first + 1) + 1)]
    return alt.Y(
        field,
        type="quantitative",
        scale=alt.Scale(type="log", domain=[steps[0], steps[-1]], nice=False),
        axis=alt.Axis(
            title="duration", values=steps if len(steps) < 9 else steps[first % 2 :: 2], labelExpr=DURATION
        ),
    )


def _half_decade(step: int) -> float:
    decade, half = divmod(step, 2)
    return float(f"{3 if half else 1}e{decade}")


def series_color(names: Mapping[str, str], field: str = "series") -> alt.Color:
    """Colour by series; the legend goes where there is but one."""
    legend = None if len(names) < 2 else alt.Legend(symbolOpacity=1)
    return alt.Color(field, type="nominal", scale=scale(names), legend=legend)


def tips(**fields: str) -> list[alt.Tooltip]:
    """Tooltips: field name -> label, with ``|format`` for a number's d3 format."""
    found = []
    for field, label in fields.items():
        text, _, form = label.partition("|")
        if form:
            found.append(alt.Tooltip(field, title=text, type="quantitative", format=form))
        else:
            found.append(alt.Tooltip(field, title=text, type="nominal"))
    return found


def lines(
    frame: pl.DataFrame,
    axis: Axis,
    y: alt.Y,
    names: Mapping[str, str],
    tooltip: list[alt.Tooltip],
    *,
    dash: Sequence[int] = (1, 0),
    pick: bool = True,
    step: bool = False,
) -> list[Layer]:
    """A line per series, with points that answer the pointer; a legend entry brings its series out.

    Values stand at the middle of their bin. A chart has one `pick`: give false for further lines of the
    same series.
    """
    middle = frame.with_columns(mid=pl.min_horizontal(pl.col("s") + axis.bin_s / 2, pl.lit(axis.end_s)))
    base = alt.Chart(data(middle)).encode(x=time_x(axis, "mid"), y=y, color=series_color(names))
    line = base.mark_line(strokeDash=list(dash), interpolate="step" if step else "linear")
    if pick:
        chosen = alt.selection_point(fields=["series"], bind="legend", name="pick")
        line = line.encode(opacity=alt.condition(chosen, alt.value(1), alt.value(0.12))).add_params(chosen)
    points = base.mark_circle(size=90, opacity=0.001, clip=True).encode(tooltip=tooltip)
    return [line, points]


def stacked(
    frame: pl.DataFrame, axis: Axis, y: alt.Y, names: Mapping[str, str], tooltip: list[alt.Tooltip]
) -> list[Layer]:
    """Bars one bin wide, series on top of each other in the order of `names`."""
    order = {name: place for place, name in enumerate(names)}
    placed = frame.with_columns(
        end=pl.min_horizontal(pl.col("s") + axis.bin_s, pl.lit(axis.end_s)),
        order=pl.col("series").replace_strict(order, return_dtype=pl.Int64),
    )
    bars = (
        alt.Chart(data(placed))
        .mark_bar(clip=True, binSpacing=1 if len(axis.bins) <= 70 else 0)
        .encode(
            x=time_x(axis).bin("binned"),
            x2="end:Q",
            y=y.stack("zero"),
            color=series_color(names),
            order=alt.Order("order", type="quantitative"),
            tooltip=tooltip,
        )
    )
    return [bars]


def over_time(axis: Axis, layers: Sequence[Layer], *, height: int = HEIGHT, half: bool = False) -> Spec:
    """The layers over the run's phases, as a Vega-Lite specification as wide as its container."""
    return layered([*_bands(axis), *layers, *_labels(axis), *_crashes(axis)], height, half)


def layered(layers: Sequence[Layer], height: int = HEIGHT, half: bool = False) -> Spec:
    """The layers on top of each other, as a Vega-Lite specification as wide as its container.

    `half` says that the container is half the page's width.
    """
    chart = alt.LayerChart(
        layer=list(layers),
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    # Validation takes seconds; the tests hold every specification against the schema instead.
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    for layer in spec["layer"]:
        encoding = layer.get("encoding", {})
        _fit_legend(encoding.get("color", {}), _HALF_PX if half else _WHOLE_PX)
        ticks = encoding.get("x", {}).get("axis", {})
        if half and "values" in ticks:
            ticks["values"] = ticks["values"][::2]
    return spec


def _fit_legend(color: Spec, width_px: int) -> None:
    """Give the legend as many columns as its longest name leaves room for; Vega does not wrap it itself."""
    if color.get("legend"):
        longest = max(len(str(name)) for name in color["scale"]["domain"])
        color["legend"]["columns"] = max(1, int(width_px / min(360, 40 + 6.4 * longest)))


def _phases(axis: Axis) -> pl.DataFrame:
    """A row for each phase; `label` is its number where there is no room for so many names."""
    named = len(axis.phases) <= _PHASE_LABELS
    rows = [
        (number, span.name, span.name if named else str(number), span.start_s, span.end_s)
        for number, span in enumerate(axis.phases, 1)
    ]
    return pl.DataFrame(rows, schema=_PHASE_COLUMNS, orient="row")


def _bands(axis: Axis) -> list[Layer]:
    """Every other phase shaded, a rule where each begins, a dotted one where conditions change."""
    base = alt.Chart(data(_phases(axis))).encode(x=time_x(axis))
    shade: Any = alt.ExprRef("datum.number % 2 == 0 ? 0.13 : 0")
    bands = base.mark_rect(color=_PHASE, opacity=1, fillOpacity=shade, clip=True).encode(
        x2="end:Q", tooltip=tips(phase="phase", s="from (s)|.4~r", end="to (s)|.4~r")
    )
    starts = base.transform_filter("datum.s > 0").mark_rule(color=_PHASE, strokeWidth=1, opacity=0.7)
    between = sorted(set(axis.marks) - {span.start_s for span in axis.phases} - {0.0})
    if not 0 < len(between) <= _MAX_MARKS:
        return [bands, starts]
    marks = alt.Chart(data(pl.DataFrame({"s": between}))).encode(x=time_x(axis))
    return [bands, starts, marks.mark_rule(color=_PHASE, strokeDash=[2, 3], strokeWidth=1, opacity=0.6)]


def _labels(axis: Axis) -> list[Layer]:
    """Phase names above the plot, cut to their phase's width."""
    room: Any = alt.ExprRef(f"max(8, (datum.end - datum.s) / {axis.end_s} * width - 8)")
    text = alt.Chart(data(_phases(axis))).mark_text(
        align="left", baseline="bottom", dx=3, fontSize=10.5, fontWeight=600, color="#627d98", limit=room
    )
    return [text.encode(x=time_x(axis), y=alt.value(-4), text="label:N")]


def _crashes(axis: Axis) -> list[Layer]:
    """A small vermilion triangle at the top wherever an app crashed."""
    if not axis.crashes:
        return []
    crashed = pl.DataFrame(axis.crashes[:_MAX_MARKS], schema=_CRASH_COLUMNS, orient="row")
    mark = alt.Chart(data(crashed)).mark_point(
        shape="triangle-down", filled=True, size=46, color=palette.BAD, opacity=1
    )
    return [mark.encode(x=time_x(axis), y=alt.value(3), tooltip=tips(node="app crashed", s="at (s)|.4~r"))]
