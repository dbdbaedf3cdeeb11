"""Percentiles by nearest rank, the definition of `wotemu.percentiles`, as expressions of Polars."""

from __future__ import annotations

import polars as pl

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The percentiles of durations: the name of each column, and its share."""
BOX_SHARES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
"""The percentiles of a box plot: its box from p25 to p75, its whiskers from p5 to p95, and what is beyond."""


def nearest_rank(values: pl.Expr, share: float) -> pl.Expr:
    """The smallest value that at least a `share` (0 to 1) of all are at or below; nulls do not count.

    It is one of the values, so that it may be infinite: a request that was never answered.
    """
    return values.quantile(share, "equiprobable")
