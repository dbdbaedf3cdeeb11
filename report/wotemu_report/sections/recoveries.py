"""Recovery: what disturbed the run, and how long until requests were as before."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Column, Empty, Section, Table
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.recovery import LATENCY_FACTOR, LEAST_ROOM_MS, WINDOW_S, recovery_by_node
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded

_MAX_ROWS = 800
_LEAD = (
    f"Requests in windows of {WINDOW_S:g} s. They are in the former band while their p95 is at most "
    f"{LATENCY_FACTOR:g} times that of before the disturbance (or {LEAST_ROOM_MS:g} ms more) and no larger "
    "share of them fails than then; they are well again from the first of two such windows on. Objectives "
    "that allow less than 20 s are judged by the same rule in windows of a quarter of what they allow."
)


def section(run: RunData) -> Section:
    """Each disturbance with its recovery, for each node."""
    rows = recovery_by_node(run)
    if not rows.height:
        why = "Nothing disturbed the run: no change for the worse, no crash; or no request was measured."
        return Section("recovery", "Recovery", "", [Empty("", why)])
    return Section("recovery", "Recovery", _LEAD, [_table(run, rows)])


def _table(run: RunData, rows: pl.DataFrame) -> Table:
    columns = ["s", "what", "owner", "state", "took", "limit_ms", "worst_ms", "limit_errors", "worst_errors"]
    total, rows = rows.height, worst(rows, _MAX_ROWS)
    table = Table(
        "Disturbances and recovery",
        "How long from the disturbance until requests were well again."
        + (" Those that did not recover and the slowest of them are listed." if total > rows.height else ""),
        (
            Column("At", "instant"),
            Column("What"),
            Column("Node", "node"),
            Column("State", "status"),
            Column("Well again after", "ms"),
            Column("p95 allowed", "ms", "the former band's upper bound"),
            Column("Worst p95", "ms", "of a window, until the recovery"),
            Column("Errors allowed", "percent"),
            Column("Worst errors", "percent"),
        ),
        rows.with_columns(took=pl.col("took_s") * 1000).select(columns).rows(),
        total=total,
    )
    groups = row_groups(run, rows, "owner")
    return folded(table, ["At", "What", "Node"], {"Node": groups})


def worst(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The rows to list, in order of time: those that did not recover and the slowest rather than others."""
    severity = (pl.col("state") != "not recovered", -pl.col("took_s").fill_null(0))
    return rows.with_row_index("place").sort(*severity, "place").head(most).sort("place").drop("place")
