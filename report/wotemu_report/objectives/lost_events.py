"""Notifications that producers sent and subscribers did not get.

A producer's row says that it handed a notification to one subscription, a consumer's that one came; nothing
says which of them are the same. So both are counted since T0 for each event and binding. Sent less received
is what is lost by a moment, and what is under way then. The least difference of the last seconds before the
moment is taken: where nothing was under way at some instant of them, it is the loss.
"""

from __future__ import annotations

import polars as pl

from wotemu.records import APP
from wotemu.scenario.timeline import ObjectivePlan
from wotemu_report.objectives.selection import Window, request_filter
from wotemu_report.recorded.run_data import RunData

SETTLED_S = 5.0
"""In so many seconds there is, most likely, an instant at which no notification is under way."""


def lost_events(run: RunData, plan: ObjectivePlan, window: Window) -> tuple[float, int]:
    """How many were lost in a window, and how many were sent in it."""
    items = (
        run.tables["interactions"]
        .lazy()
        .filter(
            pl.col("stage") == "next",
            pl.col("origin") == APP,
            pl.col("op") == "subscribeevent",
            pl.col("s") >= 0,
            request_filter(plan),
        )
    )
    sent = pl.col("role") == "producer"
    under_way = (
        items.sort("s")
        .with_columns(step=pl.when(sent).then(1).otherwise(-1))
        .with_columns(missing=pl.col("step").cum_sum().over("thing", "name", "binding"))
        .select("thing", "name", "binding", "s", "missing", sent)
        .collect()
    )
    lost, count = 0.0, 0
    for _, rows in under_way.group_by("thing", "name", "binding"):
        of_event = rows.sort("s")
        if not of_event["role"].any():  # no producer on this binding is measured
            continue
        lost += max(0, _missing(of_event, window.end_s) - _missing(of_event, window.start_s))
        count += int(of_event.filter(window.holds("s"))["role"].sum())
    return lost, count


def _missing(rows: pl.DataFrame, at_s: float) -> int:
    """Lost by a moment: the least of sent less received since `SETTLED_S` before it."""
    before = rows.filter(pl.col("s") < at_s)
    if not before.height:
        return 0
    recent = before.filter(pl.col("s") >= at_s - SETTLED_S)["missing"]
    # What held when those seconds began counts, too, unless it changed at once.
    held = before.filter(pl.col("s") < at_s - SETTLED_S)["missing"].tail(1)
    return max(0, min([*recent, *held], default=0))
