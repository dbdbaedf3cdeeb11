"""Events: which crashed, which to list, and ticks for a chart."""

from __future__ import annotations

import json

import polars as pl

from wotemu.records.event_kinds import EVENT_KINDS
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

_TICKS = 400
"""Across the axis: ticks closer than that would cover each other."""
_ERRORS = tuple(kind for kind, declared in EVENT_KINDS.items() if declared.severity == "error")
_ENDED_FAULTS = ("pause.ended", "stress.ended", "disk.freed")
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


def changes_by_hand(run: RunData) -> pl.DataFrame:
    """What somebody changed while the run went on: `s` (when it was due), `who`, `text` and `source`.

    `source` is the line that a scenario would have for it.
    """
    found = run.events.filter(pl.col("kind") == "control.change").sort("t", maintain_order=True)
    data = [json.loads(each) for each in found["data"]]
    return pl.DataFrame(
        [
            (each.get("at_s"), each.get("who", ""), message.partition(": ")[2], each.get("source", ""))
            for each, message in zip(data, found["message"], strict=True)
        ],
        schema={"s": pl.Float64, "who": pl.String, "text": pl.String, "source": pl.String},
        orient="row",
    )


def node_faults(run: RunData) -> pl.DataFrame:
    """The pauses, stress and full disks that ended: `s`, `replica`, `lasted` (s) and `text`."""
    found = run.events.filter(pl.col("kind").is_in(_ENDED_FAULTS)).sort("t", maintain_order=True)
    lasted = [float(json.loads(each)["lasted_s"]) for each in found["data"]]
    return found.select(
        "s", replica_name().alias("replica"), pl.Series("lasted", lasted, pl.Float64), text="message"
    )


def event_ticks(run: RunData) -> pl.DataFrame:
    """Events since T0 as ticks: those of one `kind` that would overlap are one, with their `count`."""
    shown = run.events.filter(run.axis.shown())
    # By kind and place: thousands of routine events must not hide a single crash.
    grouped = shown.group_by(
        "kind", place=(pl.col("s") * _TICKS / run.axis.end_s).floor(), maintain_order=True
    )
    return grouped.agg(pl.col("s", "source", "message").first(), count=pl.len()).drop("place")
