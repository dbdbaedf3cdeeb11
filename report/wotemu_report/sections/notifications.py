"""Notifications: what Things emitted, and the items that subscriptions delivered."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import lines
from wotemu_report.charts.value_axis import value_y
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.requests import consumers_or_producers
from wotemu_report.queries.subscriptions import (
    emission_totals,
    emissions_over_time,
    items_over_time,
    notifications,
    subscribers,
)
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded


def notification_blocks(run: RunData) -> list[Block]:
    """What Things emitted, notifications over time, and a row for each subscriber."""
    frame = notifications(run)
    emitted = [_emitted(run), _emission_table(run)] if run.rows["emissions"] else []
    if not frame.height:
        return [*emitted, Empty("Subscriptions", "No app subscribed to an event or observed a property.")]
    seen = consumers_or_producers(frame)[0].collect()
    return [*emitted, _over_time(run, seen), _table(run, seen)]


def _emitted(run: RunData) -> Figure:
    rates, names = emissions_over_time(run)
    tooltip = tips(series="series", s="from (s)|~r", count="emissions|,d", rate="emissions/s|,.3~r")
    y = value_y("rate", "emissions/s")
    return Figure(
        "Exposed events per second",
        "What Things emitted, events and changes of observable properties, whether or not somebody had "
        "subscribed, by affordance and node (replicas together).",
        [lines(rates, run.axis, y, palette.colors(names), tooltip, step=True)],
        run.axis,
        height=130,
    )


def _emission_table(run: RunData) -> Table:
    rows = emission_totals(run)
    table = Table(
        "Exposed events",
        "Events and observable properties that Things emitted, with the mean size of a payload.",
        (
            Column("Node", "node"),
            Column("Thing"),
            Column("Kind"),
            Column("Affordance"),
            Column("Emitted", "int"),
            Column("First", "instant"),
            Column("Last", "instant", fold="max"),
            Column("Size", "bytes", fold="max"),
        ),
        rows.rows(),
    )
    groups = row_groups(run, rows)
    return folded(table, ["Node", "Affordance"], {"Node": groups})


def _over_time(run: RunData, frame: pl.DataFrame) -> Block:
    rates, names = items_over_time(run, frame)
    if not rates.height:
        return Empty("Notifications", "Apps subscribed, but nothing was delivered.")
    tooltip = tips(series="series", s="from (s)|~r", count="items|,d", rate="items/s|,.3~r")
    y = value_y("rate", "items/s")
    return Figure(
        "Notifications per second",
        "Items that subscriptions delivered to consumers, by affordance, node (replicas together) and "
        "binding.",
        [lines(rates, run.axis, y, palette.colors(names), tooltip, step=True)],
        run.axis,
        height=150,
    )


def _table(run: RunData, frame: pl.DataFrame) -> Table:
    rows = subscribers(run, frame).with_columns(pl.col("silence") * 1000)
    columns = [
        *("node", "thing", "name", "op", "binding", "subscriptions", "items", "again", "errors", "ended"),
        *("first", "silence"),
    ]
    table = Table(
        "Subscribers",
        "Longest silence: the longest time from subscribing, or from an item, to the next item or the end of "
        "the run. The longest comes first.",
        (
            Column("Node", "node"),
            Column("Thing"),
            Column("Affordance"),
            Column("Operation", "code"),
            Column("Binding"),
            Column("Subscriptions", "int", "how many times it subscribed"),
            Column("Items", "int"),
            Column("Again", "int", "items that WoTPy delivered once more, counted nowhere else"),
            Column("Errors", "int"),
            Column("Ended", "int"),
            Column("First item", "instant"),
            Column("Longest silence", "ms"),
        ),
        rows.select(columns).rows(),
    )
    groups = row_groups(run, rows)
    return folded(table, ["Node", "Affordance", "Operation", "Binding"], {"Node": groups})
