"""Percentiles of the durations of requests, by any of what names them; consumers and producers apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.requests import requests
from wotemu_report.recorded.run_data import RunData

KEYS = ("phase", "group", "node", "thing", "name", "op", "binding")
"""By what percentiles can be grouped: `group` is the topology's node, `node` one replica of it."""


def percentiles(
    run: RunData,
    by: Sequence[str] = ("phase", "group", "name", "op", "binding"),
    where: pl.Expr | None = None,
    *,
    answered_only: bool = False,
    names: Sequence[str] = tuple(SHARES),
) -> pl.DataFrame:
    """Percentiles of the durations of requests, by nearest rank.

    A consumer's duration includes the network, a producer's only its handler: each row is of one `role`.

    Args:
        run: The run.
        by: Some of `KEYS`; none gives one row a role. With ``phase``, requests before T0 are left out.
        where: Which requests, over the columns of `requests`.
        answered_only: Whether percentiles leave failed requests out. Else these are infinite: never answered.
        names: Which percentiles, of `SHARES`; each takes its time.

    Returns:
        A row for each `role` and combination of `by` that had a request: `role`; `by`, and `phase_no` before
        ``phase``; `count`, requests that succeeded or failed; `failed`; and the percentiles in ms, null where
        there is no duration. What apps cancelled, or was unfinished at the end, does not count.

    Raises:
        ValueError: `by` has a name that is none of `KEYS`.
    """
    if unknown := set(by) - set(KEYS):
        raise ValueError(f"{', '.join(sorted(unknown))}: durations are grouped by {', '.join(KEYS)}")
    key = ["phase_no" if each == "phase" else each for each in by]
    ended = requests(run).lazy().filter(pl.col("ok") | pl.col("failed"))
    if "phase" in by:
        ended = ended.filter(pl.col("phase_no") >= 0)
    chosen = ended if where is None else ended.filter(where)
    failed_ms = pl.lit(None) if answered_only else pl.lit(math.inf)
    took = pl.when("ok").then("ms").otherwise(failed_ms)
    figures = {name: nearest_rank(pl.col("took"), SHARES[name]) for name in names}
    slim = chosen.select("role", *key, "failed", took=took)
    roles = requests(run)["role"].unique().cast(pl.String).to_list() or ["consumer"]
    grouped = [  # one role after the other takes half the memory
        slim.filter(pl.col("role") == role)
        .group_by("role", *key)
        .agg(count=pl.len(), failed=pl.col("failed").sum(), **figures)
        .collect()
        for role in roles
    ]
    found = pl.concat(grouped).with_columns(pl.selectors.categorical().cast(pl.String))
    if "phase" in by:
        numbers = pl.col("phase_no").cast(pl.Int64)
        found = found.with_columns(numbers).with_columns(phase=run.axis.phase_name("phase_no"))
    columns = [name for each in by for name in (("phase_no", "phase") if each == "phase" else (each,))]
    return in_order(found, "role", *key).select("role", *columns, "count", "failed", *names)
