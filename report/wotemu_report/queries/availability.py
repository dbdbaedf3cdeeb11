"""Availability by node and phase, with requests that failed, waited, or were never answered.

Pooled figures of successes hide the worst: clients that are cut off make few requests, and none that
succeeds. So every node has a row of its own, a failed request counts as one that was never answered, and
availability is a share of time, not of requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from wotemu.records import FAILED, OK
from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.packed_keys import packed_key
from wotemu_report.queries.ranked import ranked
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.requests import requests
from wotemu_report.queries.subscriptions import notifications
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

SLOW_FACTOR = 5.0
SLOW_LEAST_S = 1.0
"""A request is slow that takes over `SLOW_FACTOR` times the usual, the median, and over `SLOW_LEAST_S`."""

_ASKED = (pl.col("role") == "consumer") & (pl.col("phase_no") >= 0)
"""Requests of consumers since T0."""
_ROWS_AT_ONCE = 1_000_000
_OF = ("owner", "node", "op")
_SERIES = ("node", "thing", "name", "op", "binding")


@once_a_run  # objectives, samples and the page's head read it
def app_ends(run: RunData) -> pl.DataFrame:
    """When apps ended before the run did, by themselves or by a fault: `node` and `at`, in order of time."""
    ended = pl.col("kind").is_in(["app.exited", "app.crashed"]) & (pl.col("s") < run.axis.end_s)
    return run.events.filter(ended).select(node=replica_name(), at=pl.col("s")).sort("at")


def available_intervals(asked: pl.LazyFrame, ends: pl.DataFrame, end_s: float) -> Iterator[pl.DataFrame]:
    """When each series of requests (`node`, `thing`, `name`, `op`, `binding`) found its thing available.

    - A request that succeeded: available for the usual duration (the median) before its answer, and until
      the next request begins. A longer wait before that says nothing, or, if the request was slow, that
      nothing was available.
    - One that failed: not available, until the next one begins.
    - The last one of a series, or of an app that ended then, counts for as long as they are usually apart.
    - One that was unfinished when its node was stopped says nothing, unless it was slow: then nothing was
      available all the time.
    - A cancelled one says nothing.

    Args:
        asked: Of `requests`, those of consumers.
        ends: When apps ended, see `app_ends`.
        end_s: Where the run ends, in seconds since T0.

    Yields:
        The intervals of some nodes at a time, so that the memory they take is bounded: `owner`, `node`, `op`,
        `start` and `stop` (seconds since T0), and `up`, whether the thing was available.
    """
    timed = asked.filter(~pl.col("cancelled")).select(
        "owner", *_SERIES, "s", "ok", "failed", "unfinished", duration=pl.col("ms") / 1000.0
    )
    part = (pl.col("len").cum_sum() - 1) // _ROWS_AT_ONCE
    nodes = timed.group_by("node").len().sort("node").with_columns(part=part).collect()
    for some in nodes.partition_by("part") or [nodes]:
        of_these = timed.filter(pl.col("node").is_in(some["node"].implode()))
        yield _intervals(_in_series(of_these.collect(), ends), end_s)


def _intervals(ordered: pl.DataFrame, end_s: float) -> pl.DataFrame:
    """The intervals of what `_in_series` returns."""
    asked = ordered.lazy().with_columns(
        slow=pl.col("duration") > pl.max_horizontal(pl.col("usual") * SLOW_FACTOR, pl.lit(SLOW_LEAST_S))
    )
    down = asked.filter(pl.col("failed") | (pl.col("unfinished") & pl.col("slow")))
    done = asked.filter("ok").with_columns(
        up_from=pl.max_horizontal("s", pl.col("s") + pl.col("duration") - pl.col("usual"))
    )
    up_from, stop = pl.min_horizontal("up_from", "stop"), pl.min_horizontal("stop", pl.lit(end_s))
    found = [
        down.select(*_OF, start="s", stop=stop, up=pl.lit(False)),
        done.filter("slow").select(*_OF, start="s", stop=pl.min_horizontal(up_from, stop), up=pl.lit(False)),
        done.select(*_OF, start=pl.min_horizontal(up_from, stop), stop=stop, up=pl.lit(True)),
    ]
    return pl.concat(each.filter(pl.col("stop") > pl.col("start")) for each in found).collect()


def _in_series(frame: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """The requests of each series in order of time.

    Returns:
        The rows of `frame`; `usual`, the median duration of the series' requests that succeeded (0: none
        did); and `stop`, when the next one begins, or for the last one, of the series or before its app
        ended, as much later as they are usually apart.
    """
    key = packed_key(frame, _SERIES)
    # One sort by a number of both takes half the time of one by two columns; its unit of time is below 1 us.
    room = min(40, 64 - key.size.bit_length())
    unit = 2**room / (1.0 + (frame["s"].max() or 0.0))  # type: ignore[operator]  # `s` holds floats
    ordered = (
        key.frame.lazy()
        .with_columns(number=key.expr)
        .sort(pl.col("number") * 2**room + (pl.col("s") * unit).cast(pl.UInt64), multithreaded=False)
        .with_columns(pl.col("number").rle_id())
        .collect()
    )
    of_series = (
        ordered.lazy()
        .group_by("number", maintain_order=True)
        .agg(
            usual=pl.col("duration").filter("ok").median().fill_null(0.0),
            apart=pl.col("s").diff().median(),
            count=pl.len(),
        )
        .collect()
    )
    # Numbers are from 0 on by now: the figures of a series are found by position, without a search.
    usual = of_series["usual"].gather(ordered["number"])
    last = of_series["count"].cum_sum() - 1
    of_last = ordered[last].with_columns(of_series["apart"])
    stops = of_last.select(pl.col("s") + pl.max_horizontal("duration", "apart")).to_series()
    found = ordered.with_columns(usual, stop=ordered["s"].shift(-1).scatter(last, stops))
    before_end = _before_apps_ended(found, ends)
    apart = of_series["apart"].gather(before_end["number"]).fill_null(0.0)
    lasted = before_end.with_columns(apart).select(
        pl.min_horizontal("at", pl.col("s") + pl.max_horizontal("duration", "apart"))
    )
    stop = found["stop"].scatter(before_end["index"], lasted.to_series())
    return found.with_columns(stop)


def _before_apps_ended(found: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """The rows after whose request their app ended, at `at`, before they stop."""
    timed = found.lazy().select(
        pl.col("node").cast(pl.String),
        "number",
        "s",
        "duration",
        "stop",
        ended=pl.col("s") + pl.col("duration"),
    )
    of_these = timed.with_row_index().filter(pl.col("node").is_in(ends["node"].implode()))
    some = of_these.sort("ended").collect()
    joined = some.join_asof(
        ends, left_on="ended", right_on="at", by="node", strategy="forward", check_sortedness=False
    )
    return joined.filter(pl.col("at") < pl.col("stop"))


@once_a_run
def _known_time(run: RunData) -> tuple[pl.DataFrame, pl.DataFrame]:
    """By `owner` and `phase_no`, the share of the known time in which things were available; `outages`."""
    times: list[pl.DataFrame] = []
    down: list[pl.DataFrame] = []
    asked = requests(run).lazy().filter(_ASKED)
    for intervals in available_intervals(asked, app_ends(run), run.axis.end_s):
        times += _time_by_phase(run, intervals)
        down.append(intervals.filter(~pl.col("up")).select("node", "op", "start", "stop"))
    up, total = pl.col("lasts").filter(pl.col("up")).sum(), pl.col("lasts").sum()
    shares = (
        pl.concat(times).group_by("owner", "phase_no").agg(availability=pl.when(total > 0).then(up / total))
    )
    return shares, pl.concat(down)


def outages(run: RunData) -> pl.DataFrame:
    """Every time in which a consumer found a thing not available: `node`, `op`, `start` and `stop`."""
    return _known_time(run)[1]


def _time_by_phase(run: RunData, intervals: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The nanoseconds of the intervals, `lasts`, by `owner`, `phase_no` and `up`.

    They are whole numbers, whose sum does not depend on the order in which several threads add them up.
    """
    numbered = intervals.select(
        "owner", "up", "start", "stop",
        phase_no=run.axis.phase_number("start").cast(pl.Int32),
        last_no=run.axis.phase_number("stop", before=True).cast(pl.Int32),
    )  # fmt: skip
    key, lasted_s = ["owner", "phase_no", "up"], pl.col("stop") - pl.col("start")
    lasts = (lasted_s * 1e9).round().cast(pl.Int64).sum().alias("lasts")
    within = numbered.lazy().filter(pl.col("phase_no") == pl.col("last_no"))
    counted = within.group_by(key).agg(lasts).collect()
    yield counted.with_columns(pl.col("phase_no").cast(pl.Int64))
    crossing = numbered.lazy().filter(pl.col("phase_no") < pl.col("last_no"))
    each_phase = crossing.with_columns(
        phase_no=pl.int_ranges(pl.col("phase_no").cast(pl.Int64), pl.col("last_no").cast(pl.Int64) + 1)
    ).explode("phase_no")
    clipped = each_phase.join(_spans(run).lazy(), on="phase_no").with_columns(
        start=pl.max_horizontal("start", "phase_start"), stop=pl.min_horizontal("stop", "phase_end")
    )
    yield clipped.group_by(key).agg(lasts).collect()


def _spans(run: RunData) -> pl.DataFrame:
    rows = [(number, span.name, span.start_s, span.end_s) for number, span in enumerate(run.axis.phases)]
    schema = {"phase_no": pl.Int64, "phase": pl.String, "phase_start": pl.Float64, "phase_end": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@once_a_run  # the page's head, the tiles and two tables of one report read it
def by_node_and_phase(run: RunData) -> pl.DataFrame:
    """A row for each node whose consumers were measured, in each phase, also where it made no request.

    Returns:
        `phase_no`, `phase`, `owner`; `count`, requests that began in the phase and succeeded or failed;
        `failed` and `cancelled` ones; `waiting`, those under way when the phase began; `availability`, a
        share of the time; `p50`, `p95`, `p99` in ms, of the counted requests: failed ones are infinite.
    """
    asked = requests(run).lazy().filter(_ASKED)
    joined = asked.select(pl.col("owner").unique().cast(pl.String)).collect().join(_spans(run), how="cross")
    for part in (_began(run), _cancelled(asked), _waiting(run, asked), _known_time(run)[0]):
        named = part.with_columns(pl.col("owner").cast(pl.String), pl.col("phase_no").cast(pl.Int64))
        joined = joined.join(named, on=["owner", "phase_no"], how="left")
    counts = pl.col("count", "failed", "cancelled", "waiting").fill_null(0)
    named = joined.with_columns(counts).drop("phase_start", "phase_end")
    return in_order(named, "owner").sort("phase_no", maintain_order=True)


def _began(run: RunData) -> pl.DataFrame:
    ended = _ASKED & (pl.col("ok") | pl.col("failed"))
    shares = {name: SHARES[name] for name in ("p50", "p95", "p99")}
    took = pl.when("ok").then("ms")
    return ranked(requests(run), ["owner", "phase_no"], shares, took=took, where=ended, unanswered=math.inf)


def _cancelled(asked: pl.LazyFrame) -> pl.DataFrame:
    return asked.filter("cancelled").group_by("owner", "phase_no").agg(cancelled=pl.len()).collect()


def _waiting(run: RunData, asked: pl.LazyFrame) -> pl.DataFrame:
    """By `owner` and `phase_no`: the requests that were under way when the phase began."""
    until = asked.select("owner", "phase_no", until=pl.col("s") + pl.col("ms") / 1000.0)
    numbered = until.with_columns(last_no=run.axis.phase_number("until", before=True))
    later = pl.int_ranges(pl.col("phase_no").cast(pl.Int64) + 1, pl.col("last_no") + 1)
    waited = numbered.filter(pl.col("last_no") > pl.col("phase_no")).with_columns(phase_no=later)
    return waited.explode("phase_no").group_by("owner", "phase_no").agg(waiting=pl.len()).collect()


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
    by_replica = _consumed(run).group_by("node").agg(pl.col("got", "asked", "subscribed").sum())
    silent = in_order(by_replica.filter(pl.col("got") == 0), "node").drop("got")
    if not silent.height:
        return silent.with_columns(error=pl.lit(None, dtype=pl.String))
    failed = run.tables["interactions"].filter(
        pl.col("node").is_in(silent["node"].implode()),
        pl.col("role") == "consumer",
        pl.col("stage").is_in(["request", "subscribe", "next"]),
        pl.col("status") == FAILED,
    )
    errors = failed.group_by("node").agg(pl.col("error").last()).collect(engine="streaming")
    return silent.join(errors, on="node", how="left", maintain_order="left")


def never_started_asking(run: RunData) -> pl.DataFrame:
    """The last event of each replica that waited and never made a request: `node`, `message`."""
    waiting = run.events.filter(pl.col("kind") == "app.waiting").with_columns(node=replica_name())
    if not waiting.height:
        return waiting.select("node", "message")
    consumed = _consumed(run).select("node").unique()
    silent = waiting.join(consumed, on="node", how="anti")
    return in_order(silent.unique("node", keep="last"), "node").select("node", "message")


@once_a_run
def _consumed(run: RunData) -> pl.DataFrame:
    """By `node`, what consumers `got`, `asked` for and `subscribed` to: counts, in up to two rows a node."""
    asked = requests(run).lazy().filter(pl.col("role") == "consumer").group_by("node")
    subscribed, item = pl.col("stage") == "subscribe", pl.col("stage") == "next"
    heard = notifications(run).lazy().filter(pl.col("role") == "consumer", subscribed | item).group_by("node")
    none = pl.lit(0, dtype=pl.UInt32)
    counts = [
        asked.agg(got=pl.col("ok").sum(), asked=pl.len(), subscribed=none),
        heard.agg(got=((pl.col("status") == OK) & item).sum(), asked=none, subscribed=subscribed.sum()),
    ]
    return pl.concat([each.with_columns(pl.col("node").cast(pl.String)).collect() for each in counts])
