"""Values by key and node, as apps reported them of themselves, and brokers under $SYS."""

from __future__ import annotations

import polars as pl

from wotemu_report.queries.ranking import fold, in_order
from wotemu_report.queries.time_bins import broken_at_gaps, per_bin
from wotemu_report.recorded.run_data import RunData


def means_over_time(run: RunData, values: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """The mean of a key's values in each bin: `s`, `series` (the node), `value`; and the nodes, in order."""
    return _over_time(run, values, pl.col("value").mean())


def last_values_over_time(run: RunData, values: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """The last of a key's values in each bin, as `means_over_time` has them; right for counters."""
    return _over_time(run, values, pl.col("value").last())


def _over_time(run: RunData, values: pl.LazyFrame, value: pl.Expr) -> tuple[pl.DataFrame, list[str]]:
    folded, names = fold(values.with_columns(series="node"), "series", pl.len())
    return broken_at_gaps(per_bin(folded, run.axis, ["series"], value=value), ["series"]), names


def totals_by_key(values: pl.LazyFrame) -> pl.DataFrame:
    """A row for each `key` of each `node`: `count`, `least`, `mean`, `most` and `last` of its values."""
    return (
        values.sort("t")
        .group_by("key", "node")
        .agg(
            count=pl.len(),
            least=pl.col("value").min(),
            mean=pl.col("value").mean(),
            most=pl.col("value").max(),
            last=pl.col("value").last(),
        )
        .collect(engine="streaming")
        .pipe(in_order, "key", "node")
    )
