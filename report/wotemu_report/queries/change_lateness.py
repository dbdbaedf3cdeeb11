"""When the planned changes were applied, and how late that was."""

from __future__ import annotations

import json

import polars as pl

from wotemu_report.queries.nearest_rank import nearest_rank
from wotemu_report.recorded.run_data import RunData

APPLIED, FAILED, NOT_APPLIED = "applied", "failed", "not applied"
_PLANNED = {
    "id": pl.Int64(),
    "at_s": pl.Float64(),
    "action": pl.String(),
    "target": pl.String(),
    "before": pl.String(),
    "after": pl.String(),
}
_COLUMNS = ("s", "late", "id", "phase", "action", "target", "before", "after", "state", "error")


def change_results(run: RunData) -> pl.DataFrame:
    """A row for each answer to a change, and for each change that no role answered.

    Returns:
        `s` (due, seconds since T0), `late` (ms; null where it failed), `id`, `phase`, `action`, `target`,
        `before` and `after` (JSON), `state` (applied, failed, not applied), `error`.
    """
    answered = (
        run.tables["changes"]
        .collect()
        .with_columns(
            late=pl.when("ok").then((pl.col("applied") - pl.col("due")) * 1000.0),
            state=pl.when("ok").then(pl.lit(APPLIED)).otherwise(pl.lit(FAILED)),
        )
    )
    unanswered = _planned(run).join(answered.select("id"), on="id", how="anti")
    missing = run.axis.place(unanswered.with_columns(t=pl.col("at_s") + run.axis.origin)).with_columns(
        late=pl.lit(None, dtype=pl.Float64), state=pl.lit(NOT_APPLIED), error=pl.lit("")
    )
    both = [frame.select(_COLUMNS) for frame in (answered, missing)]
    return pl.concat(both).sort("s", "id", "target")


def _planned(run: RunData) -> pl.DataFrame:
    rows = [
        (each.id, each.at_s, each.action, each.target, json.dumps(each.before), json.dumps(each.after))
        for each in run.timeline.changes
    ]
    return pl.DataFrame(rows, schema=_PLANNED, orient="row")


def missed_changes(results: pl.DataFrame) -> int:
    """How many of the changes failed or were not applied."""
    return results.filter(pl.col("state") != APPLIED).height


def lateness(results: pl.DataFrame) -> dict[str, float | None]:
    """`p50`, `p95` and `max` of `late`, in ms; None where nothing was applied."""
    late = results["late"].drop_nulls()
    if not late.len():
        return {"p50": None, "p95": None, "max": None}
    row = late.to_frame().select(
        p50=nearest_rank(pl.col("late"), 0.5),
        p95=nearest_rank(pl.col("late"), 0.95),
        max=pl.col("late").max(),
    )
    return row.row(0, named=True)


def worst_changes(results: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` changes, in order of time: all that were not applied, then the latest ones."""
    kept = results.sort(pl.col("state") == APPLIED, "late", descending=[False, True]).head(limit)
    return kept.sort("s", "id", "target")
