"""How the run went for those who asked: by node and phase, with what was waiting and what was never answered.

Pooled figures of successes hide the worst: clients that are cut off make few requests, and none that
succeeds. So every node has a row of its own, a failed request counts as one that was never answered, and
availability is a share of time, not of requests.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import polars as pl

from wotemu.records import FAILED, OK
from wotemu_report.axis import Span
from wotemu_report.blocks import Block, Column, Empty, Table
from wotemu_report.formats import answer, count, counted, percent
from wotemu_report.queries.frames import in_order
from wotemu_report.queries.requests import requests, seen_by
from wotemu_report.recorded.dataset import RunData, replica

PATIENCE = 5.0
LEAST_PATIENCE_S = 1.0
"""A request is slow that takes over `PATIENCE` times the usual, the median, and over `LEAST_PATIENCE_S`."""

_SERIES = ("node", "thing", "name", "op", "binding")
_MAX_ROWS = 400
_MAX_NAMED = 3


def states(frame: pl.DataFrame, end_s: float) -> pl.DataFrame:
    """When each series of requests (`node`, `thing`, `name`, `op`, `binding`) found its thing available.

    An answer says so for the usual time before it, the median, and until the next request begins; what a
    request took beyond that says nothing, or, if it was slow, that nothing was available. From one that
    failed on nothing was, until the next begins. The last request of a series counts for as long as they are
    usually apart. One that was unfinished when its node was stopped says nothing, unless it was slow: then
    nothing was available all the time. Cancelled ones say nothing.

    Args:
        frame: `requests`, of consumers.
        end_s: Where the run ends, in seconds since T0.

    Returns:
        Columns `owner`, `start`, `stop` (seconds since T0) and `up`.
    """
    ended = frame.filter(~pl.col("cancelled")).sort(*_SERIES, "s")
    usual = pl.col("duration").filter(pl.col("ok")).median().over(_SERIES).fill_null(0.0)
    asked = ended.with_columns(
        usual=usual,
        slow=pl.col("duration") > pl.max_horizontal(usual * PATIENCE, pl.lit(LEAST_PATIENCE_S)),
        apart=pl.col("s").shift(-1).over(_SERIES) - pl.col("s"),
    )
    last = pl.max_horizontal(pl.col("duration"), pl.col("apart").median().over(_SERIES))
    asked = asked.with_columns(
        stop=pl.min_horizontal(pl.col("s") + pl.col("apart").fill_null(last), pl.lit(end_s))
    )
    found_at = pl.max_horizontal("s", pl.col("s") + pl.col("duration") - pl.col("usual"))
    done = asked.filter("ok").with_columns(found_at=pl.min_horizontal(found_at, "stop"))
    down = asked.filter(pl.col("failed") | (pl.col("unfinished") & pl.col("slow")))
    return pl.concat(
        [
            down.select("owner", start="s", stop="stop", up=pl.lit(False)),
            done.filter("slow").select("owner", start="s", stop="found_at", up=pl.lit(False)),
            done.select("owner", start="found_at", stop="stop", up=pl.lit(True)),
        ]
    ).filter(pl.col("stop") > pl.col("start"))


def _available(found: pl.DataFrame, span: Span) -> pl.DataFrame:
    """By `owner`: the share of the time, within a phase, in which things were available."""
    inside = found.with_columns(
        lasts=(
            pl.min_horizontal("stop", pl.lit(span.end_s)) - pl.max_horizontal("start", pl.lit(span.start_s))
        ).clip(0)
    )
    up = pl.col("lasts").filter(pl.col("up")).sum()
    total = pl.col("lasts").sum()
    return inside.group_by("owner").agg(availability=pl.when(total > 0).then(up / total))


@lru_cache(maxsize=1)  # the head, the tiles and two tables of one report ask for it
def by_node_and_phase(run: RunData) -> pl.DataFrame:
    """A row for each node whose consumers were measured, in each phase, also where it asked for nothing.

    Columns: `phase_no`, `phase`, `owner`; `count`: requests that began in the phase and succeeded or failed,
    `failed` ones of them, and `cancelled` ones; `waiting`: those under way when it began; `availability`: a
    share of the time; `p50`, `p95`, `p99`: ms, of the counted requests, where failed ones are endless
    (infinite).
    """
    asked = seen_by(requests(run), "consumer").filter(pl.col("phase_no") >= 0)
    found = states(asked, run.axis.end_s)
    owners = asked.select("owner").unique()
    rows = [_in_phase(asked, found, owners, number, span) for number, span in enumerate(run.axis.phases)]
    return in_order(pl.concat(rows), "owner").sort("phase_no", maintain_order=True)


def _in_phase(
    asked: pl.DataFrame, found: pl.DataFrame, owners: pl.DataFrame, number: int, span: Span
) -> pl.DataFrame:
    took = pl.when("ok").then(pl.col("ms")).otherwise(math.inf).filter(pl.col("ok") | pl.col("failed"))
    began = (
        asked.filter(pl.col("phase_no") == number)
        .group_by("owner")
        .agg(
            count=(pl.col("ok") | pl.col("failed")).sum(),
            **{name: pl.col(name).sum() for name in ("failed", "cancelled")},
            **{f"p{share}": took.quantile(share / 100, "higher") for share in (50, 95, 99)},
        )
    )
    under_way = (pl.col("s") < span.start_s) & (pl.col("s") + pl.col("duration") > span.start_s)
    waiting = asked.filter(under_way).group_by("owner").agg(waiting=pl.len())
    joined = owners
    for part in (began, waiting, _available(found, span)):
        joined = joined.join(part, on="owner", how="left")
    return joined.with_columns(
        pl.col("count", "failed", "cancelled", "waiting").fill_null(0),
        phase_no=pl.lit(number, pl.Int64),
        phase=pl.lit(span.name),
    )


def block(run: RunData) -> Block:
    """The table: how it went for each node in each phase."""
    rows = by_node_and_phase(run)
    if not rows.height:
        return Empty("By node and phase", "No consumer's requests were measured.")
    columns = [
        "phase",
        "owner",
        "availability",
        "count",
        "failed",
        "waiting",
        "cancelled",
        "p50",
        "p95",
        "p99",
    ]
    return Table(
        "By node and phase",
        "How it went for those who asked. Quantiles are of all requests that began in the phase: a failed "
        "one counts as never answered.",
        (
            Column("Phase"),
            Column("Node", hint="replicas together"),
            Column(
                "Available", "percent",
                "share of the time: a failed request counts against it until the next one begins, a slow one "
                f"(over {PATIENCE:g} times the usual) until just before its answer",
            ),
            Column("Requests", "int"),
            Column("Failed", "int"),
            Column("Waiting", "int", "still under way when the phase began"),
            Column("Cancelled", "int", "given up by the app itself: neither failed nor succeeded"),
            Column("p50", "answer"),
            Column("p95", "answer"),
            Column("p99", "answer"),
        ),
        rows.select(columns).head(_MAX_ROWS).rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )  # fmt: skip


def sentences(run: RunData) -> list[str]:
    """How each phase went, in words: who was worst off first."""
    rows = by_node_and_phase(run)
    return [
        f"{span.name}: {_of_phase(rows.filter(pl.col('phase_no') == number))}"
        for number, span in enumerate(run.axis.phases)
        if rows.height
    ]


def worst(run: RunData) -> float | None:
    """The lowest availability of any node in any phase; None without requests of consumers."""
    low = by_node_and_phase(run)["availability"].min()
    return float(low) if isinstance(low, int | float) else None


def _of_phase(rows: pl.DataFrame) -> str:
    asked = (pl.col("count") > 0) | (pl.col("waiting") > 0)
    troubled = rows.filter(
        asked,
        (pl.col("failed") > 0) | (pl.col("availability").fill_null(0) < 1),
    ).sort("availability", "owner", nulls_last=False)
    named = [_trouble(row) for row in troubled.head(_MAX_NAMED).iter_rows(named=True)]
    if troubled.height > _MAX_NAMED:
        named.append(f"{counted(troubled.height - _MAX_NAMED, 'more node')} in trouble")
    fine = rows.filter(asked).join(troubled, on="owner", how="anti").sort("p95", descending=True)
    named += [_always_answered(fine, others=bool(named))] if fine.height else []
    return "; ".join(named) or "nobody asked for anything"


def _trouble(row: dict[str, Any]) -> str:
    requests = counted(row["count"], "request")
    parts = [f"{count(row['failed'])} of {requests} failed" if row["failed"] else f"{requests}, none failed"]
    parts += [f"{count(row['waiting'])} waited from before"] if row["waiting"] else []
    parts += [f"p95 {answer(row['p95'])}"] if row["failed"] < row["count"] else []
    return f"{row['owner']} {percent(row['availability'])} available ({', '.join(parts)})"


def _always_answered(fine: pl.DataFrame, *, others: bool) -> str:
    slowest = fine.row(0, named=True)
    p95 = answer(slowest["p95"])
    if fine.height == 1:
        return f"{slowest['owner']} was always answered, p95 {p95}"
    nodes = f"{count(fine.height)} {'other ' if others else ''}nodes"
    return f"{nodes} were always answered, p95 at most {p95} ({slowest['owner']})"


def in_vain(run: RunData) -> list[str]:
    """The replicas that asked, subscribed or waited, and never got anything, a sentence each."""
    rows = seen_by(run.tables["interactions"], "consumer").filter(
        pl.col("stage").is_in(["request", "subscribe", "next"])
    )
    got = ((pl.col("status") == OK) & pl.col("stage").is_in(["request", "next"])).sum()
    by_replica = rows.group_by("node").agg(
        got=got,
        asked=(pl.col("stage") == "request").sum(),
        subscribed=(pl.col("stage") == "subscribe").sum(),
        error=pl.col("error").filter(pl.col("status") == FAILED).last(),
    )
    found = [
        f"{row['node']}: {_tried(row)}, and nothing ever came"
        + (f"; last error: {row['error']}" if row["error"] else "")
        for row in in_order(by_replica.filter(pl.col("got") == 0), "node").iter_rows(named=True)
    ]
    waiting = run.events.filter(pl.col("kind") == "app.waiting").with_columns(node=replica())
    silent = waiting.join(rows.select("node").unique(), on="node", how="anti").unique("node", keep="last")
    return found + [
        f"{row['node']}: {row['message']}, to the end"
        for row in in_order(silent, "node").iter_rows(named=True)
    ]


def _tried(row: dict[str, int]) -> str:
    parts = [counted(row["asked"], "request")] if row["asked"] else []
    parts += [counted(row["subscribed"], "subscription")] if row["subscribed"] else []
    return " and ".join(parts)
