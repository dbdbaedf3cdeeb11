"""Availability by node and phase, with requests that failed, waited, or were never answered.

Pooled figures of successes hide the worst: clients that are cut off make few requests, and none that
succeeds. So every node has a row of its own, a failed request counts as one that was never answered, and
availability is a share of time, not of requests.
"""

from __future__ import annotations

import math
from functools import lru_cache

import polars as pl

from wotemu.records import FAILED, OK
from wotemu_report.axis import PhaseSpan
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.requests import requests, seen_by
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

SLOW_FACTOR = 5.0
SLOW_LEAST_S = 1.0
"""A request is slow that takes over `SLOW_FACTOR` times the usual, the median, and over `SLOW_LEAST_S`."""

_SERIES = ("node", "thing", "name", "op", "binding")


def available_intervals(frame: pl.DataFrame, end_s: float) -> pl.DataFrame:
    """When each series of requests (`node`, `thing`, `name`, `op`, `binding`) found its thing available.

    - A request that succeeded: available for the usual duration (the median) before its answer, and until
      the next request begins. A longer wait before that says nothing, or, if the request was slow, that
      nothing was available.
    - One that failed: not available, until the next one begins.
    - The last one of a series counts for as long as they are usually apart.
    - One that was unfinished when its node was stopped says nothing, unless it was slow: then nothing was
      available all the time.
    - A cancelled one says nothing.

    Args:
        frame: `requests`, of consumers.
        end_s: Where the run ends, in seconds since T0.

    Returns:
        `owner`, `start` and `stop` (seconds since T0), and `up`, whether the thing was available.
    """
    ended = frame.filter(~pl.col("cancelled")).sort(*_SERIES, "s")
    usual = pl.col("duration").filter(pl.col("ok")).median().over(_SERIES).fill_null(0.0)
    asked = ended.with_columns(
        usual=usual,
        slow=pl.col("duration") > pl.max_horizontal(usual * SLOW_FACTOR, pl.lit(SLOW_LEAST_S)),
        apart=pl.col("s").shift(-1).over(_SERIES) - pl.col("s"),
    )
    last = pl.max_horizontal(pl.col("duration"), pl.col("apart").median().over(_SERIES))
    asked = asked.with_columns(
        stop=pl.min_horizontal(pl.col("s") + pl.col("apart").fill_null(last), pl.lit(end_s))
    )
    up_from = pl.max_horizontal("s", pl.col("s") + pl.col("duration") - pl.col("usual"))
    done = asked.filter("ok").with_columns(up_from=pl.min_horizontal(up_from, "stop"))
    down = asked.filter(pl.col("failed") | (pl.col("unfinished") & pl.col("slow")))
    return pl.concat(
        [
            down.select("owner", start="s", stop="stop", up=pl.lit(False)),
            done.filter("slow").select("owner", start="s", stop="up_from", up=pl.lit(False)),
            done.select("owner", start="up_from", stop="stop", up=pl.lit(True)),
        ]
    ).filter(pl.col("stop") > pl.col("start"))


def _availability(intervals: pl.DataFrame, span: PhaseSpan) -> pl.DataFrame:
    """By `owner`: the share of the known time, within a phase, in which things were available."""
    inside = intervals.with_columns(
        lasts=(
            pl.min_horizontal("stop", pl.lit(span.end_s)) - pl.max_horizontal("start", pl.lit(span.start_s))
        ).clip(0)
    )
    up = pl.col("lasts").filter(pl.col("up")).sum()
    total = pl.col("lasts").sum()
    return inside.group_by("owner").agg(availability=pl.when(total > 0).then(up / total))


@lru_cache(maxsize=1)  # the page's head, the tiles and two tables of one report read it
def by_node_and_phase(run: RunData) -> pl.DataFrame:
    """A row for each node whose consumers were measured, in each phase, also where it made no request.

    Returns:
        `phase_no`, `phase`, `owner`; `count`, requests that began in the phase and succeeded or failed;
        `failed` and `cancelled` ones; `waiting`, those under way when the phase began; `availability`, a
        share of the time; `p50`, `p95`, `p99` in ms, of the counted requests: failed ones are infinite.
    """
    asked = seen_by(requests(run), "consumer").filter(pl.col("phase_no") >= 0)
    intervals = available_intervals(asked, run.axis.end_s)
    owners = asked.select("owner").unique()
    rows = [_in_phase(asked, intervals, owners, number, span) for number, span in enumerate(run.axis.phases)]
    return in_order(pl.concat(rows), "owner").sort("phase_no", maintain_order=True)


def _in_phase(
    asked: pl.DataFrame, intervals: pl.DataFrame, owners: pl.DataFrame, number: int, span: PhaseSpan
) -> pl.DataFrame:
    took = pl.when("ok").then(pl.col("ms")).otherwise(math.inf).filter(pl.col("ok") | pl.col("failed"))
    began = (
        asked.filter(pl.col("phase_no") == number)
        .group_by("owner")
        .agg(
            count=(pl.col("ok") | pl.col("failed")).sum(),
            **{name: pl.col(name).sum() for name in ("failed", "cancelled")},
            # No interpolation: between a duration and infinity there is nothing.
            **{f"p{share}": took.quantile(share / 100, "higher") for share in (50, 95, 99)},
        )
    )
    under_way = (pl.col("s") < span.start_s) & (pl.col("s") + pl.col("duration") > span.start_s)
    waiting = asked.filter(under_way).group_by("owner").agg(waiting=pl.len())
    joined = owners
    for part in (began, waiting, _availability(intervals, span)):
        joined = joined.join(part, on="owner", how="left")
    return joined.with_columns(
        pl.col("count", "failed", "cancelled", "waiting").fill_null(0),
        phase_no=pl.lit(number, pl.Int64),
        phase=pl.lit(span.name),
    )


def in_trouble() -> pl.Expr:
    """Whether requests of a row of `by_node_and_phase` failed, or its availability is below 1."""
    return (pl.col("failed") > 0) | (pl.col("availability").fill_null(0) < 1)


def lowest_availability(run: RunData) -> pl.DataFrame:
    """The row of `by_node_and_phase` with the lowest availability; no row where none is known."""
    known = by_node_and_phase(run).filter(pl.col("availability").is_not_null())
    return known.sort("availability").head(1)


def never_answered(run: RunData) -> pl.DataFrame:
    """A row for each consumer's replica that sent requests or subscribed, and got nothing at all.

    Returns:
        `node` (the replica), `asked` and `subscribed` (counts), and its last `error`, or null.
    """
    rows = _consumed(run)
    got = ((pl.col("status") == OK) & pl.col("stage").is_in(["request", "next"])).sum()
    by_replica = rows.group_by("node").agg(
        got=got,
        asked=(pl.col("stage") == "request").sum(),
        subscribed=(pl.col("stage") == "subscribe").sum(),
        error=pl.col("error").filter(pl.col("status") == FAILED).last(),
    )
    return in_order(by_replica.filter(pl.col("got") == 0), "node").drop("got")


def never_started_asking(run: RunData) -> pl.DataFrame:
    """The last event of each replica that waited and never made a request: `node`, `message`."""
    waiting = run.events.filter(pl.col("kind") == "app.waiting").with_columns(node=replica_name())
    silent = waiting.join(_consumed(run).select("node").unique(), on="node", how="anti")
    return in_order(silent.unique("node", keep="last"), "node").select("node", "message")


def _consumed(run: RunData) -> pl.DataFrame:
    measured = seen_by(run.tables["interactions"], "consumer")
    return measured.filter(pl.col("stage").is_in(["request", "subscribe", "next"]))
