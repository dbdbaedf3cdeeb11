"""Events: lifetimes of replicas, what the roles reported, and the absences of roles."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import color_scale, layer, tips
from wotemu_report.charts.time_axis import time_x
from wotemu_report.queries.event_rows import event_ticks, is_error, most_important
from wotemu_report.queries.role_absences import RoleAbsence, role_absences
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded
from wotemu_report.sections.lifetimes import lifetime_blocks

_MAX_ROWS = 2500
_MAX_ALIKE = 3
"""More events of one kind in a phase are folded."""
_MAX_MESSAGE = 160
_COLORS = {"event": palette.SERIES[0], "trouble": palette.BAD}


def section(run: RunData) -> Section:
    """The run's events."""
    if not run.events.height:
        return Section("events", "Events", "", [Empty("", "No event was recorded.")])
    blocks: list[Block] = lifetime_blocks(run)
    if run.events.filter(run.axis.shown()).height:
        blocks.append(_strip(run))
    if absences := role_absences(run):
        blocks.append(_absences(absences))
    return Section("events", "Events", "", [*blocks, _table(run)])


def _strip(run: RunData) -> Figure:
    trouble = pl.when(is_error()).then(pl.lit("trouble")).otherwise(pl.lit("event"))
    rows = event_ticks(run).with_columns(pl.col("message").str.slice(0, _MAX_MESSAGE), series=trouble)
    kinds = sorted(rows["kind"].unique())
    mark = alt.Chart().mark_tick(thickness=2, size=13, opacity=0.95)
    encoded = mark.encode(
        x=time_x(run.axis),
        y=alt.Y("kind", type="nominal", sort=kinds, axis=alt.Axis(title=None, grid=True)),
        color=alt.Color("series", type="nominal", scale=color_scale(_COLORS), legend=None),
        tooltip=tips(s="at (s)|.4~r", kind="kind", count="events|,d", source="source", message="message"),
    )
    return Figure(
        "Events over time",
        "A tick for each event since T0, by kind; errors are vermilion.",
        [layer(rows, encoded)],
        run.axis,
        height=20 * len(kinds) + 10,
    )


def _absences(absences: list[RoleAbsence]) -> Table:
    return Table(
        "Role failures",
        "Roles of the emulation that were away. A role sends its records every second: those that it had not "
        "sent when it failed are lost with it. While a gateway is away, its network forwards no packet.",
        (
            Column("Role"),
            Column("Machine"),
            Column("Last record", "instant"),
            Column("Noticed", "instant"),
            Column("Back", "instant"),
            Column("Back on"),
            Column("Away (s)", "number"),
            Column("Cause"),
        ),
        [
            (
                each.role,
                each.machine,
                each.since,
                each.noticed,
                each.back,
                each.back_on,
                each.lasted,
                each.why,
            )
            for each in absences
        ],
    )


def _table(run: RunData) -> Table:
    rows = most_important(run.events, _MAX_ROWS)
    # Two hundred times "is ready" says nothing more than once.
    like = pl.len().over("kind", "phase")
    summary = pl.format("{} events; the first: {}", like, pl.col("message").first().over("kind", "phase"))
    messages = (
        rows.select(pl.when(like > _MAX_ALIKE).then(summary).otherwise("message")).to_series().to_list()
    )
    table = Table(
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
    )
    return folded(table, ["Kind", "Message", "Phase"], {"Message": messages})
