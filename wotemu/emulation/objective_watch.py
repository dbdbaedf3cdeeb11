"""Ends a run early once an objective with ``abort=True`` can't be met any more.

An objective about a phase is judged `SETTLE_S` after its window has ended, by the same figures as in the
report. Restarts and crashes are counted as they happen: more than the limit can't become less. So it is with
numbers of requests and failures, which are judged now and then. Nothing is estimated: a figure that is bad
while its window goes on may still become good.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from wotemu.errors import NotRunningError, WotemuError
from wotemu.records import Event
from wotemu.scenario.objectives.figures import COUNTS
from wotemu.scenario.timeline import ObjectivePlan, Timeline
from wotemu_report.objectives.outcome import Outcomes, State
from wotemu_runtime.runs.run import Run

LOOK_EVERY_S = 1.0
SETTLE_S = 3.0
"""Records come within about a second."""
JUDGE_EVERY_S = 5.0
"""Numbers of requests are judged so often, or more seldom: at most a tenth of the time."""
_COUNTED = {"app.restarted": "restarts", "app.crashed": "crashes"}

Judge = Callable[[], Awaitable[Outcomes]]


class HopelessObjectives:
    """Decides which objectives can't be met any more, by the time and the events. Pure."""

    def __init__(self, timeline: Timeline) -> None:
        """Take the objectives that end the run, with their windows."""
        self._timeline = timeline
        self._plans = [plan for plan in timeline.objectives if plan.abort]
        self._counts: Counter[int] = Counter()
        self._judged: set[int] = set()

    def __repr__(self) -> str:
        return f"HopelessObjectives({len(self._plans)})"

    def __len__(self) -> int:
        return len(self._plans)

    def take(self, at_s: float, event: Event) -> None:
        """Count an event, which happened so many seconds after T0."""
        for plan in self._plans:
            start_s, end_s = self._window_s(plan)
            is_counted = _COUNTED.get(event.kind) == plan.figure and start_s <= at_s < end_s
            if is_counted and (not plan.replicas or event.source.partition(":")[2] in plan.replicas):
                self._counts[plan.id] += 1

    def exceeded(self) -> ObjectivePlan | None:
        """The first one whose count is more than its limit."""
        return next((plan for plan in self._plans if self._is_exceeded(plan)), None)

    def _is_exceeded(self, plan: ObjectivePlan) -> bool:
        count, limit = self._counts[plan.id], plan.limit or 0.0
        return bool(count) and (
            count >= limit if plan.op == "<" else plan.op in ("<=", "==") and count > limit
        )

    @property
    def growing(self) -> list[int]:
        """The ids of those that limit a number of requests or failures from above: it can only grow."""
        found = (plan for plan in self._plans if plan.figure in COUNTS and plan.op in ("<", "<=", "=="))
        return [plan.id for plan in found if plan.id not in self._judged]

    def due(self, now_s: float) -> list[int]:
        """The ids of those whose window has ended long enough ago to be judged; each is returned once."""
        found = [
            plan.id
            for plan in self._plans
            if plan.id not in self._judged and self._window_s(plan)[1] + SETTLE_S <= now_s
        ]
        self._judged.update(found)
        return found

    def _window_s(self, plan: ObjectivePlan) -> tuple[float, float]:
        """From when to when the objective has to hold, in seconds after T0."""
        starts = {phase.name: phase.start_s for phase in self._timeline.phases}
        end_s = self._timeline.duration_s
        if plan.after:
            start_s = starts.get(plan.after, end_s)
            return start_s, end_s if plan.within_s is None else start_s + 2 * plan.within_s
        if plan.during not in starts:
            return (end_s, end_s) if plan.during else (0.0, end_s)
        later = [start_s for start_s in starts.values() if start_s > starts[plan.during]]
        return starts[plan.during], min(later, default=end_s)


class ObjectiveWatch:
    """Watches one run, and ends it."""

    def __init__(self, run: Run, judge: Judge) -> None:
        """Prepare to watch.

        Args:
            run: The run, before it is executed.
            judge: Evaluates the objectives of the run by what is recorded by now.
        """
        self._run, self._judge = run, judge
        self._hopeless = HopelessObjectives(run.timeline)
        self._events: list[Event] = []
        self._is_over = asyncio.Event()
        self._judge_at_s = JUDGE_EVERY_S
        self.ended_by = ""
        """The objective that ended the run, in words; "" where none did."""

    def __repr__(self) -> str:
        return f"ObjectiveWatch({self._hopeless!r}, ended_by={self.ended_by!r})"

    def take(self, event: Event) -> None:
        """Take an event of the run."""
        if event.kind in _COUNTED:
            self._events.append(event)

    async def run(self) -> None:
        """Watch until an objective has ended the run, or `close`."""
        while len(self._hopeless) and not self.ended_by:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._is_over.wait()
                    return
            try:
                now_s, t0 = self._run.control.now_s, self._run.control.t0
            except NotRunningError:
                continue
            if now_s is not None and t0 is not None:
                await self._look(now_s, t0)

    def close(self) -> None:
        """The run is over: watch no more."""
        self._is_over.set()

    async def _look(self, now_s: float, t0: float) -> None:
        events, self._events = self._events, []
        for event in events:
            self._hopeless.take(event.t - t0, event)
        if (exceeded := self._hopeless.exceeded()) is not None:
            self._end(exceeded.text)
        elif due := self._hopeless.due(now_s):
            await self._end_by(due, ("failed", "no verdict"))
        elif now_s >= self._judge_at_s and (growing := self._hopeless.growing):
            time = asyncio.get_running_loop().time
            began_s = time()
            await self._end_by(growing, ("failed",))
            self._judge_at_s = now_s + max(JUDGE_EVERY_S, 10 * (time() - began_s))

    async def _end_by(self, due: Sequence[int], states: Sequence[State]) -> None:
        try:
            outcomes = await self._judge()
        except (OSError, WotemuError):  # what can't be read now is judged, or reported, when the run is over
            return
        failed = [each for each in outcomes if each.id in due and each.state in states]
        if failed:
            self._end(failed[0].sentence)

    def _end(self, why: str) -> None:
        self.ended_by = why
        self._run.control.stop(at_once=False, who=f"an objective that is not met: {why}")
