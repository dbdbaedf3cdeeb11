"""How far the probes' delays were off the expected ones, over time."""

from __future__ import annotations

import polars as pl

from wotemu.fidelity import MEDIANS_SCATTER
from wotemu_report.queries.time_bins import per_bin
from wotemu_report.recorded.run_data import RunData

_SUREST = pl.col("number").sort_by("scatter", "number", descending=[False, True]).first()
"""How many probes give the surest median; of equally sure ones the most."""


def compared_probes(run: RunData) -> pl.DataFrame:
    """A row for each probe that arrived and can be compared with its expected delay.

    Returns:
        `s`, `node`, `peer`, `series` (the network), and in ms `error` (measured less expected), `expected`,
        `measured` and `spread` (the standard deviation of the jitter on its way).
    """
    return (
        run.tables["probes"]
        .filter(pl.col("state") == "", pl.col("measured").is_not_null(), run.axis.shown())
        .select(
            "s",
            "node",
            "peer",
            series="network",
            error=(pl.col("measured") - pl.col("expected")) * 1000.0,
            expected=pl.col("expected") * 1000.0,
            measured=pl.col("measured") * 1000.0,
            spread=pl.col("spread").fill_null(0.0) * 1000.0,
        )
        .collect(engine="streaming")
    )


def unexplained_errors(run: RunData, probes: pl.DataFrame) -> pl.DataFrame:
    """The errors that jitter does not explain, by network.

    Of the probes that left in a bin, those with the least jitter count: as many as give the surest median.

    Args:
        run: The run, for its time axis.
        probes: `compared_probes`, with their networks as `series`.

    Returns:
        A row for each bin and `series`, in ms: `off`, the median of the errors; `scatter`, how far jitter
        alone moves the median of so many in all but one of 100,000 cases; `error`, the part of `off` beyond
        that; `expected`, the median of the expected delays; and the number of `probes`.
    """
    group = ["bin", "series"]
    number = pl.int_range(1, pl.len() + 1).over(group)
    scatter = MEDIANS_SCATTER * pl.col("spread").pow(2).cum_sum().over(group).sqrt() / pl.col("number")
    surest = (
        probes.with_columns(bin=run.axis.binned())
        .sort("spread")
        .with_columns(number=number)
        .with_columns(scatter=scatter)
        .filter(pl.col("number") <= _SUREST.over(group))
    )
    binned = per_bin(
        surest,
        run.axis,
        ["series"],
        off=pl.col("error").median(),
        expected=pl.col("expected").median(),
        scatter=pl.col("scatter").min(),
        probes=pl.len(),
    )
    beyond = (pl.col("off").abs() - pl.col("scatter")).clip(lower_bound=0.0)
    return binned.with_columns(error=pl.col("off").sign() * beyond)
