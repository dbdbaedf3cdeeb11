"""Requests (reads, writes, invocations): one row each, their durations and errors, and those not measured."""

from __future__ import annotations

import polars as pl

from wotemu.records import CANCELLED, FAILED, OK, UNFINISHED
from wotemu_report.recorded.run_data import RunData

SUBJECT = ("thing", "name", "op")
"""The columns that name what a request is for: an operation on an affordance of a thing."""
KEY = (*SUBJECT, "role", "binding")


def requests(run: RunData) -> pl.DataFrame:
    """One row a request.

    Returns:
        The columns of `interactions` and: `ms`, its duration in milliseconds; `owner`, the node that measured
        it (replicas together); `series`, that and the binding; and how it ended: `ok`, `failed`, `cancelled`
        (by its app) or `unfinished` (when its node was stopped).
    """
    frame = run.tables["interactions"].filter(pl.col("stage") == "request")
    owned = frame.with_columns(
        ms=pl.col("duration") * 1000.0,
        owner=pl.col("node").replace(run.manifest.node_of()),
        ok=pl.col("status") == OK,
        failed=pl.col("status") == FAILED,
        cancelled=pl.col("status") == CANCELLED,
        unfinished=pl.col("status") == UNFINISHED,
    )
    return owned.with_columns(series=pl.format("{} · {}", "owner", "binding"))


def seen_by(frame: pl.DataFrame, role: str) -> pl.DataFrame:
    """The rows that `role` (consumer or producer) measured."""
    return frame.filter(pl.col("role") == role)


def consumers_or_producers(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The rows that consumers measured, or producers' where no consumer was measured; and that role.

    A consumer's duration includes the network, a producer's only its handler: they must not be mixed.
    """
    asked = seen_by(frame, "consumer")
    return (asked, "consumer") if asked.height else (seen_by(frame, "producer"), "producer")


def unmeasured_requests(run: RunData) -> pl.DataFrame:
    """Requests that things served to clients that were not measured: curl, a browser, another program.

    Returns:
        Columns `node` (the producer), `thing`, `name`, `op`, `binding` and `count`: at least so many, by what
        producers served beyond all that measured consumers requested.
    """
    frame = requests(run)
    key = ["thing", "name", "op", "binding"]
    served = (
        seen_by(frame, "producer")
        .filter(pl.col("ok") | pl.col("failed"))
        .group_by("node", *key)
        .agg(served=pl.len())
    )
    asked = seen_by(frame, "consumer").group_by(key).agg(asked=pl.len())
    # WoTPy's CoAP server reads the property for each notification that it sends to an observer: such a read
    # is nobody's request.
    observed = (
        run.tables["interactions"]
        .filter(
            pl.col("stage") == "subscribe", pl.col("binding") == "coap", pl.col("op") == "observeproperty"
        )
        .select("thing", "name", "binding", op=pl.lit("readproperty"))
        .unique()
    )
    beyond = (
        served.join(observed, on=key, how="anti")
        .join(asked, on=key, how="left")
        # Counts are unsigned: a difference below zero would wrap around.
        .with_columns(count=pl.col("served").cast(pl.Int64) - pl.col("asked").fill_null(0).cast(pl.Int64))
    )
    return beyond.filter(pl.col("count") > 0).select("node", *key, "count").sort("node", *key)


def request_figures() -> dict[str, pl.Expr]:
    """Aggregates of requests.

    Returns:
        `count`, those that succeeded or failed; `errors`, failed ones; `cancelled`, those that their apps
        gave up; `p50`, `p95` and `p99`, quantiles in ms of the durations of those that succeeded.
    """
    done = pl.col("ms").filter(pl.col("ok"))
    return {
        "count": (pl.col("ok") | pl.col("failed")).sum(),
        "errors": pl.col("failed").sum(),
        "cancelled": pl.col("cancelled").sum(),
        "p50": done.quantile(0.5, "linear"),
        "p95": done.quantile(0.95, "linear"),
        "p99": done.quantile(0.99, "linear"),
    }


def error_share() -> pl.Expr:
    """The failed share of the requests that `request_figures` counts; null where there are none."""
    return pl.when(pl.col("count") > 0).then(pl.col("errors") / pl.col("count"))


def requests_by_phase(frame: pl.DataFrame, *more: str) -> pl.DataFrame:
    """`request_figures` and `share` for each operation, role, binding and `more`, in each phase.

    A request belongs to the phase in which it began.
    """
    key = [*KEY, *more]
    grouped = frame.group_by([*key, "phase_no", "phase"]).agg(**request_figures())
    return grouped.sort([*key, "phase_no"]).with_columns(share=error_share())


def distinct_errors(frame: pl.DataFrame) -> pl.DataFrame:
    """A row for each distinct error: `count`, `first` and `last` (seconds since T0), and its `nodes`."""
    failed = frame.filter("failed")
    return (
        failed.group_by("error", "op", "binding", "role")
        .agg(
            count=pl.len(),
            first=pl.col("s").min(),
            last=pl.col("s").max(),
            nodes=pl.col("node").unique().sort(),
        )
        .sort(["count", "error", "role"], descending=[True, False, False])
    )


def error_type() -> pl.Expr:
    """The exception's type: the text before the colon of `error`."""
    name = pl.col("error").str.split(":").list.first().str.strip_chars()
    return pl.when(name.str.len_chars() == 0).then(pl.lit("unknown error")).otherwise(name)
