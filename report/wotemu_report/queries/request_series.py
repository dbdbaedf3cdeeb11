"""Requests over time and by phase: outcomes, errors and quantiles of durations."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from wotemu.records import CANCELLED, FAILED, OK, UNFINISHED
from wotemu_report.axis import Axis
from wotemu_report.queries.nearest_rank import BOX_SHARES
from wotemu_report.queries.ranking import fold, with_series
from wotemu_report.queries.requests import request_figures, with_error_type
from wotemu_report.queries.time_bins import broken_at_gaps, every_bin, per_bin
from wotemu_report.recorded.run_data import RunData

_OUTCOMES = {OK: "succeeded", FAILED: "failed", CANCELLED: "cancelled", UNFINISHED: "unfinished"}
_BUCKETS_A_DECADE = 10
_REQUESTS_A_BIN = 4
"""Fewer would make a median jump about."""


def outcomes_over_time(run: RunData, frame: pl.LazyFrame) -> pl.DataFrame:
    """Requests in each bin: `s`, `series` (the outcome), `count`, and `rate` in requests a second."""
    binned = per_bin(frame, run.axis, ["status"], count=pl.len())
    outcome = pl.col("status").cast(pl.String).replace_strict(_OUTCOMES)
    named = binned.select("s", series=outcome, count="count").sort("s", "series")
    binned = every_bin(named, run.axis, ["series"], fill=0)
    return binned.with_columns(rate=pl.col("count") / run.axis.bin_s)


def errors_over_time(run: RunData, frame: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """Failed requests in each bin: `s`, `series` (the exception's type), `count`; and the types, in order."""
    failed = with_error_type(frame.filter("failed").select("s", "error").collect())
    folded, names = fold(failed, "series", pl.len())
    binned = per_bin(folded, run.axis, ["series"], count=pl.len())
    return every_bin(binned, run.axis, ["series"], fill=0), names


def quantiles_over_time(axis: Axis, frame: pl.DataFrame) -> pl.DataFrame:
    """Figures of requests in each bin for each series; a row of nulls where a line must break.

    Returns:
        `s`, `series`, `count`, `errors`, `p50`, `p95` and `p99`: percentiles in ms of those that succeeded.
    """
    return broken_at_gaps(figures_over_time(axis, frame, ["series"]), ["series"])


def figures_over_time(axis: Axis, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """`request_figures` in each bin, `s`, and by others, where a request succeeded."""
    last = len(axis.bins) - 1
    number = (pl.col("s") // axis.bin_s).cast(pl.Int32).clip(upper_bound=last).alias("bin")
    slim = frame.lazy().filter(axis.shown()).select(number, *by, "ms", "ok", "failed").collect()
    found = request_figures(slim, ["bin", *by]).filter(pl.col("p50").is_not_null())
    placed = found.with_columns(s=pl.col("bin").cast(pl.Float64) * axis.bin_s)
    return placed.select("s", pl.exclude("s", "bin")).sort("s", *by)


def duration_buckets(axis: Axis, frame: pl.LazyFrame) -> pl.DataFrame:
    """How many requests took how long in each bin of time: a heat map's cells.

    Args:
        axis: The time axis with the bins.
        frame: Requests with `s` and `ms`.

    Returns:
        `s`; `low` and `high`, the bounds of a bucket in ms (ten to a decade); `count`; and `share`, of the
        bin's requests.
    """
    bucket = (pl.col("ms").log10() * _BUCKETS_A_DECADE).floor()
    named = frame.filter(pl.col("ms") > 0).select("s", bucket=bucket)
    counted = per_bin(named, axis, ["bucket"], count=pl.len())
    return counted.select(
        "s",
        low=10.0 ** (pl.col("bucket") / _BUCKETS_A_DECADE),
        high=10.0 ** ((pl.col("bucket") + 1) / _BUCKETS_A_DECADE),
        count="count",
        share=pl.col("count") / pl.col("count").sum().over("s"),
    )


def samples_over_time(axis: Axis, frame: pl.LazyFrame, limit: int) -> pl.DataFrame:
    """Single requests that show how far durations spread: the shortest and the longest of each time bin.

    Args:
        axis: The time axis.
        frame: Requests with their `series`; those without a duration are left out.
        limit: How many rows there may be: all requests where they are no more, else bins are so wide that
            two a bin and series are no more.

    Returns:
        `s`, `ms`, `series`, `node`, `error`, and the `count` of requests that a row stands for.
    """
    columns = ["s", "ms", "series", "node", "error"]
    timed = frame.filter(axis.shown(), pl.col("ms").is_not_null()).select(columns)
    total, series = timed.select(pl.len(), pl.col("series").n_unique()).collect().row(0)
    if total <= limit:
        return timed.with_columns(count=pl.lit(1, pl.UInt32)).collect()
    bins = max(1, limit // (2 * series))
    place = (pl.col("s") * bins / axis.end_s).floor().clip(upper_bound=bins - 1).cast(pl.Int32)
    rows = timed.with_row_index("row").collect()
    row, ms = pl.col("row"), pl.col("ms")
    ends = (
        rows.lazy()
        .group_by("series", place.alias("place"))
        .agg(least=row.get(ms.arg_min()), most=row.get(ms.arg_max()), count=pl.len())
        .collect()
    )
    # A bin with one request has it as its shortest and its longest.
    found = pl.concat([ends.select(pl.col(end).alias("row"), "count") for end in ("least", "most")]).unique()
    shown = rows[found["row"]].with_columns(found["count"]).sort("s", "series", "ms", "row")
    return shown.drop("row")


def axis_for_medians(axis: Axis, frame: pl.DataFrame) -> Axis:
    """The axis with bins wide enough to hold about four requests of the usual series."""
    counts = frame.lazy().filter(axis.shown()).group_by("series").len().collect()
    usual = counts["len"].median()
    return axis.coarser(usual / _REQUESTS_A_BIN if isinstance(usual, int | float) else 1.0)


def boxes_by_phase(frame: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """The boxes of a box plot, by phase and by affordance, operation, node and binding.

    Args:
        frame: The requests that one role measured.

    Returns:
        A row for each phase and series that had a request: `phase_no`, `phase`, `series`, `count`, `errors`,
        and `BOX_SHARES` in ms, of the requests that succeeded; and the series, in order.
    """
    columns = ("name", "op", "owner", "binding")
    begun = frame.filter(pl.col("phase_no") >= 0, pl.col("ok") | pl.col("failed")).select(
        *columns, "phase_no", "phase", "ms", "ok", "failed"
    )
    named = with_series(begun.collect(), "{} {} · {} · {}", *columns).drop(columns)
    folded, names = fold(named, "series", pl.len())
    rows = request_figures(folded, ["phase_no", "phase", "series"], BOX_SHARES)
    return rows.sort("phase_no", "series"), names
