"""What happened, as the roles said it."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu.records.event_kinds import EVENT_KINDS
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette, series
from wotemu_report.queries import faults
from wotemu_report.queries.frames import rounded
from wotemu_report.recorded.dataset import RunData, replica

_MAX_ROWS = 400
_TICKS = 400
_BAD = tuple(kind for kind, declared in EVENT_KINDS.items() if declared.severity == "error")
_ROUTINE = tuple(kind for kind, declared in EVENT_KINDS.items() if declared.severity == "routine")


def section(run: RunData) -> Section:
    """The run's events."""
    if not run.events.height:
        return Section("events", "Events", "", [Empty("", "No event was recorded.")])
    blocks: list[Block] = [_table(run)]
    if (broken := faults.table(run)) is not None:
        blocks.insert(0, broken)
    if run.events.filter(run.axis.shown()).height:
        blocks.insert(0, _strip(run))
    return Section("events", "Events", "", blocks)


def crashes(run: RunData) -> pl.DataFrame:
    """The events that say an app crashed, with the `replica` that did."""
    return run.events.filter(pl.col("kind") == "app.crashed").with_columns(replica=replica())


def listed(events: pl.DataFrame, limit: int = _MAX_ROWS) -> pl.DataFrame:
    """At most `limit` events in order of time: bad ones first to stay, routine ones first to go."""
    rank = (
        pl.when(pl.col("kind").is_in(_BAD)).then(0).when(pl.col("kind").is_in(_ROUTINE)).then(2).otherwise(1)
    )
    kept = events.with_columns(rank=rank).sort("rank", "t", maintain_order=True).head(limit)
    return kept.drop("rank").sort("t", maintain_order=True)


def ticks(run: RunData) -> pl.DataFrame:
    """The events since T0 as ticks; those of one kind that would cover each other are one, with a `count`."""
    shown = run.events.filter(run.axis.shown())
    grouped = shown.group_by(
        "kind", place=(pl.col("s") * _TICKS / run.axis.end_s).floor(), maintain_order=True
    )
    return grouped.agg(pl.col("s", "source", "message").first(), count=pl.len()).drop("place")


def _strip(run: RunData) -> Figure:
    named = rounded(ticks(run)).with_columns(
        pl.col("message").str.slice(0, 160),
        series=pl.when(pl.col("kind").is_in(_BAD)).then(pl.lit("trouble")).otherwise(pl.lit("event")),
    )
    kinds = sorted(named["kind"].unique())
    chart = alt.Chart(series.data(named)).mark_tick(thickness=2, size=13, opacity=0.95)
    encoded = chart.encode(
        x=series.time_x(run.axis),
        y=alt.Y("kind", type="nominal", sort=kinds, axis=alt.Axis(title=None, grid=True)),
        color=alt.Color(
            "series",
            type="nominal",
            scale=series.scale({"event": palette.SERIES[0], "trouble": palette.BAD}),
            legend=None,
        ),
        tooltip=series.tips(
            s="at (s)|.4~r", kind="kind", count="events|,d", source="source", message="message"
        ),
    )
    return Figure(
        "Events over time",
        "What happened since T0, by kind; what broke or was lost is vermilion.",
        series.over_time(run.axis, [encoded], height=20 * len(kinds) + 10),
    )


def _table(run: RunData) -> Table:
    rows = listed(run.events)
    return Table(
        "All events" if rows.height == run.events.height else "Events",
        "Times are since T0; before it the run was being deployed.",
        (
            Column("At", "instant"),
            Column("Kind", "status"),
            Column("Source"),
            Column("Message"),
            Column("Phase"),
        ),
        rows.select("s", "kind", "source", "message", "phase").rows(),
        total=run.events.height,
        filterable=True,
    )
