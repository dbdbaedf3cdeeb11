"""CPU time and packets of the gateways' processes."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from wotemu_report.queries.nearest_rank import nearest_rank
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.time_bins import broken_at_gaps, per_bin
from wotemu_report.recorded.run_data import RunData

_MIN_INTERVAL_S = 0.5
"""The last sample ends with the run: what is shorter has no meaningful maximum."""
_CPU = 100.0 * pl.col("cpu") / pl.col("interval")
_RATE = pl.col("packets") / pl.col("interval")
_MEAN_CPU = 100.0 * pl.col("cpu").sum() / pl.col("interval").sum()
_MEAN_RATE = pl.col("packets").sum() / pl.col("interval").sum()


def gateway_totals(run: RunData) -> pl.DataFrame:
    """A row for each gateway, the one with the busiest second first; of the time on the axis.

    Returns:
        `network` and `shaper`; `cpu_mean`, `cpu_p95` and `cpu_max` in percent of a core; `rate_mean` and
        `rate_max` in packets a second.
    """
    samples = _placed(run).filter(run.axis.shown())
    whole = pl.col("interval") >= _MIN_INTERVAL_S
    return (
        samples.sort("s")
        .group_by("network")
        .agg(
            shaper=pl.col("shaper").last(),
            cpu_mean=_MEAN_CPU,
            cpu_p95=nearest_rank(_CPU.filter(whole), 0.95),
            cpu_max=_CPU.filter(whole).max(),
            rate_mean=_MEAN_RATE,
            rate_max=_RATE.filter(whole).max(),
        )
        .collect(engine="streaming")
        .pipe(in_order, "network")
        .sort(["cpu_max", "rate_max"], descending=True, nulls_last=True, maintain_order=True)
    )


def gateways_over_time(run: RunData, networks: Sequence[str]) -> pl.DataFrame:
    """Means in each bin of the gateways of `networks`.

    Returns:
        `s`, `series` (the network), `cpu` in percent of a core, and `rate` in packets a second.
    """
    samples = _placed(run).filter(pl.col("network").is_in(list(networks))).with_columns(series="network")
    binned = per_bin(samples, run.axis, ["series"], cpu=_MEAN_CPU, rate=_MEAN_RATE)
    return broken_at_gaps(binned, ["series"])


def _placed(run: RunData) -> pl.LazyFrame:
    """The samples, each at the middle of its interval instead of at its end."""
    samples = run.tables["gateways"].filter(pl.col("interval") > 0)
    return samples.with_columns(s=pl.col("s") - pl.col("interval") / 2)
