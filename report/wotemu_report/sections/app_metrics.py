"""App metrics: numbers that apps reported of themselves."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import lines
from wotemu_report.charts.value_axis import value_y
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.ranking import biggest
from wotemu_report.queries.reported_values import means_over_time, totals_by_key
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded

_MAX_CHARTS = 8
_NONE = "No app reported metrics."
_LEAD = "What apps reported of themselves, in their own units."


def section(run: RunData) -> Section:
    """A chart for each key that was reported most, and a table of all."""
    metrics = run.tables["app"]
    totals = totals_table(run, metrics)
    if not totals.rows:
        return Section("app-metrics", "App metrics", "", [Empty("", _NONE)])
    blocks: list[Block] = []
    for key in biggest(metrics, "key", pl.len(), _MAX_CHARTS):
        rows, nodes = means_over_time(run, metrics.filter(pl.col("key") == key))
        caption = f"Mean of “{key}” per {run.axis.bin_s} s on each node."
        blocks.append(value_chart(run, key, caption, rows, nodes, subject="node", zero=False))
    return Section("app-metrics", "App metrics", _LEAD, [*blocks, totals])


def value_chart(
    run: RunData, key: str, caption: str, rows: pl.DataFrame, names: list[str], *, subject: str, zero: bool
) -> Figure:
    """One key's values as a line for each node.

    Args:
        run: The run, for its time axis.
        key: The chart's title.
        caption: Says what the values are.
        rows: `s`, `series` and `value`.
        names: The series.
        subject: What a series is, in the tooltip.
        zero: Whether the vertical axis begins at 0.
    """
    tooltip = tips(series=subject, s="from (s)|~r", value="value|,.4~r")
    drawn = lines(rows, run.axis, value_y("value", "value", zero=zero), palette.colors(names), tooltip)
    return Figure(key, caption, [drawn], run.axis, height=130, half=True)


def totals_table(run: RunData, values: pl.LazyFrame) -> Table:
    """Every key of every node with the count, minimum, mean, maximum and last of its values."""
    rows = totals_by_key(values)
    table = Table(
        "All keys",
        "Over the whole run.",
        (
            Column("Key"),
            Column("Node", "node"),
            Column("Values", "int"),
            Column("Min", "number", fold="min"),
            Column("Mean", "number"),
            Column("Max", "number"),
            Column("Last", "number"),
        ),
        rows.rows(),
    )
    return folded(table, ["Key", "Node"], {"Node": row_groups(run, rows)})
