"""Which rows an objective is about: whose, of what, and when."""

from __future__ import annotations

from functools import reduce

import attrs
import polars as pl

from wotemu.scenario.timeline import ObjectivePlan
from wotemu.scenario.vocabulary.on_wire import path_pattern
from wotemu_report.queries.requests import requests
from wotemu_report.queries.wire_requests import requests_on_wire
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


def frame_of(run: RunData, plan: ObjectivePlan) -> pl.DataFrame:
    """The requests that were seen on the wire, or those that apps on WoTPy measured."""
    return requests_on_wire(run) if plan.is_on_wire else requests(run)


def request_filter(plan: ObjectivePlan) -> pl.Expr:
    """Which requests of `frame_of` the objective is about, of any role."""
    wanted = {"op": plan.operation, "thing": plan.thing, "name": plan.name, "binding": plan.binding}
    if plan.is_on_wire:
        del wanted["name"]
    conditions = [pl.col(column) == value for column, value in wanted.items() if value]
    if plan.is_on_wire and plan.name:
        conditions.append(pl.col("name").str.contains(path_pattern(plan.name)))
    conditions += [pl.col("peer").is_in(plan.peers)] if plan.peers else []
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
        frame_of(run, plan)
        .lazy()
        .filter(pl.col("role") == (role or plan.role), pl.col("s") >= 0, request_filter(plan))
    )
