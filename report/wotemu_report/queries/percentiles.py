"""Percentiles of the durations of requests, by any of what names them; consumers and producers apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.requests import requests
from wotemu_report.recorded.run_data import RunData

KEYS = ("phase", "group", "node", "thing", "name", "op", "binding")
"""By what percentiles can be grouped: `group` is the topology's node, `node` one replica of it."""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The percentiles: the name of each column, and its share."""


def percentiles(
    run: RunData,
    by: Sequence[str] = ("phase", "group", "name", "op", "binding"),
    where: pl.Expr | None = None,
    *,
    answered_only: bool = False,
) -> pl.DataFrame:
    """Percentiles of the durations of requests, by nearest rank.

    A consumer's duration includes the network, a producer's only its handler: each row is of one `role`.

    Args:
        run: The run.
        by: Some of `KEYS`; none gives one row a role. With ``phase``, requests before T0 are left out.
        where: Which requests, over the columns of `requests`.
        answered_only: Whether percentiles leave failed requests out. Else these are infinite: never answered.

    Returns:
        A row for each `role` and combination of `by` that had a request: `role`; `by`, and `phase_no` before
        ``phase``; `count`, requests that succeeded or failed; `failed`; and `p50`, `p90`, `p95`, `p99` and
        `p999` in ms, null where there is no duration. What apps cancelled, or was unfinished at the end, does
        not count.

    Raises:
        ValueError: `by` has a name that is none of `KEYS`.
    """
    if unknown := set(by) - set(KEYS):
        raise ValueError(f"{', '.join(sorted(unknown))}: durations are grouped by {', '.join(KEYS)}")
    key = [column for each in by for column in (("phase_no", "phase") if each == "phase" else (each,))]
    frame = requests(run).lazy()
    chosen = frame if where is None else frame.filter(where)
    ended = chosen.filter(pl.col("ok") | pl.col("failed"))
    if "phase" in by:
        ended = ended.filter(pl.col("phase_no") >= 0)
    grouped = ended.group_by("role", *key).agg(
        count=pl.len(), failed=pl.col("failed").sum(), **duration_percentiles(answered_only=answered_only)
    )
    names = [name for name in ("role", *key) if name != "phase_no"]
    named = grouped.with_columns(pl.col(names).cast(pl.String), pl.col("^phase_no$").cast(pl.Int64))
    return in_order(named.collect(), "role", *key)


def duration_percentiles(*, answered_only: bool = False) -> dict[str, pl.Expr]:
    """The aggregates `SHARES` of `ms`; failed requests are infinite, or left out."""
    took = pl.col("ms").filter("ok") if answered_only else pl.when("ok").then("ms").otherwise(math.inf)
    return {name: took.quantile(share, "equiprobable") for name, share in SHARES.items()}
