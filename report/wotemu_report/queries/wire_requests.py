"""Requests that nodes' packets show: counts, statuses and durations by who asked whom for what."""

from __future__ import annotations

import math

import polars as pl

from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranking import in_order
from wotemu_report.recorded.manifest import RUNNING
from wotemu_report.recorded.run_data import RunData

NO_ANSWER = "no answer"
UNFINISHED_S = 5.0
"""What was sent so short before the end of a run, and had no answer by then, has not failed."""
_KEY = ("side", "node", "peer", "port", "protocol", "method", "path", "phase_no", "phase")


def wire_requests(run: RunData) -> pl.DataFrame:
    """A row for each `side`, `node`, `peer`, `port`, `protocol`, `method`, `path` and `phase`.

    Returns:
        These; `count`, requests; `failed`, those with an error status or no answer; `codes`, each status with
        its number of requests; `items`, notifications; `p50` and `p95` in ms, of the requests that were
        answered.
    """
    table = run.tables["requests"]
    is_request = pl.col("stage") == "request"
    figures = table.group_by(_KEY).agg(
        count=is_request.sum(),
        failed=(is_request & _has_failed()).sum(),
        items=(~is_request).sum(),
        **{name: nearest_rank(pl.col("duration") * 1000, SHARES[name]) for name in ("p50", "p95")},
    )
    code = pl.col("code")
    status = pl.when(code == "").then(pl.lit(NO_ANSWER)).otherwise(code)
    codes = (
        table.filter(is_request)
        .group_by(*_KEY, status.alias("status"))
        .agg(number=pl.len())
        .sort("number", "status", descending=[True, False])
        .group_by(_KEY, maintain_order=True)
        .agg(codes=pl.format("{}: {}", "status", "number").str.join(", "))
    )
    found = figures.join(codes, on=_KEY, how="left").collect(engine="streaming")
    return in_order(found, *_KEY[:-1]).select(*_KEY, "count", "failed", "codes", "items", "p50", "p95")


@once_a_run
def requests_on_wire(run: RunData) -> pl.DataFrame:
    """One row a request that was seen on the wire, with the columns of `requests` that figures need.

    Returns:
        `role`, at which end it was seen (client or server); `node`; `peer`; `op`, its method; `name`, its
        path; `binding`, its protocol; `s`; `ms`, null without an answer; and how it ended: `ok`, `failed`, or
        `unfinished`: without an answer, but sent only just before the end of the run.
    """
    names = {"role": "side", "op": "method", "name": "path", "binding": "protocol"}
    rows = (
        run.tables["requests"]
        .filter(pl.col("stage") == "request")
        .select("s", "node", "peer", **names, ms=pl.col("duration") * 1000, failed=_has_failed(), code="code")
        .collect(engine="streaming")
    )
    # While a run goes on, those that wait for an answer have no row.
    last_s = run.axis.end_s - UNFINISHED_S if run.manifest.status != RUNNING else math.inf
    unfinished = (pl.col("code") == "") & (pl.col("s") > last_s)
    return rows.select(
        pl.exclude("failed", "code"),
        ok=~pl.col("failed"),
        failed=pl.col("failed") & ~unfinished,
        unfinished=unfinished,
    )


def _has_failed() -> pl.Expr:
    """Whether the status is an error's, or none came."""
    return (pl.col("code") == "") | pl.col("code").str.contains("^[45]")
