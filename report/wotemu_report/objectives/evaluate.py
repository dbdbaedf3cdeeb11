"""Objectives of a run to their outcomes: a pure function of its tables, timeline and certificate."""

from __future__ import annotations

import contextlib
import math

import attrs

from wotemu.scenario.timeline import ObjectivePlan
from wotemu_report.formats import seconds
from wotemu_report.objectives.measure import COMPARE, Measured, measure
from wotemu_report.objectives.outcome import Outcome, Outcomes, State, figure_text
from wotemu_report.objectives.recovering import longest_recovery, window_width_s
from wotemu_report.objectives.selection import Window
from wotemu_report.queries.disturbances import disturbances
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.recorded.manifest import RUNNING
from wotemu_report.recorded.run_data import RunData

_GOOD_IF_LESS = frozenset(
    {*("p50", "p90", "p95", "p99", "mean", "errors", "failures"), *("lost_events", "restarts", "crashes")}
)
_EPSILON_S = 1e-6


@once_a_run  # the page's head and its section read it
def evaluate(run: RunData) -> Outcomes:
    """The outcome of each objective of the run's scenario.

    An objective about the time after the first disturbance (a change that worsens conditions, a cut, a crash)
    gets no verdict where its figure did not meet the limit before: then nothing says that the disturbance
    had to do with it. Where nothing was measured before, there is a verdict.
    """
    plans = run.timeline.objectives
    if not plans:
        return Outcomes()
    faults = disturbances(run)["s"]
    first_fault_s = float(faults[0]) if len(faults) else None
    certificate = run.manifest.certificate
    return Outcomes(
        tuple(_judge(run, plan, first_fault_s) for plan in plans),
        certificate.verdict if certificate is not None else "",
        first_fault_s,
        run.damages,
    )


def _judge(run: RunData, plan: ObjectivePlan, first_fault_s: float | None) -> Outcome:
    window = _window(run, plan)
    if isinstance(window, str):
        return _outcome(plan, "no data", Measured(None, 0, "samples"), None, window)
    if plan.within_s is not None:
        return _judge_recovery(run, plan, plan.within_s, window, first_fault_s)
    measured = measure(run, plan, window)
    if measured.value is None:
        return _outcome(plan, "no data", measured, window, measured.note)
    before = _unwell_before(run, plan, window, first_fault_s)
    has_passed = _meets(plan, measured.value)
    if before and first_fault_s is not None and window.start_s >= first_fault_s - _EPSILON_S:
        return _outcome(plan, "no verdict", measured, window, before)
    # A window that begins before the first fault has its own steady state in it.
    reason = "" if has_passed else before
    return _outcome(
        plan, "passed" if has_passed else "failed", measured, window, reason or _cut_short(run, window)
    )


def _judge_recovery(
    run: RunData, plan: ObjectivePlan, within_s: float, window: Window, first_fault_s: float | None
) -> Outcome:
    found = longest_recovery(run, plan, window.start_s if plan.after else None)
    figure = Measured(found.took_s, found.requests, "requests")
    if found.took_s is None:
        return _outcome(plan, "no data", figure, window, found.note)
    if found.took_s == math.inf and run.axis.end_s < window.start_s + within_s + window_width_s(within_s):
        left = seconds(run.axis.end_s - window.start_s)
        figure = attrs.evolve(figure, value=None)
        return _outcome(plan, "no data", figure, window, f"the run ended after {left}, not well by then")
    before = _unwell_before(run, plan, window, first_fault_s) if plan.op else ""
    if before:
        return _outcome(plan, "no verdict", figure, window, before)
    has_passed = found.took_s <= within_s
    reason = "not well by the end of the run" if found.took_s == math.inf else ""
    return _outcome(plan, "passed" if has_passed else "failed", figure, window, reason)


def _window(run: RunData, plan: ObjectivePlan) -> Window | str:
    """When the objective has to hold, or why there is no such time."""
    if run.manifest.t0 is None:
        return "the scenario never began"
    wanted = plan.during or plan.after
    if not wanted:
        return Window(0.0, run.axis.end_s)
    span = next((each for each in run.axis.phases if each.name == wanted), None)
    if span is None:
        return (
            f"{wanted} has not begun yet"
            if run.manifest.status == RUNNING
            else f"the run ended before {wanted} began"
        )
    return Window(span.start_s, span.end_s if plan.during else run.axis.end_s)


def _unwell_before(run: RunData, plan: ObjectivePlan, window: Window, first_fault_s: float | None) -> str:
    """How the figure missed its limit before the first fault; "" where it met it, or none is known."""
    if (
        first_fault_s is None
        or first_fault_s <= 0
        or window.end_s <= first_fault_s
        or not _asks_for_good(plan)
    ):
        return ""
    former = measure(run, plan, Window(0.0, first_fault_s, whole=True))
    if former.value is None or _meets(plan, former.value):
        return ""
    figure = figure_text(former.value, plan.unit)
    return f"it was not well before the first fault at {seconds(first_fault_s)}: {figure}"


def _asks_for_good(plan: ObjectivePlan) -> bool:
    """Whether the limit is on the side where trouble lies: who expects errors does not expect them before."""
    if plan.figure == "app":  # which side is good, only its limit says
        return True
    if plan.figure == "requests":  # the longer it takes the more there are
        return False
    if plan.op == "==" and plan.limit:  # so many crashes or lost events, which need not be there before
        return False
    return (plan.op in ("<", "<=", "==")) == (plan.figure in _GOOD_IF_LESS)


def _meets(plan: ObjectivePlan, value: float) -> bool:
    return COMPARE[plan.op](value, plan.limit if plan.limit is not None else math.nan)


def _cut_short(run: RunData, window: Window) -> str:
    """That the run ended within the window, where it did; "" where the window was over."""
    planned_s = run.manifest.duration_s
    is_whole = run.manifest.status == "done" or window.end_s < run.axis.end_s
    if is_whole or planned_s is None or run.axis.end_s >= planned_s:
        return ""
    goes_on = run.manifest.status == RUNNING
    return (
        f"{'so far' if goes_on else 'the run ended after'} {seconds(run.axis.end_s)} of {seconds(planned_s)}"
    )


def _outcome(
    plan: ObjectivePlan, state: State, measured: Measured, window: Window | None, reason: str
) -> Outcome:
    recovers = plan.within_s is not None
    limit = plan.within_s if plan.within_s is not None else plan.limit
    return Outcome(
        id=plan.id,
        text=plan.text,
        state=state,
        value=measured.value,
        unit="s" if recovers else plan.unit,
        op="<=" if recovers else plan.op,
        limit=math.nan if limit is None else limit,
        samples=measured.samples,
        of=measured.of,
        start_s=None if window is None else window.start_s,
        end_s=None if window is None else window.end_s,
        reason=reason,
    )


def keep_outcomes(run: RunData) -> Outcomes:
    """Evaluate the objectives of a run; of one that is over, write ``objectives.json``, too.

    A run directory that can't be written to stays as it is: the file only spares others the evaluation.
    """
    outcomes = evaluate(run)
    if outcomes.each and run.manifest.ended is not None:
        with contextlib.suppress(OSError):
            outcomes.write(run.run_dir)
    return outcomes
