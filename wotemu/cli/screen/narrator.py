"""Events in words, for a person who follows a run."""

from __future__ import annotations

from typing import Literal

import attrs

from wotemu.records import Event
from wotemu.records.event_kinds import Severity, severity_of
from wotemu.scenario.change_text import describe_change
from wotemu.wording import lateness
from wotemu_runtime.planning.models import Plan

Weight = Literal["noise", "plain", "good", "change", "phase", "warning", "error"]
"""How much an event matters; views choose a colour and mark by it."""

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
"""Kinds whose weight is not that of their severity."""
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
    """Finds words for the events of one run, and counts the roles that are ready."""

    def __init__(self, plan: Plan) -> None:
        """Take the plan, which says how many roles there are and what each change does."""
        self._changes = {change.id: change for change in plan.timeline.changes}
        self.roles = len(plan.roles)
        self.ready: set[str] = set()

    def words(self, event: Event) -> Words:
        """The words for an event; for most kinds these are its own message."""
        data = event.data
        weight = _weight(event)
        match event.kind:
            case "role.ready":
                # A set: a role that another machine starts again is ready once more.
                self.ready.add(event.source)
                return Words(weight, f"ready {len(self.ready)}/{self.roles}", event.source)
            case "run.t0":
                return Words(weight, "T0", event.message.removeprefix("T0: "))
            case "change.applied":
                return Words(weight, event.message, lateness(data["late_s"]))
            case "change.failed" if data.get("id") in self._changes:
                return Words(weight, f"failed: {describe_change(self._changes[data['id']])}", event.message)
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
    if event.kind == "app.exited":  # at the end of a run every app does, as it is asked to
        return "plain" if event.data.get("asked") is False else "noise"
    return _WEIGHTS.get(event.kind) or _BY_SEVERITY[severity_of(event.kind)]


def _subject(event: Event) -> str:
    return event.source.partition(":")[2] or event.source
