"""Layers of a chart with the rows that they are drawn from, and the Vega-Lite specification of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import attrs
import polars as pl
from altair.utils.schemapi import debug_mode

HEIGHT = 190
"""Of a plot, in pixels, where a figure says nothing else."""
_WHOLE_PX, _HALF_PX = 1040, 450
_TIMES = ("s", "mid", "end")
_TIME_DECIMALS = 3
_DIGITS = 4

Spec = dict[str, Any]


@attrs.frozen(eq=False)
class Layer:
    """Marks, and the rows that they are drawn from.

    Attributes:
        rows: The data, in full precision.
        marks: Charts without data of their own, drawn on top of each other.
    """

    rows: pl.DataFrame
    marks: tuple[alt.Chart, ...]


def layer(rows: pl.DataFrame, *marks: alt.Chart) -> Layer:
    """A layer whose `marks` are drawn from `rows`."""
    return Layer(rows, marks)


def specification(layers: Sequence[Layer], *, height: int = HEIGHT, half: bool = False) -> Spec:
    """The layers on top of each other, as a Vega-Lite specification as wide as its container.

    Args:
        layers: From the lowest to the uppermost.
        height: Of the plot, in pixels.
        half: Whether the container is half as wide as the page.
    """
    # Altair validates every part of a chart as it is made, which takes far longer than making it: seconds a
    # report. The tests hold every specification against the schema instead.
    with debug_mode(False):
        chart = alt.LayerChart(
            layer=[mark for each in layers for mark in _with_data(each)],
            width="container",
            height=height,
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    for drawn in spec["layer"]:
        _fit(drawn.get("encoding", {}), half=half)
    return _with_stable_names(spec)


def _with_stable_names(spec: Spec) -> Spec:
    """The specification with its data sets numbered: Altair names them by their content.

    So two specifications that differ in their rows alone have the same names, and a page that is open can
    be given the newer rows.
    """
    sources = [drawn["data"] for drawn in (spec, *spec["layer"]) if "data" in drawn]
    used = dict.fromkeys(source["name"] for source in sources)
    names = {name: f"rows-{number}" for number, name in enumerate(used, 1)}
    for source in sources:
        source["name"] = names.get(source["name"], source["name"])
    return {**spec, "datasets": {new: spec["datasets"][old] for old, new in names.items()}}


def _with_data(each: Layer) -> list[alt.Chart]:
    data = inline(compact(each.rows))
    marks = [mark.copy(deep=False) for mark in each.marks]
    for mark in marks:
        mark.data = data
    return marks


def inline(rows: pl.DataFrame) -> alt.InlineData:
    """The rows as a chart's own data; what is no finite number becomes null.

    They are CSV: half of JSON's size, and Altair copies them as one value.
    """
    finite = pl.selectors.float()
    known = rows.with_columns(pl.when(finite.is_finite()).then(finite))
    kinds = {name: "number" if kind.is_numeric() else "string" for name, kind in rows.schema.items()}
    return alt.InlineData(values=known.write_csv(), format=alt.CsvDataFormat(type="csv", parse=kinds))


def compact(rows: pl.DataFrame) -> pl.DataFrame:
    """Times to the millisecond, other numbers to four digits: a screen shows no more."""
    times = pl.selectors.by_name(*_TIMES, require_all=False) & pl.selectors.float()
    others = pl.selectors.float() - times
    return rows.with_columns(times.round(_TIME_DECIMALS), others.round_sig_figs(_DIGITS))


def _fit(encoding: Spec, *, half: bool) -> None:
    """Fit a legend, and the ticks of a time axis, to the width of their container."""
    _fit_legend(encoding.get("color", {}), _HALF_PX if half else _WHOLE_PX)
    ticks = encoding.get("x", {}).get("axis") or {}
    if half and "values" in ticks:
        ticks["values"] = {"expr": ticks["values"]["expr"].replace("tick", "(2 * tick)")}


def _fit_legend(color: Spec, width_px: int) -> None:
    """Give the legend as many columns as its longest name leaves room for: Vega does not wrap it itself."""
    if color.get("legend"):
        longest = max(len(str(name)) for name in color["scale"]["domain"])
        # A letter of the legend's font is 6.4 pixels wide on average; its symbol and padding take 40.
        color["legend"]["columns"] = max(1, int(width_px / min(360, 40 + 6.4 * longest)))


def color_scale(colors: Mapping[str, str]) -> alt.Scale:
    """A scale from the names of series to their colours."""
    return alt.Scale(domain=list(colors), range=list(colors.values()))


def series_color(colors: Mapping[str, str], field: str = "series") -> alt.Color:
    """Colour by series, with a legend where there is more than one."""
    legend = None if len(colors) < 2 else alt.Legend(symbolOpacity=1)
    return alt.Color(field, type="nominal", scale=color_scale(colors), legend=legend)


def tips(**fields: str) -> list[alt.Tooltip]:
    """Tooltips: field name to label, with ``|format`` for a number's d3 format."""
    found = []
    for field, label in fields.items():
        text, _, form = label.partition("|")
        if form:
            found.append(alt.Tooltip(field, title=text, type="quantitative", format=form))
        else:
            found.append(alt.Tooltip(field, title=text, type="nominal"))
    return found
