"""Events: which crashed, which to list, and ticks for a chart."""

from __future__ import annotations

import polars as pl

from wotemu.records.event_kinds import EVENT_KINDS
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

_TICKS = 400
"""Across the axis: ticks closer than that would cover each other."""
_ERRORS = tuple(kind for kind, declared in EVENT_KINDS.items() if declared.severity == "error")
_ROUTINE = tuple(kind for kind, declared in EVENT_KINDS.items() if declared.severity == "routine")


def is_error() -> pl.Expr:
    """Whether an event's kind is an error."""
    return pl.col("kind").is_in(_ERRORS)


def crashes(run: RunData) -> pl.DataFrame:
    """The events of apps that crashed, with their `replica`."""
    return run.events.filter(pl.col("kind") == "app.crashed").with_columns(replica=replica_name())


def most_important(events: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` events, in order of time: routine ones are left out first, errors last."""
    rank = pl.when(is_error()).then(0).when(pl.col("kind").is_in(_ROUTINE)).then(2).otherwise(1)
    kept = events.with_columns(rank=rank).sort("rank", "t", maintain_order=True).head(limit)
    return kept.drop("rank").sort("t", maintain_order=True)


def event_ticks(run: RunData) -> pl.DataFrame:
    """Events since T0 as ticks: those of one `kind` that would overlap are one, with their `count`."""
    shown = run.events.filter(run.axis.shown())
    # By kind and place: thousands of routine events must not hide a single crash.
    grouped = shown.group_by(
        "kind", place=(pl.col("s") * _TICKS / run.axis.end_s).floor(), maintain_order=True
    )
    return grouped.agg(pl.col("s", "source", "message").first(), count=pl.len()).drop("place")
