"""Numbers that apps reported of themselves."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette, series
from wotemu_report.queries.frames import biggest, broken_at_gaps, fold, in_order, per_bin, rounded
from wotemu_report.recorded.dataset import RunData

_MAX_CHARTS = 8
_MAX_ROWS = 200


def section(run: RunData) -> Section:
    """The apps' own metrics, a chart for each key."""
    metrics = run.tables["app"]
    if not metrics.height:
        return Section("app-metrics", "App metrics", "", [Empty("", _NONE)])
    keys = biggest(metrics, "key", pl.len(), _MAX_CHARTS)
    blocks: list[Block] = [_figure(run, metrics.filter(pl.col("key") == key), key) for key in keys]
    return Section("app-metrics", "App metrics", _LEAD, [*blocks, totals(metrics)])


_NONE = "No app called wotemu.app.write_metric."
_LEAD = "What apps reported with wotemu.app.write_metric, in their own units."


def means(run: RunData, metrics: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The mean value in each bin by node: `s`, `series`, `value`; and the nodes, in order."""
    folded, names = fold(metrics.with_columns(series="node"), "series", pl.len())
    return broken_at_gaps(
        per_bin(folded, run.axis, ["series"], value=pl.col("value").mean()), ["series"]
    ), names


def _figure(run: RunData, metrics: pl.DataFrame, key: str) -> Figure:
    frame, names = means(run, metrics)
    tips = series.tips(series="node", s="from (s)|~r", value="value|,.4~r")
    y = series.value_y("value", "value", zero=False)
    layers = series.lines(rounded(frame), run.axis, y, palette.colors(names), tips)
    return Figure(
        key,
        f"Mean of “{key}” per {run.axis.bin_s} s on each node.",
        series.over_time(run.axis, layers, height=130, half=True),
        half=True,
    )


def totals(metrics: pl.DataFrame) -> Table:
    """Every key of every node with its count, least, mean, greatest and last value."""
    rows = (
        metrics.sort("t")
        .group_by("key", "node")
        .agg(
            count=pl.len(),
            least=pl.col("value").min(),
            mean=pl.col("value").mean(),
            most=pl.col("value").max(),
            last=pl.col("value").last(),
        )
        .pipe(in_order, "key", "node")
    )
    return Table(
        "All keys",
        "Over the whole run.",
        (
            Column("Key"),
            Column("Node"),
            Column("Values", "int"),
            Column("Least", "number"),
            Column("Mean", "number"),
            Column("Greatest", "number"),
            Column("Last", "number"),
        ),
        rows.head(_MAX_ROWS).rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )
