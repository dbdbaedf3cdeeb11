"""Ages of events and observed properties: over time, and by subscriber and phase with what was lost."""

from __future__ import annotations

import polars as pl

from wotemu_report.axis import BEFORE_T0
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import lines
from wotemu_report.charts.value_axis import duration_y
from wotemu_report.queries.event_ages import REPEAT_S, age_totals, event_ages
from wotemu_report.queries.nearest_rank import nearest_rank
from wotemu_report.queries.node_groups import group, row_groups
from wotemu_report.queries.ranking import fold, in_order, with_series
from wotemu_report.queries.time_bins import broken_at_gaps, per_bin
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import at_most, folded

_MAX_ROWS = 500
_LEAST_MS = 0.01
"""A logarithmic axis has no zero, and clocks that differ make an age negative."""
_TIPS = {
    "s": "from (s)|~r", "series": "series", "count": "items|,d", "p50": "p50 (ms)|,.4~r",
    "p95": "p95 (ms)|,.4~r",
}  # fmt: skip
_LEAD = (
    "From the moment in which a Thing emitted an event, or changed an observable property, to the consumer's "
    "callback: the network, the broker, the library and its polls are in it. Lost are emissions that an open "
    "subscription never delivered. An emission belongs to the phase in which it was emitted."
)


def section(run: RunData) -> Section:
    """Ages over time, and a row for each subscriber and phase."""
    return Section("event-ages", "Age of events", _LEAD, _blocks(run))


def _blocks(run: RunData) -> list[Block]:
    ages = event_ages(run)
    if not ages.items.height and not ages.lost.height:
        return [Empty("", "Nothing was emitted and delivered by apps that are measured.")]
    clocks = (
        "All nodes share one clock."
        if not ages.error_s
        else f"The machines' clocks may differ by {ages.error_s * 1000:.3g} ms, and each age by as much."
    )
    return [*_over_time(run, ages.items, clocks), _table(run, clocks)]


def _over_time(run: RunData, items: pl.DataFrame, clocks: str) -> list[Block]:
    known = items.filter(pl.col("ms").is_not_null()).with_columns(
        s="emitted", owner=group(run), ms=pl.col("ms").clip(_LEAST_MS)
    )
    if not known.height:
        return []
    named, names = fold(with_series(known, "{} · {} · {}", "name", "owner", "binding"), "series", pl.len())
    quantiles = {"p50": nearest_rank(pl.col("ms"), 0.5), "p95": nearest_rank(pl.col("ms"), 0.95)}
    binned = broken_at_gaps(per_bin(named, run.axis, ["series"], count=pl.len(), **quantiles), ["series"])
    values = binned.select(pl.concat_list("p50", "p95").explode()).to_series().drop_nulls()
    colors = palette.colors(names)
    tooltip = tips(**_TIPS)
    solid = lines(binned, run.axis, duration_y("p50", values), colors, tooltip)
    dashed = lines(binned, run.axis, duration_y("p95", values), colors, tooltip, dash=(4, 3), pick=False)
    return [
        Figure(
            "Age of delivered items",
            f"p50 (solid) and p95 (dashed) per {run.axis.bin_s} s at the time of emission, logarithmic, by "
            f"affordance, consumer (replicas together) and binding. {clocks}",
            [solid, dashed],
            run.axis,
        )
    ]


def _table(run: RunData, clocks: str) -> Block:
    phases = {-1: BEFORE_T0, **{number: span.name for number, span in enumerate(run.axis.phases)}}
    rows = age_totals(run).with_columns(
        phase=pl.col("phase_no").replace_strict(phases, default="not known", return_dtype=pl.String)
    )
    rows = in_order(rows.with_columns(pl.col("phase_no").fill_null(len(phases))), "node", "name", "phase_no")
    columns = ["node", "thing", "name", "op", "binding", "phase", "items", "lost", "unknown"]
    figures = ["p50", "p95", "p99", "max"]
    table = Table(
        "Age and losses by subscriber and phase",
        f"{clocks} Unknown: items whose payload was emitted several times within {REPEAT_S:g} s, or before "
        "the subscription, so that nothing says which emission they are.",
        (
            Column("Consumer", "node"),
            Column("Thing"),
            Column("Affordance"),
            Column("Operation", "code"),
            Column("Binding"),
            Column("Phase"),
            Column("Items", "int"),
            Column("Lost", "int"),
            Column("Unknown", "int"),
            *(Column(label, "ms") for label in figures),
        ),
        rows.select(*columns, *figures).rows(),
    )
    groups = row_groups(run, rows)
    by = ["Consumer", "Affordance", "Binding", "Phase"]
    return at_most(folded(table, by, {"Consumer": groups}), _MAX_ROWS)
