"""What broke beneath the emulation, and when it was whole again: tasks, machines, and the bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
import polars as pl

from wotemu_report.blocks import Column, Table
from wotemu_report.recorded.dataset import RunData

LOST, SILENT, UNPLACED = "role.lost", "role.silent", "role.unplaced"
BACK, HEARD = "role.back", "role.heard"
KINDS = (LOST, SILENT, UNPLACED, BACK, HEARD)


@attrs.define
class Fault:
    """One role's absence. Times are seconds since T0; None where that was not told."""

    role: str
    since: float
    """When the last was heard of it."""
    known: float | None
    """When that was noticed."""
    machine: str
    why: str = ""
    back: float | None = None
    back_on: str = ""


def table(run: RunData) -> Table | None:
    """A row for each absence; None where nothing broke."""
    rows = [
        (
            fault.role,
            fault.machine,
            fault.since,
            fault.known,
            fault.back,
            fault.back_on,
            None if fault.back is None else fault.back - fault.since,
            fault.why,
        )
        for fault in found(run)
    ]
    if not rows:
        return None
    return Table(
        "What broke",
        "Parts of the emulation that were away. A role sends its records every second: what it had not sent "
        "when it broke is lost with it. While a gateway is away, nothing passes its network.",
        (
            Column("Role"),
            Column("Machine"),
            Column("Last heard", "instant"),
            Column("Noticed", "instant"),
            Column("Back", "instant"),
            Column("On"),
            Column("Away (s)", "number"),
            Column("Why"),
        ),
        rows,
    )


def found(run: RunData) -> list[Fault]:
    """Every absence, in the order of their beginnings; a role that was noticed twice was away once."""
    origin = run.manifest.t0 or run.manifest.started or 0.0
    current: dict[str, Fault] = {}
    faults: list[Fault] = []
    for kind, t, data in _told(run.events):
        role, host = str(data["role"]), str(data.get("host", ""))
        since = float(data.get("since", t)) - origin
        fault = current.get(role)
        if kind in (BACK, HEARD):
            if fault is None:  # it was back before its absence was noticed
                fault = Fault(role, since, None, str(data.get("before", host)))
                faults.append(fault)
            fault.back, fault.back_on = t - origin, host
            fault.why = fault.why or ("it was started again" if kind == BACK else "it could not be heard")
            current.pop(role, None)
        else:
            if fault is None:
                fault = current[role] = Fault(role, since, t - origin, host)
                faults.append(fault)
            fault.why = str(data.get("reason", "")) or fault.why
    return sorted(faults, key=lambda fault: fault.since)


def _told(events: pl.DataFrame) -> Iterator[tuple[str, float, dict[str, Any]]]:
    rows = events.filter(pl.col("kind").is_in(KINDS)).select("kind", "t", "data").rows()
    yield from ((kind, t, json.loads(data)) for kind, t, data in rows)
