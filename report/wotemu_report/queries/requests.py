"""Requests (reads, writes, invocations): which there were, their durations and their errors, as frames."""

from __future__ import annotations

import polars as pl

from wotemu.records import CANCELLED, FAILED, OK, UNFINISHED
from wotemu_report.recorded.dataset import RunData

SUBJECT = ("thing", "name", "op")
"""What one chart is about: an operation on an affordance of a thing."""
KEY = ("thing", "name", "op", "role", "binding")


def requests(run: RunData) -> pl.DataFrame:
    """One row a request, with `ms`, its duration in milliseconds.

    `owner` is the node that measured, replicas together; `series` is that and the binding. A request has
    succeeded (`ok`), `failed`, was `cancelled` by its app, or `unfinished` when its node was stopped.
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
    """The rows that `role` measured."""
    return frame.filter(pl.col("role") == role)


def usual_end(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The rows that consumers measured, or producers' where no consumer was measured; and whose they are."""
    asked = seen_by(frame, "consumer")
    return (asked, "consumer") if asked.height else (seen_by(frame, "producer"), "producer")


def unmeasured(run: RunData) -> pl.DataFrame:
    """Requests that things served to clients that were not measured: curl, a browser, another program.

    Columns `node` (the producer), `thing`, `name`, `op`, `binding`, `count`: at least so many, by what
    producers served beyond all that measured consumers asked for. Reads that stand for CoAP's notifications
    are not counted: WoTPy's server reads a property for each that it sends to an observer.
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
        .with_columns(count=pl.col("served").cast(pl.Int64) - pl.col("asked").fill_null(0).cast(pl.Int64))
    )
    return beyond.filter(pl.col("count") > 0).select("node", *key, "count").sort("node", *key)


def figures_of() -> dict[str, pl.Expr]:
    """Aggregates of requests: how many succeeded or failed, how many failed, how many their apps cancelled.

    And quantiles of those that succeeded, in ms.
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
    """Failed requests of all that `figures_of` counts; null where there are none."""
    return pl.when(pl.col("count") > 0).then(pl.col("errors") / pl.col("count"))


def by_phase(frame: pl.DataFrame, *more: str) -> pl.DataFrame:
    """`figures_of` for each operation, role, binding and `more` in each phase.

    A request belongs to where it began.
    """
    key = [*KEY, *more]
    grouped = frame.group_by([*key, "phase_no", "phase"]).agg(**figures_of())
    return grouped.sort([*key, "phase_no"]).with_columns(share=error_share())


def error_kinds(frame: pl.DataFrame) -> pl.DataFrame:
    """Each distinct error: how often, when first and last, on which nodes."""
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


def error_name() -> pl.Expr:
    """The exception's type: what comes before the colon of `error`."""
    name = pl.col("error").str.split(":").list.first().str.strip_chars()
    return pl.when(name.str.len_chars() == 0).then(pl.lit("unknown error")).otherwise(name)
