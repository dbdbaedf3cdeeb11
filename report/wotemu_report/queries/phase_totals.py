"""One row for each phase, with its requests, availability, traffic and drops."""

from __future__ import annotations

import polars as pl

from wotemu_report.queries.availability import by_node_and_phase
from wotemu_report.queries.hop_counters import dropped
from wotemu_report.queries.requests import error_share, requests
from wotemu_report.queries.subscriptions import notifications
from wotemu_report.recorded.run_data import RunData


def phase_totals(run: RunData) -> pl.DataFrame:
    """A row for each phase.

    Returns:
        `phase_no`, `phase`, `start` (seconds since T0) and `lasts` (seconds); `count`, `errors` and `share`
        of consumers' requests; `worst`, the lowest availability of any node, and `whose` it is; `items` and
        `bytes` sent a second; packets `dropped`.
    """
    joined = _spans(run)
    for part in (_requests(run), _worst(run), _items(run), _sent(run), _drops(run)):
        joined = joined.join(part, on="phase_no", how="left")
    lasts = pl.col("lasts")
    return joined.with_columns(
        pl.col("count", "errors", "dropped").fill_null(0),
        items=pl.col("items").fill_null(0) / lasts,
        bytes=pl.col("bytes").fill_null(0) / lasts,
    ).sort("phase_no")


def _spans(run: RunData) -> pl.DataFrame:
    rows = [
        (number, span.name, span.start_s, span.end_s - span.start_s)
        for number, span in enumerate(run.axis.phases)
    ]
    schema = {"phase_no": pl.Int64, "phase": pl.String, "start": pl.Float64, "lasts": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _requests(run: RunData) -> pl.DataFrame:
    asked = requests(run).lazy().filter(pl.col("role") == "consumer")
    ended, failed = (pl.col("ok") | pl.col("failed")).sum(), pl.col("failed").sum()
    grouped = asked.group_by("phase_no").agg(count=ended, errors=failed).collect()
    return grouped.select(pl.col("phase_no").cast(pl.Int64), "count", "errors", share=error_share())


def _worst(run: RunData) -> pl.DataFrame:
    lowest = by_node_and_phase(run).sort("availability", nulls_last=True)
    return (
        lowest.group_by("phase_no", maintain_order=True)
        .agg(worst=pl.col("availability").first(), whose=pl.col("owner").first())
        .with_columns(whose=pl.when(pl.col("worst") < 1).then("whose"))
    )


def _items(run: RunData) -> pl.DataFrame:
    delivered = notifications(run).filter(pl.col("stage") == "next", pl.col("role") == "consumer")
    return delivered.group_by(pl.col("phase_no").cast(pl.Int64)).agg(items=pl.len())


def _sent(run: RunData) -> pl.DataFrame:
    sent = run.tables["flows"].filter(pl.col("direction") == "up")
    return sent.group_by("phase_no").agg(bytes=pl.col("bytes").sum()).collect(engine="streaming")


def _drops(run: RunData) -> pl.DataFrame:
    counted = run.tables["hops"].group_by("phase_no").agg(dropped=dropped().sum())
    return counted.collect(engine="streaming")
