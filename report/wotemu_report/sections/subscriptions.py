"""What subscriptions to events and observed properties delivered."""

from __future__ import annotations

import polars as pl

from wotemu.records import FAILED
from wotemu_report.blocks import Block, Column, Empty, Figure, Table
from wotemu_report.charts import palette, series
from wotemu_report.queries.frames import every_bin, fold, in_order, per_bin, rounded
from wotemu_report.queries.requests import usual_end
from wotemu_report.recorded.dataset import RunData

_MAX_ROWS = 200


def blocks(run: RunData) -> list[Block]:
    """Notifications over time and a row for each subscriber."""
    frame = run.tables["interactions"].filter(pl.col("stage") != "request")
    if not frame.height:
        return [Empty("Subscriptions", "No app subscribed to an event or observed a property.")]
    seen, _ = usual_end(frame)
    return [_over_time(run, seen), _table(run, seen)]


def notifications(run: RunData, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Items per second in each bin by affordance, node and binding.

    Columns `s`, `series`, `rate`, `count`; and the series.
    """
    items = frame.filter(pl.col("stage") == "next").with_columns(
        series=pl.format("{} · {} · {}", "name", pl.col("node").replace(run.manifest.node_of()), "binding")
    )
    folded, names = fold(items, "series", pl.len())
    binned = every_bin(per_bin(folded, run.axis, ["series"], count=pl.len()), run.axis, ["series"], fill=0)
    return binned.with_columns(rate=pl.col("count") / run.axis.bin_s), names


def _over_time(run: RunData, frame: pl.DataFrame) -> Block:
    rates, names = notifications(run, frame)
    if not rates.height:
        return Empty("Notifications", "Apps subscribed, but nothing was delivered.")
    tips = series.tips(series="series", s="from (s)|~r", count="items|,d", rate="items/s|,.3~r")
    y = series.value_y("rate", "items/s")
    layers = series.lines(rounded(rates), run.axis, y, palette.colors(names), tips, step=True)
    return Figure(
        "Notifications per second",
        "Items that subscriptions delivered to consumers, by affordance, node and binding; replicas add up.",
        series.over_time(run.axis, layers, height=150),
    )


def subscribers(run: RunData, frame: pl.DataFrame) -> pl.DataFrame:
    """A row for each node, affordance and binding, those that waited longest first.

    Items, subscriptions, ends, errors, and the longest silence in seconds: between two items, from
    subscribing to the first one, or from the last one to the run's end. A subscription that never delivered
    was silent all the time.
    """
    keys = ["node", "thing", "name", "op", "binding"]
    heard = pl.col("s").filter(pl.col("stage").is_in(["subscribe", "next"])).sort()
    times = pl.col("s").filter(pl.col("stage") == "next")
    return (
        frame.group_by(keys)
        .agg(
            subscriptions=(pl.col("stage") == "subscribe").sum(),
            items=(pl.col("stage") == "next").sum(),
            ended=(pl.col("stage") == "end").sum(),
            errors=(pl.col("status") == FAILED).sum(),
            first=times.min(),
            last=heard.max(),
            gap=heard.diff().max(),
        )
        .with_columns(silence=pl.max_horizontal("gap", run.axis.end_s - pl.col("last")))
        .pipe(in_order, *keys)
        .sort("silence", descending=True, nulls_last=False, maintain_order=True)
    )


def _table(run: RunData, frame: pl.DataFrame) -> Table:
    rows = subscribers(run, frame)
    columns = [
        "node",
        "thing",
        "name",
        "op",
        "binding",
        "subscriptions",
        "items",
        "errors",
        "ended",
        "first",
        "silence",
    ]
    return Table(
        "Subscribers",
        "The longest silence is the longest time from subscribing, or from an item, to the next item or the "
        "end; who waited longest stands first.",
        (
            Column("Node"),
            Column("Thing"),
            Column("Affordance"),
            Column("Operation", "code"),
            Column("Binding"),
            Column("Subscribed", "int", "how many times"),
            Column("Items", "int"),
            Column("Errors", "int"),
            Column("Ended", "int"),
            Column("First item", "instant"),
            Column("Longest silence", "ms"),
        ),
        rows.with_columns(pl.col("silence") * 1000).select(columns).head(_MAX_ROWS).rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )
