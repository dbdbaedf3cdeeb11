"""Objectives that ask for a recovery: how long after a phase's begin, or each disturbance, all was well."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import attrs
import polars as pl

from wotemu.scenario.timeline import ObjectivePlan
from wotemu_report.objectives.measure import COMPARE
from wotemu_report.objectives.selection import frame_of, request_filter
from wotemu_report.queries.disturbances import disturbances
from wotemu_report.queries.recovery import WINDOW_S, Mark, Window, recoveries, windows
from wotemu_report.recorded.run_data import RunData

LEAST_WINDOW_S = 1.0
_WELL = frozenset({"recovered", "unaffected"})


@attrs.frozen
class Recovered:
    """The longest recovery: seconds, infinite where it was not well by the end, None without data.

    `requests` is how many ended since the mark.
    """

    took_s: float | None
    requests: int
    note: str = ""


def window_width_s(within_s: float) -> float:
    """How wide the windows are: a quarter of the time that is allowed, from 1 s to 5 s."""
    return min(WINDOW_S, max(LEAST_WINDOW_S, within_s / 4))


def longest_recovery(run: RunData, plan: ObjectivePlan, since_s: float | None) -> Recovered:
    """How long it took until requests were well again.

    Args:
        run: The run.
        plan: Says which requests, and what is well: its limit, or else the former band, see `recovery`.
        since_s: From when on, in seconds since T0; None for each disturbance, of which the longest counts.
    """
    width_s = window_width_s(plan.within_s or 0.0)
    found = [float(at_s) for at_s in disturbances(run)["s"]]
    marks = [Mark(since_s, disturbs=False)] if since_s is not None else [Mark(at_s) for at_s in found]
    if not marks:
        return Recovered(None, 0, "nothing disturbed the run")
    is_share = plan.figure == "errors"
    where = request_filter(plan) & (pl.col("s") >= 0)
    # What failed was never answered, if there is a limit. Else errors have a band of their own.
    figure, unanswered = ("p95" if is_share else plan.figure), (math.inf if plan.op else None)
    seen = windows(
        run,
        where=where,
        role=plan.role,
        window_s=width_s,
        figure=figure,
        unanswered=unanswered,
        frame=frame_of(run, plan),
    )
    count = seen.filter((pl.col("window") + 1) * width_s > marks[0].at_s).select(pl.col("count").sum()).item()
    if plan.op:
        figures = dict(seen.select("window", "errors" if is_share else "figure").iter_rows())
        took = [_took_to_limit(figures, plan, mark.at_s, width_s, run.axis.end_s) for mark in marks]
    else:
        took = list(_took_to_band(seen, plan, marks, found, width_s, run.axis.end_s))
    known = [each for each in took if each is not None]
    if len(known) < len(took) and math.inf not in known:
        return Recovered(None, count, "no such request ended before the trouble, or none after it")
    return Recovered(max(known), count)


def _took_to_limit(
    figures: Mapping[int, float | None], plan: ObjectivePlan, at_s: float, width_s: float, end_s: float
) -> float | None:
    """Until the first of two windows in a row that meet the limit; one without requests does not."""
    first, count = int(at_s / width_s + 1e-9), max(1, math.ceil(end_s / width_s - 1e-9))
    limit = (plan.limit or 0.0) * (1 if plan.figure == "errors" else 1000)
    if not figures or first >= count:
        return None

    def is_well(number: int) -> bool:
        figure = figures.get(number)
        return figure is not None and COMPARE[plan.op](figure, limit)

    for number in range(first, count):
        if is_well(number) and (is_well(number + 1) or number + 1 == count):
            return max(0.0, number * width_s - at_s)
    return math.inf


def _took_to_band(
    seen: pl.DataFrame,
    plan: ObjectivePlan,
    marks: Sequence[Mark],
    disturbed_s: Sequence[float],
    width_s: float,
    end_s: float,
) -> Iterator[float | None]:
    """Until the figures were back in their former band; of `errors`, durations do not count."""
    is_share = plan.figure == "errors"
    figures = {
        number: Window(0.0 if is_share else took_ms, errors)
        for number, took_ms, errors in seen.select("window", "figure", "errors").iter_rows()
    }
    # Disturbances that are no marks still end the former time.
    every = [*marks, *(Mark(at_s) for at_s in disturbed_s if not any(mark.disturbs for mark in marks))]
    for each in recoveries(figures, every, width_s, end_s)[: len(marks)]:
        yield _took(each.state, each.took_s)


def _took(state: str, took_s: float | None) -> float | None:
    if state in _WELL:
        return took_s
    return math.inf if state == "not recovered" else None
