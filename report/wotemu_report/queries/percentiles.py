"""Percentiles of the durations of requests, by any of what names them; consumers and producers apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.ranked import ranked
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
    frame: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Percentiles of the durations of requests, by nearest rank.

    A consumer's duration includes the network, a producer's only its handler: each row is of one `role`.

    Args:
        run: The run.
        by: Some of `KEYS`; none gives one row a role. With ``phase``, requests before T0 are left out.
        where: Which requests, over the columns of `requests`.
        answered_only: Whether percentiles leave failed requests out. Else these are infinite: never answered.
        names: Which percentiles, of `SHARES`; each takes its time.
        frame: In place of `requests`, such as `requests_on_wire`.

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
    chosen = pl.col("ok") | pl.col("failed")
    if "phase" in by:
        chosen &= pl.col("phase_no") >= 0
    if where is not None:
        chosen &= where
    found = ranked(
        requests(run) if frame is None else frame,
        ["role", *key],
        {name: SHARES[name] for name in names},
        took=pl.when("ok").then("ms"),
        where=chosen,
        unanswered=None if answered_only else math.inf,
    )
    if "phase" in by:
        numbers = pl.col("phase_no").cast(pl.Int64)
        found = found.with_columns(numbers).with_columns(phase=run.axis.phase_name("phase_no"))
    columns = [name for each in by for name in (("phase_no", "phase") if each == "phase" else (each,))]
    return in_order(found, "role", *key).select("role", *columns, "count", "failed", *names)
