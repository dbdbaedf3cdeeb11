"""What the gateways' counters say of the hops: drops over time, and each hop's totals and lateness."""

from __future__ import annotations

import polars as pl

from wotemu.percentiles import percentile
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.time_bins import every_bin, per_bin
from wotemu_report.recorded.run_data import RunData

DROP_REASONS = {
    "random loss": "dropped_loss",
    "full queue": "dropped_queue",
    "cut": "dropped_cut",
    "no memory": "dropped_memory",
}
"""Why packets are dropped: each reason with its column of `hops`."""
_HOP = ("network", "node", "direction")
_DROPPED = tuple(DROP_REASONS.values())


def dropped() -> pl.Expr:
    """All packets that a row of `hops` counts as dropped."""
    return pl.sum_horizontal(_DROPPED)


def drops_over_time(run: RunData) -> pl.DataFrame:
    """Packets dropped in each bin: `s`, `series` (the reason), `count`; only reasons that occurred."""
    sums = {column: pl.col(column).sum() for column in _DROPPED}
    wide = per_bin(run.tables["hops"], run.axis, [], **sums)
    long = wide.rename({column: reason for reason, column in DROP_REASONS.items()}).unpivot(
        index="s", variable_name="series", value_name="count"
    )
    binned = long.filter(pl.col("count") > 0).sort("s", "series")
    return every_bin(binned, run.axis, ["series"], fill=0)


@once_a_run  # the table of hops and the nodes' pages read it
def hop_totals(run: RunData) -> pl.DataFrame:
    """A row for each hop.

    Returns:
        `network`, `node`, `direction`; `sent` packets and `sent_bytes`; packets dropped, by reason;
        `backlog`, most packets held at once; `late_p95` and `late_max`, in ms.
    """
    # A shared network's rate has rows of its own, which count what the hops count already.
    hops = run.tables["hops"].filter(pl.col("direction") != "shared")
    totals = hops.group_by(_HOP).agg(
        pl.col("sent", "sent_bytes", *_DROPPED).sum(),
        backlog=pl.col("backlog").max(),
        late_max=pl.col("late_max").max() * 1000.0,
    )
    return (
        totals.collect(engine="streaming")
        .join(late_p95(hops), on=_HOP, how="left")
        .select(pl.exclude("late_p95", "late_max"), "late_p95", "late_max")
        .sort("direction", descending=True)
        .pipe(in_order, "network", "node")
    )


def late_p95(hops: pl.LazyFrame) -> pl.DataFrame:
    """The 95th percentile of each hop's packets' lateness in ms, from the merged histograms of all seconds.

    A percentile of each second's percentiles would weigh an idle second as much as a busy one.
    """
    bins = (
        hops.select(*_HOP, "late_bins", "late_counts")
        .filter(pl.col("late_bins").list.len() > 0)
        .explode("late_bins", "late_counts")
        .group_by(*_HOP, "late_bins")
        .agg(pl.col("late_counts").sum())
        .collect(engine="streaming")
        .sort("late_bins")
        .group_by(_HOP)
        .agg("late_bins", "late_counts")
    )
    histograms = bins.select("late_bins", "late_counts").rows()
    values = [percentile(numbers, counts, 0.95) for numbers, counts in histograms]
    late = pl.Series("late_p95", values, dtype=pl.Float64) * 1000.0
    return bins.select(_HOP).with_columns(late)
