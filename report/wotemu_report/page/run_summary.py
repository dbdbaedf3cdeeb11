"""The run in sentences: how each phase went for the nodes, and which replicas were never answered."""

from __future__ import annotations

from typing import Any

import polars as pl

from wotemu.wording import counted
from wotemu_report.formats import answer, count, percent
from wotemu_report.queries.availability import (
    by_node_and_phase,
    in_trouble,
    never_answered,
    never_started_asking,
)
from wotemu_report.recorded.run_data import RunData

_MAX_NAMED = 3


def phase_sentences(run: RunData) -> list[str]:
    """A sentence for each phase: the nodes with the lowest availability first, then those always answered."""
    rows = by_node_and_phase(run)
    return [
        f"{span.name}: {_of_phase(rows.filter(pl.col('phase_no') == number))}"
        for number, span in enumerate(run.axis.phases)
        if rows.height
    ]


def _of_phase(rows: pl.DataFrame) -> str:
    active = rows.filter((pl.col("count") > 0) | (pl.col("waiting") > 0))
    troubled = active.filter(in_trouble()).sort("availability", "owner", nulls_last=False)
    parts = [_trouble(row) for row in troubled.head(_MAX_NAMED).iter_rows(named=True)]
    if troubled.height > _MAX_NAMED:
        parts.append(f"{counted(troubled.height - _MAX_NAMED, 'more node')} in trouble")
    fine = active.join(troubled, on="owner", how="anti").sort("p95", descending=True)
    if fine.height:
        parts.append(_always_answered(fine, others=bool(parts)))
    return "; ".join(parts) or "no requests"


def _trouble(row: dict[str, Any]) -> str:
    requests = counted(row["count"], "request")
    parts = [f"{count(row['failed'])} of {requests} failed" if row["failed"] else f"{requests}, none failed"]
    parts += [f"{count(row['waiting'])} waited from before"] if row["waiting"] else []
    parts += [f"p95 {answer(row['p95'])}"] if row["failed"] < row["count"] else []
    return f"{row['owner']} {percent(row['availability'])} available ({', '.join(parts)})"


def _always_answered(fine: pl.DataFrame, *, others: bool) -> str:
    slowest = fine.row(0, named=True)
    p95 = answer(slowest["p95"])
    if fine.height == 1:
        return f"{slowest['owner']} was always answered, p95 {p95}"
    nodes = f"{count(fine.height)} {'other ' if others else ''}nodes"
    return f"{nodes} were always answered, p95 at most {p95} ({slowest['owner']})"


def unanswered_sentences(run: RunData) -> list[str]:
    """A sentence for each replica that sent requests, subscribed or waited, and got nothing at all."""
    tried = [
        f"{row['node']}: {_attempts(row)}, never answered"
        + (f"; last error: {row['error']}" if row["error"] else "")
        for row in never_answered(run).iter_rows(named=True)
    ]
    waited = [
        f"{row['node']}: {row['message']}, to the end"
        for row in never_started_asking(run).iter_rows(named=True)
    ]
    return tried + waited


def _attempts(row: dict[str, int]) -> str:
    parts = [counted(row["asked"], "request")] if row["asked"] else []
    parts += [counted(row["subscribed"], "subscription")] if row["subscribed"] else []
    return " and ".join(parts)
