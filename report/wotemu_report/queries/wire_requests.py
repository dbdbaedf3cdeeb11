"""Requests that nodes' packets show: counts, statuses and durations by who asked whom for what."""

from __future__ import annotations

import polars as pl

from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.ranking import in_order
from wotemu_report.recorded.run_data import RunData

NO_ANSWER = "no answer"
_KEY = ("side", "node", "peer", "port", "protocol", "method", "path", "phase_no", "phase")


def wire_requests(run: RunData) -> pl.DataFrame:
    """A row for each `side`, `node`, `peer`, `port`, `protocol`, `method`, `path` and `phase`.

    Returns:
        These; `count`, requests; `failed`, those with an error status or no answer; `codes`, each status with
        its number of requests; `items`, notifications; `p50` and `p95` in ms, of the requests that were
        answered.
    """
    table = run.tables["requests"]
    is_request, code = pl.col("stage") == "request", pl.col("code")
    figures = table.group_by(_KEY).agg(
        count=is_request.sum(),
        failed=(is_request & ((code == "") | code.str.contains("^[45]"))).sum(),
        items=(~is_request).sum(),
        **{name: nearest_rank(pl.col("duration") * 1000, SHARES[name]) for name in ("p50", "p95")},
    )
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
