"""Aggregates over the bins of the time axis, and the gaps in what was sampled."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from wotemu_report.axis import Axis

_GAP_FACTOR = 3
"""A step this many times as wide as the usual one is a gap."""


def per_bin(
    frame: pl.DataFrame | pl.LazyFrame, axis: Axis, by: Sequence[str], **values: pl.Expr
) -> pl.DataFrame:
    """Aggregate per bin and `by`; rows off the axis are left out.

    Args:
        frame: Rows with `s`, in seconds since T0, lazy or not.
        axis: The time axis with the bins.
        by: The columns that name a series.
        values: The aggregates, by name.

    Returns:
        `s` (the start of the bin), `by` and `values`, sorted by the first two.
    """
    return (
        frame.lazy()
        .filter(axis.shown())
        # What lies exactly at the axis' end belongs to the last bin, not to one of its own beyond it.
        .with_columns(s=pl.min_horizontal(axis.binned(), pl.lit(axis.bins[-1])))
        .group_by(["s", *by])
        .agg(**values)
        .sort(["s", *by])
        .collect(engine="streaming")
    )


def every_bin(binned: pl.DataFrame, axis: Axis, by: Sequence[str], fill: float) -> pl.DataFrame:
    """Add the bins that a series has no row for, with `fill` as their values: a count is 0 there."""
    grid = pl.DataFrame({"s": axis.bins}, schema={"s": pl.Float64}).join(
        binned.select(by).unique(), how="cross"
    )
    full = grid.join(binned, on=["s", *by], how="left").sort(["s", *by])
    return full.with_columns(pl.exclude(["s", *by]).fill_null(fill))


def broken_at_gaps(binned: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Add a row of nulls in the middle of each gap, so that a line breaks there.

    A gap is over three times as wide as the usual step (the median) of its series: what is sampled slowly
    has no gaps.
    """
    step = pl.col("s").diff().over(by)
    steps = (
        binned.sort([*by, "s"]).with_columns(step=step).with_columns(usual=pl.col("step").median().over(by))
    )
    wide = steps.filter(pl.col("step") > _GAP_FACTOR * pl.col("usual"))
    breaks = wide.select(*by, s=pl.col("s") - pl.col("step") / 2)
    return pl.concat([binned, breaks], how="diagonal").sort(["s", *by])
