"""Evaluates the conditions of a timeline's guards on the run's records, and fires the guards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Container, Sequence
from typing import Literal

import attrs

from wotemu.errors import EmulationError
from wotemu.records import App, Event, Record, WireRequest
from wotemu.scenario.timeline import GuardPlan
from wotemu.scenario.vocabulary.request_condition import is_counted
from wotemu.suggestions import did_you_mean
from wotemu_runtime.coordination.live_timeline import Command, LiveTimeline
from wotemu_runtime.coordination.measurements import COMPARE

SETTLE_S = 1.5
"""Records come up to a second late: until then, a metric's record may still show that it did not hold."""

Report = Callable[..., object]
"""Records an event: its kind, its message, and its data as keyword arguments."""


@attrs.frozen
class Verdict:
    """The outcome of a guard: it fired, was skipped, or failed the run. `why` is the reason, for people."""

    guard: GuardPlan
    outcome: Literal["fired", "skipped", "failed"]
    why: str


@attrs.define
class _Watched:
    """The state of one guard's condition by the records so far. Times are seconds after T0."""

    guard: GuardPlan
    since_s: float | None = None
    proven_s: float = 0.0
    count: int = 0

    def metric(self, t_s: float, value: float) -> None:
        condition = self.guard.condition
        if not COMPARE[condition["op"]](value, condition["value"]):
            if self.since_s is not None and t_s >= self.since_s:
                self.since_s = None
        elif self.since_s is None:
            self.since_s = self.proven_s = t_s
        else:
            self.proven_s = max(self.proven_s, t_s)

    def happened(self, t_s: float) -> None:
        self.count += 1
        if self.count == self.guard.condition["count"]:
            self.since_s = self.proven_s = t_s

    @property
    def holds_from_s(self) -> float | None:
        """When the condition will have held long enough, if no record breaks it."""
        if self.since_s is None:
            return None
        return max(self.since_s, self.guard.after_s) + self.guard.held_s

    def ready_s(self) -> float | None:
        """When that is certain: at once if a later record proves it, else `SETTLE_S` later."""
        held_s = self.holds_from_s
        if held_s is None:
            return None
        return held_s if self.proven_s >= held_s or not self.guard.held_s else held_s + SETTLE_S


class GuardWatch:
    """Decides which guards fire, by the time and the records. Pure."""

    def __init__(self, guards: Sequence[GuardPlan], duration_s: float) -> None:
        self._waiting = [_Watched(guard) for guard in guards]
        self._duration_s = duration_s
        self._reported: dict[str, set[str]] = {}
        """The keys that each replica has reported."""

    def __repr__(self) -> str:
        return f"GuardWatch({len(self._waiting)} waiting)"

    @property
    def waiting(self) -> int:
        """How many guards have neither fired nor been given up."""
        return len(self._waiting)

    def forget(self, *decided: Container[int]) -> None:
        """Remove guards from the watch, by their ids."""
        self._waiting = [each for each in self._waiting if not any(each.guard.id in ids for ids in decided)]

    def metric(self, t_s: float, replica: str, key: str, value: float) -> None:
        """Take a metric that a replica's app reported."""
        self._reported.setdefault(replica, set()).add(key)
        for watched in self._waiting:
            condition = watched.guard.condition
            if condition["kind"] == "metric" and condition["key"] == key and replica in condition["replicas"]:
                watched.metric(t_s, value)

    def event(self, t_s: float, kind: str, source: str) -> None:
        """Take an event."""
        for watched in self._waiting:
            condition = watched.guard.condition
            if condition["kind"] != "event" or condition["event"] != kind:
                continue
            if not condition["sources"] or source in condition["sources"]:
                watched.happened(t_s)

    def request(self, t_s: float, request: WireRequest) -> None:
        """Take a request that was seen on the wire, sent at `t_s`; those before T0 don't count."""
        for watched in self._waiting:
            condition = watched.guard.condition
            if t_s >= 0 and condition["kind"] == "requests" and is_counted(condition, request):
                watched.happened(t_s)

    def next_s(self) -> float | None:
        """When `due` may decide a guard next, if no record comes before; None when no guard is left."""
        return min(map(self._next_s, self._waiting), default=None)

    def _next_s(self, watched: _Watched) -> float:
        held_s, ready_s, deadline_s = watched.holds_from_s, watched.ready_s(), self._deadline_s(watched)
        if held_s is None or ready_s is None or held_s > deadline_s:
            return deadline_s
        return ready_s

    def _deadline_s(self, watched: _Watched) -> float:
        deadline_s = watched.guard.deadline_s
        return self._duration_s if deadline_s is None else min(deadline_s, self._duration_s)

    def due(self, now_s: float) -> list[Verdict]:
        """The verdicts on the guards that are decided by now; each is returned once."""
        decided = [(watched, self._verdict(watched, now_s)) for watched in self._waiting]
        self._waiting = [watched for watched, verdict in decided if verdict is None]
        return [verdict for _, verdict in decided if verdict is not None]

    def _verdict(self, watched: _Watched, now_s: float) -> Verdict | None:
        guard, held_s, ready_s = watched.guard, watched.holds_from_s, watched.ready_s()
        deadline_s = self._deadline_s(watched)
        if held_s is not None and ready_s is not None and held_s <= deadline_s:
            return Verdict(guard, "fired", guard.text) if ready_s <= now_s else None
        if now_s < deadline_s:
            return None
        why = f"not within {deadline_s:g} s: {guard.text}{self._unreported(guard)}"
        outcomes: dict[str, Literal["fired", "skipped", "failed"]] = {"fire": "fired", "fail": "failed"}
        return Verdict(guard, outcomes.get(guard.otherwise, "skipped"), why)

    def _unreported(self, guard: GuardPlan) -> str:
        """Whether the metric that a guard waits for never came, and which ones did."""
        condition = guard.condition
        if condition["kind"] != "metric":
            return ""
        reported = {key for replica in condition["replicas"] for key in self._reported.get(replica, ())}
        if condition["key"] in reported:
            return ""
        hint = did_you_mean(condition["key"], sorted(reported)) or "no metric came from there"
        return f"; {condition['key']!r} was never reported: {hint}"


class Guards:
    """Fires a run's guards: takes the run's records, and sends the roles the changes that follow.

    Args:
        timeline: the run's, which has the guards and gets their changes.
        now: the bus's clock, in seconds since the epoch.
    """

    def __init__(self, timeline: LiveTimeline, now: Callable[[], float]) -> None:
        self._timeline = timeline
        self._command: Command | None = None
        self._report: Report | None = None
        self._now = now
        self._watch = GuardWatch(timeline.current.guards, timeline.current.duration_s)
        self._records: list[App | Event | WireRequest] = []
        self._t0: float | None = None
        self._news = asyncio.Event()
        self._deciding = asyncio.Lock()
        counts_requests = any(each.condition["kind"] == "requests" for each in timeline.current.guards)
        self.tables = frozenset({App.TABLE, Event.TABLE, *([WireRequest.TABLE] if counts_requests else [])})
        """See `Sink`; requests are made records only where a guard counts them."""

    def take(self, records: Sequence[Record]) -> None:
        """Take records of any table into account; guards are decided by `run`."""
        found = [record for record in records if isinstance(record, App | Event | WireRequest)]
        if found and self._watch.waiting:
            self._records += found
            self._news.set()

    def forget(self, *decided: Container[int]) -> None:
        """Leave guards alone that an earlier coordinator fired or skipped, by their ids."""
        self._watch.forget(*decided)

    async def run(self, t0: float, command: Command, report: Report) -> None:
        """Watch from T0 until no guard is left to fire.

        Args:
            t0: seconds since the epoch on the bus's clock.
            command: sends a command to the roles.
            report: records an event.

        Raises:
            EmulationError: a guard that has to fire did not.
        """
        self._t0, self._command, self._report = t0, command, report
        while self._watch.waiting:
            await self.decide()
            next_s = self._watch.next_s()
            if next_s is None:
                return
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, t0 + next_s - self._now())):
                    await self._news.wait()

    async def decide(self) -> None:
        """Fire or skip the guards that are decided by now."""
        if self._t0 is None or self._command is None or self._report is None:
            return
        async with self._deciding:  # the timeline is resolved anew for one guard after the other
            self._take_records(self._t0)
            for verdict in self._watch.due(self._now() - self._t0):
                await self._carry_out(verdict, self._t0, self._command, self._report)

    def _take_records(self, t0: float) -> None:
        records, self._records = self._records, []
        for record in records:
            if isinstance(record, App):
                self._watch.metric(record.t - t0, record.node, record.key, record.value)
            elif isinstance(record, WireRequest):
                self._watch.request(record.t - t0, record)
            else:
                self._watch.event(record.t - t0, record.kind, record.source)

    async def _carry_out(self, verdict: Verdict, t0: float, command: Command, report: Report) -> None:
        number, text = verdict.guard.id, verdict.why
        if verdict.outcome == "failed":
            raise EmulationError(text, where="guard", hint="the scenario says otherwise='fail'")
        if verdict.outcome == "skipped":
            report("guard.skipped", f"guard {number} is skipped, {text}", id=number)
            return
        fired_s = round(self._now() - t0, 6)
        await self._timeline.fire(number, fired_s, t0, command)
        report("guard.fired", f"guard {number} fired: {text}", id=number, at_s=fired_s)
