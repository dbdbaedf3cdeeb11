"""Which rows an objective is about: whose, of what, and when."""

from __future__ import annotations

from functools import reduce

import attrs
import polars as pl

from wotemu.scenario.timeline import ObjectivePlan
from wotemu_report.queries.requests import requests
from wotemu_report.recorded.run_data import RunData


@attrs.frozen
class Window:
    """From `start_s` until before `end_s`, in seconds since T0.

    Attributes:
        start_s: Its first moment.
        end_s: Its end, which is no part of it.
        whole: Whether a request has to end within, too. What is under way when a disturbance begins says
            nothing of the time before it.
    """

    start_s: float
    end_s: float
    whole: bool = False

    def holds(self, time: str) -> pl.Expr:
        """Whether a column of seconds since T0 lies within."""
        return (pl.col(time) >= self.start_s) & (pl.col(time) < self.end_s)

    def holds_requests(self) -> pl.Expr:
        """Which rows of `requests` lie within."""
        began = self.holds("s")
        return began & (pl.col("s") + pl.col("ms") / 1000 <= self.end_s) if self.whole else began

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return max(self.end_s - self.start_s, 1e-9)


def request_filter(plan: ObjectivePlan) -> pl.Expr:
    """Which requests the objective is about, of any role."""
    wanted = {"op": plan.operation, "thing": plan.thing, "name": plan.name, "binding": plan.binding}
    conditions = [pl.col(column) == value for column, value in wanted.items() if value]
    conditions += [pl.col("node").is_in(plan.replicas)] if plan.replicas else []
    return reduce(lambda one, other: one & other, conditions, pl.lit(True))


def requests_of(run: RunData, plan: ObjectivePlan, role: str = "") -> pl.LazyFrame:
    """The requests from T0 on that the objective is about.

    Args:
        run: The run.
        plan: The objective.
        role: Who measured them; "" for the objective's.
    """
    return (
        requests(run)
        .lazy()
        .filter(pl.col("role") == (role or plan.role), pl.col("s") >= 0, request_filter(plan))
    )
