"""Events in words: what a person who follows a run wants to read about each."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from wotemu.records import Event
from wotemu.records.event_kinds import Severity, severity_of
from wotemu.scenario.timeline import Change
from wotemu.topology.conditions import NetworkConditions
from wotemu_runtime.planning.models import Plan

Weight = Literal["noise", "plain", "good", "change", "phase", "warning", "error"]
"""How much an event matters, and so how it looks."""

_BY_SEVERITY: dict[Severity, Weight] = {
    "routine": "noise",
    "info": "plain",
    "warning": "warning",
    "error": "error",
}
_WEIGHTS: dict[str, Weight] = {
    "role.ready": "plain",
    "app.ready": "good",
    "broker.ready": "good",
    "run.t0": "phase",
    "run.resumed": "phase",
    "run.phase": "phase",
    "guard.fired": "phase",
    "change.applied": "change",
    "run.done": "noise",
}
"""Kinds that look otherwise than their severity says."""
_VERDICTS: dict[str, Weight] = {"SUSPECT": "warning", "INVALID": "error"}


@attrs.frozen
class Words:
    """One event in words; `detail` is secondary."""

    weight: Weight
    text: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.text}, {self.detail}" if self.detail else self.text


class Narrator:
    """Finds words for the events of one run, and counts who is ready."""

    def __init__(self, plan: Plan) -> None:
        self._changes = {change.id: change for change in plan.timeline.changes}
        self.roles = len(plan.roles)
        self.ready: set[str] = set()

    def words(self, event: Event) -> Words:
        """The words for an event; kinds that are new here are told with their own message."""
        data = event.data
        weight = _weight(event)
        match event.kind:
            case "role.ready":
                self.ready.add(event.source)
                return Words(weight, f"ready {len(self.ready)}/{self.roles}", event.source)
            case "run.t0":
                return Words(weight, "T0", event.message.removeprefix("T0: "))
            case "change.applied" if data.get("id") in self._changes:
                return Words(weight, describe(self._changes[data["id"]]), lateness(data["late_s"]))
            case "change.failed" if data.get("id") in self._changes:
                return Words(weight, f"failed: {describe(self._changes[data['id']])}", event.message)
            case "app.crashed":
                where = f"at {data['where']}" if data.get("where") else ""
                error = f": {data['error']}" if data.get("error") else ""
                return Words(weight, f"{_subject(event)} crashed ({data.get('exit', '?')}){error}", where)
            case "app.error":
                return Words(weight, event.message, f"at {data['where']}" if data.get("where") else "")
        return Words(weight, event.message)


def _weight(event: Event) -> Weight:
    if event.kind == "run.certified":
        return _VERDICTS.get(str(event.data.get("verdict")), "good")
    if event.kind == "app.exited":
        return "plain" if event.data.get("asked") is False else "noise"
    return _WEIGHTS.get(event.kind) or _BY_SEVERITY[severity_of(event.kind)]


def _subject(event: Event) -> str:
    return event.source.partition(":")[2] or event.source


def milliseconds(seconds: float) -> str:
    """A short time: ``0.4 ms``, ``12 ms``."""
    value = seconds * 1e3
    return f"{value:.1f} ms" if abs(value) < 10 else f"{value:,.0f} ms"


def lateness(seconds: float) -> str:
    """``0.4 ms late``; a clock that was set back meanwhile can make it early."""
    return f"{milliseconds(abs(seconds))} {'early' if seconds < 0 else 'late'}"


def count(number: int, what: str, plural: str | None = None) -> str:
    """``1 error``, ``2,000 errors``."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def describe(change: Change) -> str:
    """What a change does, in a few words: ``field up: latency 20ms -> 100ms``."""
    match change.action:
        case "conditions":
            return f"{change.target}: {_difference(change.before, change.after)}"
        case "partition":
            return _partition(change)
        case "cut":
            return f"{change.node} {'cut off from' if change.after else 'back on'} {change.network}"
        case "app":
            return f"{change.node}: {_APP_STATES.get(change.after, str(change.after))}"


_APP_STATES = {"crashed": "killed", "running": "started again", "stopped": "stopped"}


def _partition(change: Change) -> str:
    groups = [" ".join(group) for group in change.after]
    if not groups:
        return f"{change.network}: healed"
    cut = f"{groups[0]} | all others" if len(groups) == 1 else " | ".join(groups)
    return f"{change.network}: cut {cut}"


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What two conditions, as JSON, differ in, as a person would have written it."""
    old, new = NetworkConditions.from_dict(before), NetworkConditions.from_dict(after)
    changed = [
        f"{field.name} {_value(field.name, was)} → {_value(field.name, becomes)}"
        for field in attrs.fields(NetworkConditions)
        if (was := getattr(old, field.name)) != (becomes := getattr(new, field.name))
    ]
    return ", ".join(changed) or "as before"


def _value(name: str, value: object) -> str:
    if value is None:
        return "unlimited" if name == "rate" else "none"
    return str(value)
