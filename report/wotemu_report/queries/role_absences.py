"""Absences of roles: which tasks, machines or the bus failed, and when they were back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
import polars as pl

from wotemu_report.recorded.run_data import RunData

_GONE = ("role.lost", "role.silent", "role.unplaced")
_BACK = ("role.back", "role.heard")


@attrs.define
class RoleAbsence:
    """One role's absence. Times are seconds since T0; None where they are unknown.

    Attributes:
        since: When its last record was sent.
        noticed: When the coordinator noticed that it was gone; None: not before it was back.
        machine: Where it ran.
        back: When it was back, None: never.
        back_on: Where it ran then.
    """

    role: str
    since: float
    noticed: float | None
    machine: str
    why: str = ""
    back: float | None = None
    back_on: str = ""

    @property
    def lasted(self) -> float | None:
        """How long it was away, in seconds."""
        return None if self.back is None else self.back - self.since


def role_absences(run: RunData) -> list[RoleAbsence]:
    """Every absence, in the order of their beginnings; one that was noticed twice is listed once."""
    origin = run.manifest.t0 or run.manifest.started or 0.0
    current: dict[str, RoleAbsence] = {}
    absences: list[RoleAbsence] = []
    for kind, t, data in _role_events(run.events):
        role, host = str(data["role"]), str(data.get("host", ""))
        since = float(data.get("since", t)) - origin
        absence = current.get(role)
        if kind in _BACK:
            if absence is None:  # back before its absence was noticed
                absence = RoleAbsence(role, since, None, str(data.get("before", host)))
                absences.append(absence)
            absence.back, absence.back_on = t - origin, host
            absence.why = absence.why or ("restarted" if kind == "role.back" else "connection lost")
            current.pop(role, None)  # the next absence of this role is another one
        else:
            if absence is None:
                absence = current[role] = RoleAbsence(role, since, t - origin, host)
                absences.append(absence)
            absence.why = str(data.get("reason", "")) or absence.why
    return sorted(absences, key=lambda absence: absence.since)


def _role_events(events: pl.DataFrame) -> Iterator[tuple[str, float, dict[str, Any]]]:
    rows = events.filter(pl.col("kind").is_in((*_GONE, *_BACK))).select("kind", "t", "data").rows()
    yield from ((kind, t, json.loads(data)) for kind, t, data in rows)
