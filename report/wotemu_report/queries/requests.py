"""Requests (reads, writes, invocations): one row each, their durations and errors, and those not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from wotemu.records import CANCELLED, FAILED, OK, UNFINISHED
from wotemu_report.queries.interaction_rows import interaction_rows
from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranked import ranked
from wotemu_report.queries.subscriptions import subscription_rows
from wotemu_report.recorded.run_data import RunData

SUBJECT = ("thing", "name", "op")
"""The columns that name what a request is for: an operation on an affordance of a thing."""
_USUAL_SHARES = {name: SHARES[name] for name in ("p50", "p95", "p99")}


@once_a_run
def requests(run: RunData) -> pl.DataFrame:
    """One row a request.

    Returns:
        The columns of `interaction_rows`, and how it ended: `ok`, `failed`, `cancelled` (by its app) or
        `unfinished` (when its node was stopped).
    """
    return interaction_rows(run, pl.col("stage") == "request").with_columns(
        ok=pl.col("status") == OK,
        failed=pl.col("status") == FAILED,
        cancelled=pl.col("status") == CANCELLED,
        unfinished=pl.col("status") == UNFINISHED,
    )


def seen_by(frame: pl.DataFrame, role: str) -> pl.LazyFrame:
    """The rows that `role` (consumer or producer) measured; lazy, as a copy of them might be large."""
    return frame.lazy().filter(pl.col("role") == role)


def measured_role(frame: pl.DataFrame) -> str:
    """``consumer``, or ``producer`` where no consumer was measured.

    A consumer's duration includes the network, a producer's only its handler: they must not be mixed.
    """
    return "consumer" if frame.select((pl.col("role") == "consumer").any()).item() else "producer"


def consumers_or_producers(frame: pl.DataFrame) -> tuple[pl.LazyFrame, str]:
    """The rows of `measured_role`, and that role."""
    role = measured_role(frame)
    return seen_by(frame, role), role


def unmeasured_requests(run: RunData) -> pl.DataFrame:
    """Requests that things served to clients that were not measured: curl, a browser, another program.

    Returns:
        Columns `node` (the producer), `thing`, `name`, `op`, `binding` and `count`: at least so many, by what
        producers served beyond all that measured consumers requested.
    """
    frame = requests(run)
    key = ["thing", "name", "op", "binding"]
    ended = (pl.col("ok") | pl.col("failed")).sum()
    counted = (
        frame.lazy()  # groups of a whole frame would be of all its columns
        .group_by("role", "node", *key)
        .agg(ended=ended, all=pl.len())
        .with_columns(pl.col("role", "node", *key).cast(pl.String))
        .collect(engine="streaming")
    )
    served = (
        counted.filter(pl.col("role") == "producer")
        .group_by("node", *key)
        .agg(served=pl.col("ended").sum())
        .filter(pl.col("served") > 0)
    )
    asked = counted.filter(pl.col("role") == "consumer").group_by(key).agg(asked=pl.col("all").sum())
    # WoTPy's CoAP server reads the property for each notification that it sends to an observer: such a read
    # is nobody's request.
    observed = (
        subscription_rows(run)
        .lazy()
        .filter(
            pl.col("stage") == "subscribe", pl.col("binding") == "coap", pl.col("op") == "observeproperty"
        )
        .select("thing", "name", "binding")
        .unique()
        .select(pl.all().cast(pl.String), op=pl.lit("readproperty"))
        .collect()
    )
    beyond = (
        served.join(observed, on=key, how="anti")
        .join(asked, on=key, how="left")
        # Counts are unsigned: a difference below zero would wrap around.
        .with_columns(count=pl.col("served").cast(pl.Int64) - pl.col("asked").fill_null(0).cast(pl.Int64))
    )
    return beyond.filter(pl.col("count") > 0).select("node", *key, "count").sort("node", *key)


def request_figures(
    frame: pl.DataFrame, by: Sequence[str] = (), shares: Mapping[str, float] = _USUAL_SHARES
) -> pl.DataFrame:
    """Figures of requests with the columns `ok`, `failed` and `ms`, by others.

    Args:
        frame: The requests.
        by: Columns of categories, texts or integers.
        shares: Which percentiles, by their names, as shares (0 to 1).

    Returns:
        A row for each combination of `by`: `by`, names as text; `count`, those that succeeded or failed;
        `errors`, failed ones; and the percentiles in ms, of the durations of those that succeeded. None where
        no request ended.
    """
    ended = pl.col("ok") | pl.col("failed")
    found = ranked(frame, by, shares, took=pl.when("ok").then("ms"), where=ended)
    return found.rename({"failed": "errors"})


def error_share() -> pl.Expr:
    """The share that `errors` are of `count`; null where there are none."""
    return pl.when(pl.col("count") > 0).then(pl.col("errors") / pl.col("count"))


def distinct_errors(frame: pl.DataFrame) -> pl.DataFrame:
    """A row for each distinct error: `count`, `first` and `last` (seconds since T0), and its `nodes`."""
    key = ("error", "role", "op", "binding", "code")
    found = (
        frame.filter("failed")
        .group_by(key)
        .agg(
            count=pl.len(),
            first=pl.col("s").min(),
            last=pl.col("s").max(),
            nodes=pl.col("node").unique().sort().cast(pl.String),
        )
        .with_columns(pl.col(key).cast(pl.String))
    )
    return found.sort("count", *key, descending=[True, *[False] * len(key)])


def with_error_type(failed: pl.DataFrame) -> pl.DataFrame:
    """Add `series`: the exception's type, which is the text before the colon of `error`."""
    name = pl.col("error").cast(pl.String).str.split(":").list.first().str.strip_chars()
    known = pl.when(name.str.len_chars() == 0).then(pl.lit("unknown error")).otherwise(name)
    types = failed.select(pl.col("error").unique()).with_columns(series=known)
    return failed.join(types, on="error", how="left")
