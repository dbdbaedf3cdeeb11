"""What is written beside the ticks of an axis."""

from __future__ import annotations

import re

import altair as alt
import polars as pl
import vl_convert

from wotemu_report.charts.theme import DURATION


def test_durations_have_the_unit_that_suits_them_and_zero_has_none() -> None:
    frame = pl.DataFrame({"x": [0, 1, 2], "late": [0.0, 0.5, 2500.0]})
    axis = alt.Axis(values=[0, 0.25, 5, 2000], labelExpr=DURATION)
    chart = alt.Chart(frame).mark_point().encode(x="x:Q", y=alt.Y("late:Q", axis=axis))
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"0", "250 µs", "5 ms", "2 s"} <= set(shown)
    assert "0 µs" not in shown
