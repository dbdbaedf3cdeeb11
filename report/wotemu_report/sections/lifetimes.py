"""Lifetimes: a line for each replica, with what its app was in, and a table of them."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.blocks import Block, Column, Figure, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import color_scale, layer, tips
from wotemu_report.charts.time_axis import time_x
from wotemu_report.queries.lifetimes import (
    CRASHED,
    ENDED,
    LOST,
    PAUSED,
    STARTING,
    STATES,
    UP,
    eventful,
    lifetime_totals,
    lifetimes,
)
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded

_MAX_LINES = 40
_LINE_PX = 16
_MAX_MESSAGE = 160
_COLORS = {
    UP: palette.GOOD,
    STARTING: palette.SERIES[1],
    PAUSED: palette.SERIES[3],
    CRASHED: palette.BAD,
    LOST: "#7a3d6b",
    ENDED: palette.OTHERS,
}


def lifetime_blocks(run: RunData) -> list[Block]:
    """The lines and the table; nothing where no app reported anything."""
    spans = lifetimes(run)
    return [_lines(run, spans), _table(run)] if spans.height else []


def _lines(run: RunData, spans: pl.DataFrame) -> Figure:
    names = eventful(spans, _MAX_LINES)
    count = spans["node"].n_unique()
    which = f" The {len(names)} that were up for the shortest time, of {count}." if count > len(names) else ""
    rows = spans.filter(pl.col("node").is_in(names)).with_columns(
        pl.col("message").str.slice(0, _MAX_MESSAGE), lasts=pl.col("end") - pl.col("s")
    )
    present = set(rows["state"])
    colors = {state: _COLORS[state] for state in STATES if state in present}
    bars = alt.Chart().mark_bar(clip=True, height={"band": 0.62})
    encoded = bars.encode(
        x=time_x(run.axis),
        x2="end:Q",
        y=alt.Y("node", type="nominal", sort=list(names), axis=alt.Axis(title=None, labelLimit=200)),
        color=alt.Color("state", type="nominal", scale=color_scale(colors), legend=alt.Legend()),
        tooltip=tips(
            node="node", state="state", s="from (s)|.4~r", end="to (s)|.4~r", lasts="for (s)|.4~r",
            message="after",
        ),
    )  # fmt: skip
    return Figure(
        "Lifetimes",
        "What each replica's app was in: starting, from its process's start until it is up; crashed, until "
        f"it is started again; ended, as it was asked to or by itself.{which}",
        [layer(rows, encoded)],
        run.axis,
        height=_LINE_PX * len(names) + 10,
    )


def _table(run: RunData) -> Table:
    rows = lifetime_totals(run)
    table = Table(
        "Replicas",
        "Up: the share of the run in which the app was up. Last: what it was in when the run ended.",
        (
            Column("Node", "node"),
            Column("Machine"),
            Column("First up", "instant", fold="max"),
            Column("Up", "percent", fold="min"),
            Column("Starts", "int"),
            Column("Crashes", "int"),
            Column("Last", "status"),
        ),
        rows.rows(),
    )
    groups = row_groups(run, rows)
    return folded(table, ["Node"], {"Node": groups})
