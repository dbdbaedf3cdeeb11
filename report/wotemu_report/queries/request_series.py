"""Requests over time and by phase: outcomes, errors and quantiles of durations."""

from __future__ import annotations

import polars as pl

from wotemu.records import CANCELLED, FAILED, OK, UNFINISHED
from wotemu_report.axis import Axis
from wotemu_report.queries.ranking import fold
from wotemu_report.queries.requests import error_type, request_figures
from wotemu_report.queries.time_bins import broken_at_gaps, every_bin, per_bin
from wotemu_report.recorded.run_data import RunData

_OUTCOMES = {OK: "succeeded", FAILED: "failed", CANCELLED: "cancelled", UNFINISHED: "unfinished"}
_BUCKETS_A_DECADE = 10
_REQUESTS_A_BIN = 4
"""Fewer would make a median jump about."""


def outcomes_over_time(run: RunData, frame: pl.DataFrame) -> pl.DataFrame:
    """Requests in each bin: `s`, `series` (the outcome), `count`, and `rate` in requests a second."""
    named = frame.with_columns(series=pl.col("status").replace_strict(_OUTCOMES))
    binned = every_bin(per_bin(named, run.axis, ["series"], count=pl.len()), run.axis, ["series"], fill=0)
    return binned.with_columns(rate=pl.col("count") / run.axis.bin_s)


def errors_over_time(run: RunData, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Failed requests in each bin: `s`, `series` (the exception's type), `count`; and the types, in order."""
    failed = frame.filter("failed").with_columns(series=error_type())
    folded, names = fold(failed, "series", pl.len())
    binned = per_bin(folded, run.axis, ["series"], count=pl.len())
    return every_bin(binned, run.axis, ["series"], fill=0), names


def quantiles_over_time(axis: Axis, frame: pl.DataFrame) -> pl.DataFrame:
    """`request_figures` in each bin for each series; a row of nulls where a line must break."""
    binned = per_bin(frame, axis, ["series"], **request_figures())
    return broken_at_gaps(binned.filter(pl.col("p50").is_not_null()), ["series"])


def duration_buckets(axis: Axis, frame: pl.DataFrame) -> pl.DataFrame:
    """How many requests took how long in each bin of time: a heat map's cells.

    Args:
        axis: The time axis with the bins.
        frame: Requests with `s` and `ms`.

    Returns:
        `s`; `low` and `high`, the bounds of a bucket in ms (ten to a decade); `count`; and `share`, of the
        bin's requests.
    """
    bucket = (pl.col("ms").log10() * _BUCKETS_A_DECADE).floor()
    named = frame.filter(pl.col("ms") > 0).with_columns(bucket=bucket)
    counted = per_bin(named, axis, ["bucket"], count=pl.len())
    return counted.select(
        "s",
        low=10.0 ** (pl.col("bucket") / _BUCKETS_A_DECADE),
        high=10.0 ** ((pl.col("bucket") + 1) / _BUCKETS_A_DECADE),
        count="count",
        share=pl.col("count") / pl.col("count").sum().over("s"),
    )


def axis_for_medians(axis: Axis, frame: pl.DataFrame) -> Axis:
    """The axis with bins wide enough to hold about four requests of the usual series."""
    counts = frame.filter(axis.shown())["series"].value_counts()["count"]
    usual = counts.median()
    return axis.coarser(usual / _REQUESTS_A_BIN if isinstance(usual, int | float) else 1.0)


def quantiles_by_phase(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """`request_figures` by `phase_no`, `phase` and `series` (operation, node and binding); and the series."""
    named = frame.with_columns(series=pl.format("{} {} · {}", "name", "op", "series"))
    folded, names = fold(named.filter(pl.col("phase_no") >= 0), "series", pl.len())
    grouped = folded.group_by("phase_no", "phase", "series").agg(**request_figures())
    return grouped.filter(pl.col("p50").is_not_null()).sort("phase_no", "series"), names
