"""CPU and memory of the nodes, and the load of the machines."""

from __future__ import annotations

import polars as pl
from natsort import natsorted

from wotemu_report.queries.nearest_rank import nearest_rank
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranking import MAX_SERIES, biggest, in_order
from wotemu_report.queries.time_bins import broken_at_gaps, per_bin
from wotemu_report.recorded.run_data import RunData

_LOADS = {"CPU used": "cpu_percent", "CPU stolen": "steal_percent", "memory used": "mem_percent"}


def usage_over_time(run: RunData, samples: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """Means in each bin, of the nodes that used most CPU.

    Returns:
        `s`, `series` (the node), `cpu` and `cpu_limit` in percent of a core, `mem` and `mem_limit` in bytes;
        and the nodes, in order.
    """
    busiest = biggest(samples, "node", pl.col("cpu_percent").mean(), MAX_SERIES)
    kept = samples.filter(pl.col("node").is_in(busiest)).with_columns(series="node")
    binned = per_bin(
        kept,
        run.axis,
        ["series"],
        cpu=pl.col("cpu_percent").mean(),
        cpu_limit=pl.col("cpu_limit_percent").min(),
        mem=pl.col("mem_bytes").mean(),
        mem_limit=pl.col("mem_limit_bytes").min(),
    )
    return broken_at_gaps(binned, ["series"]), natsorted(binned["series"].unique())


@once_a_run  # the table of nodes and the nodes' pages read it
def node_totals(run: RunData) -> pl.DataFrame:
    """A row for each node: `cpu_mean`, `cpu_p95`, `cpu_max` and `cpu_limit` in percent of a core; `mem_mean`,
    `mem_max` and `mem_limit` in bytes; most `processes` at once."""
    return (
        run.tables["system"]
        .group_by("node")
        .agg(
            cpu_mean=pl.col("cpu_percent").mean(),
            cpu_p95=nearest_rank(pl.col("cpu_percent"), 0.95),
            cpu_max=pl.col("cpu_percent").max(),
            cpu_limit=pl.col("cpu_limit_percent").min(),
            mem_mean=pl.col("mem_bytes").mean(),
            mem_max=pl.col("mem_bytes").max(),
            mem_limit=pl.col("mem_limit_bytes").min(),
            processes=pl.col("processes").max(),
        )
        .collect(engine="streaming")
        .pipe(in_order, "node")
    )


def machine_load(run: RunData) -> tuple[pl.DataFrame, list[str]]:
    """Load of the machines in each bin.

    Returns:
        `s`, `series` (CPU used, CPU stolen or memory used, with the machine where there are several) and
        `percent`; and the series, in order.
    """
    hosts = run.tables["host"].with_columns(
        mem_percent=100.0 * pl.col("mem_used_bytes") / pl.col("mem_total_bytes")
    )
    several = hosts.select(pl.col("host").n_unique()).collect(engine="streaming").item() > 1
    long = pl.concat(
        hosts.select(
            "s",
            series=pl.format("{} · {}", "host", pl.lit(label)) if several else pl.lit(label),
            percent=pl.col(column).cast(pl.Float64),
        )
        for label, column in _LOADS.items()
    )
    binned = per_bin(long, run.axis, ["series"], percent=pl.col("percent").mean())
    return broken_at_gaps(binned, ["series"]), sorted(binned["series"].unique(), key=_load_order)


def _load_order(series: str) -> tuple[int, str]:
    return next(number for number, label in enumerate(_LOADS) if series.endswith(label)), series
