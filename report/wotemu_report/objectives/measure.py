"""The figures of objectives within one window of time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from statistics import fmean

import attrs
import polars as pl

from wotemu.percentiles import nearest_rank
from wotemu.scenario.timeline import ObjectivePlan
from wotemu_report.objectives.lost_events import lost_events
from wotemu_report.objectives.selection import Window, frame_of, request_filter, requests_of
from wotemu_report.queries.availability import app_ends, available_intervals
from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.percentiles import percentiles
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_COUNTED = {"restarts": "app.restarted", "crashes": "app.crashed"}
"""The kind of events that each figure counts."""


@attrs.frozen
class Measured:
    """A figure: its value in the objective's unit, None without data, and what it is of.

    `note` says why there is no value.
    """

    value: float | None
    samples: int
    of: str
    note: str = ""


def measure(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    """The figure of an objective within a window.

    Args:
        run: The run.
        plan: Says what is measured.
        window: A request, notification or value belongs to the window in which it began.
    """
    match plan.figure:
        case "p50" | "p90" | "p95" | "p99" | "errors":
            return _of_requests(run, plan, window)
        case "mean":
            return _mean(run, plan, window)
        case "requests" | "failures":
            return _counted(run, plan, window)
        case "throughput":
            return _throughput(run, plan, window)
        case "availability":
            return _availability(run, plan, window)
        case "lost_events":
            return _lost_events(run, plan, window)
        case "restarts" | "crashes":
            return _events(run, plan, window)
        case "app":
            return _app(run, plan, window)
        case _:
            return Measured(None, 0, "samples", f"this version of WoTemu knows no figure {plan.figure!r}")


def _of_requests(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    chosen = request_filter(plan) & window.holds_requests()
    by_role = percentiles(run, (), chosen, frame=frame_of(run, plan))
    rows = by_role.filter(pl.col("role") == plan.role)
    if not rows.height:
        return Measured(None, 0, "requests", _no_requests(plan, other=by_role.height > 0))
    row = rows.row(0, named=True)
    share = plan.figure == "errors"
    value = row["failed"] / row["count"] if share else row[plan.figure] / 1000
    return Measured(value, row["count"], "requests")


def _no_requests(plan: ObjectivePlan, *, other: bool) -> str:
    if plan.is_on_wire:
        seen, end = ("servers", "server") if plan.role == "client" else ("clients", "client")
        return f'only seen at {seen}: side="{end}" takes them' if other else "no such request was seen"
    if not other:
        return "no such request ended"
    measured = "producers" if plan.role == "consumer" else "consumers"
    return f'only {measured} were measured: role="{measured[:-1]}" takes their requests'


def _mean(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    chosen = requests_of(run, plan).filter("ok", window.holds_requests())
    value, count = chosen.select(pl.col("ms").mean() / 1000, count=pl.len()).collect().row(0)
    return Measured(value, count, "answered requests", "" if count else "no such request was answered")


def _throughput(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    ended = requests_of(run, plan).filter(pl.col("ok") | pl.col("failed"))
    inside = pl.col("ok") & window.holds_requests()
    count, everywhere = ended.select(inside.sum(), everywhere=pl.len()).collect().row(0)
    if not everywhere:
        return Measured(None, 0, "answered requests", "no such request ended")
    return Measured(count / window.length_s, count, "answered requests")


def _counted(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    """None are a number, too, if any others of the kind ended there; else a misspelled name would pass."""
    ended = frame_of(run, plan).lazy().filter(pl.col("ok") | pl.col("failed"), pl.col("role") == plan.role)
    such = request_filter(plan) & window.holds_requests()
    counts = ended.select(such.sum(), failed=(such & pl.col("failed")).sum(), others=pl.len())
    count, failed, others = counts.collect().row(0)
    if not count and (plan.figure == "failures" or not others):
        return Measured(None, 0, "requests", _no_requests(plan, other=False))
    return Measured(float(failed if plan.figure == "failures" else count), count, "requests")


def _availability(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    """Of each node its share of the known time, and of these the lowest."""
    chosen = window.holds_requests() | ~window.holds("s")  # those of other times bound the intervals
    asked = requests_of(run, plan, role="consumer").filter(chosen)
    intervals = pl.concat(available_intervals(asked, app_ends(run), run.axis.end_s))
    lasts = pl.min_horizontal("stop", pl.lit(window.end_s)) - pl.max_horizontal(
        "start", pl.lit(window.start_s)
    )
    inside = intervals.lazy().with_columns(lasts=lasts).filter(pl.col("lasts") > 0)
    by_node = inside.group_by("owner").agg(
        up=pl.col("lasts").filter("up").sum() / pl.col("lasts").sum(), count=pl.len()
    )
    value, count = by_node.select(pl.col("up").min(), pl.col("count").sum()).collect().row(0)
    note = "" if count else "no request of these nodes ended"
    return Measured(value, count or 0, "requests", note)


def _lost_events(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    lost, sent = lost_events(run, plan, window)
    note = "" if sent else "no producer was seen to send it to a subscriber"
    return Measured(lost if sent else None, sent, "notifications", note)


def _events(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    counted = run.events.lazy().filter(pl.col("kind") == _COUNTED[plan.figure], window.holds("s"))
    if plan.replicas:
        counted = counted.filter(replica_name().is_in(plan.replicas))
    count = counted.select(pl.len()).collect().item()
    return Measured(float(count), count, plan.figure)


def _app(run: RunData, plan: ObjectivePlan, window: Window) -> Measured:
    reported = run.tables["app"].lazy().filter(pl.col("key") == plan.key, pl.col("node").is_in(plan.replicas))
    values = reported.filter(window.holds("s")).sort("t").select("value").collect()["value"]
    if not len(values):
        return Measured(None, 0, "values", f"{plan.key!r} was not reported")
    return Measured(_statistic(values, plan.statistic), len(values), "values")


def _statistic(values: pl.Series, name: str) -> float:
    """One figure of values in the order of time, of which there is at least one."""
    if name in SHARES:
        return float(nearest_rank(values.to_list(), SHARES[name]) or 0.0)
    in_order = [float(value) for value in values]
    figures: Mapping[str, Callable[[list[float]], float]] = {"mean": fmean, "min": min, "max": max}
    return figures[name](in_order) if name in figures else in_order[-1]
