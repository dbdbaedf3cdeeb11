"""Objectives that ask for a recovery: how long after a phase's begin, or each disturbance, all was well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import polars as pl

from wotemu.scenario.timeline import ObjectivePlan
from wotemu_report.objectives.measure import COMPARE
from wotemu_report.objectives.selection import requests_of
from wotemu_report.queries.disturbances import disturbances
from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.recovery import WINDOW_S, Mark, recoveries
from wotemu_report.queries.recovery import Window as Figures
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
    windows = _windows(run, plan, width_s)
    count = sum(
        requests for number, (_, requests, _) in windows.items() if (number + 1) * width_s > marks[0].at_s
    )
    if plan.op:
        took = [_took_to_limit(windows, plan, mark.at_s, width_s, run.axis.end_s) for mark in marks]
    else:
        took = _took_to_band(windows, plan, marks, found, width_s, run.axis.end_s)
    known = [each for each in took if each is not None]
    if len(known) < len(took) and math.inf not in known:
        return Recovered(None, count, "no such request ended before the trouble, or none after it")
    return Recovered(max(known), count)


_Windows = Mapping[int, tuple[float, int, float]]
"""By number since T0: the figure in its unit, how many requests ended, and the failed share of them."""


def _windows(run: RunData, plan: ObjectivePlan, width_s: float) -> _Windows:
    """The requests that ended in each window. Without a limit, durations are of those that succeeded."""
    took = pl.col("ms") / 1000
    answered = took.filter("ok") if not plan.op else pl.when("ok").then(took).otherwise(math.inf)
    figures = {
        "mean": took.filter("ok").mean(),
        "errors": pl.col("failed").mean(),
        **{name: nearest_rank(answered, share) for name, share in SHARES.items()},
    }
    ended = requests_of(run, plan).filter(pl.col("ok") | pl.col("failed"))
    placed = ended.with_columns(ended=pl.col("s") + took.fill_null(0.0)).filter(
        pl.col("ended") <= run.axis.end_s
    )
    number = (pl.col("ended") / width_s).floor().cast(pl.Int64)
    grouped = placed.group_by(number.alias("window")).agg(
        figure=figures[plan.figure], count=pl.len(), failed=pl.col("failed").mean()
    )
    return {
        number: (figure, count, failed) for number, figure, count, failed in grouped.collect().iter_rows()
    }


def _took_to_limit(
    windows: _Windows, plan: ObjectivePlan, at_s: float, width_s: float, end_s: float
) -> float | None:
    """Until the first of two windows in a row that meet the limit; one without requests does not."""
    first, count = int(at_s / width_s + 1e-9), max(1, math.ceil(end_s / width_s - 1e-9))
    if not windows or first >= count:
        return None

    def is_well(number: int) -> bool:
        figure = windows.get(number, (None, 0, 0.0))[0]
        return figure is not None and COMPARE[plan.op](figure, plan.limit or 0.0)

    for number in range(first, count):
        if is_well(number) and (is_well(number + 1) or number + 1 == count):
            return max(0.0, number * width_s - at_s)
    return math.inf


def _took_to_band(
    windows: _Windows,
    plan: ObjectivePlan,
    marks: Sequence[Mark],
    disturbed_s: Sequence[float],
    width_s: float,
    end_s: float,
) -> list[float | None]:
    """Until the figures were back in their former band; of `errors`, durations do not count."""
    is_share = plan.figure == "errors"
    figures = {
        number: Figures(0.0 if is_share else None if figure is None else figure * 1000, failed)
        for number, (figure, _, failed) in windows.items()
    }
    # Disturbances that are no marks still end the former time.
    every = [*marks, *(Mark(at_s) for at_s in disturbed_s if not any(mark.disturbs for mark in marks))]
    found = recoveries(figures, every, width_s, end_s)[: len(marks)]
    return [_took(each.state, each.took_s) for each in found]


def _took(state: str, took_s: float | None) -> float | None:
    if state in _WELL:
        return took_s
    return math.inf if state == "not recovered" else None
