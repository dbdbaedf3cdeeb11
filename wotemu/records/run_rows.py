"""Rows about a run as a whole and its machines."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from wotemu.records.record import Record


@attrs.frozen
class Event(Record):
    """Something that happened. `kind` is dotted (``app.crashed``), `source` is the role that reports it."""

    TABLE: ClassVar[str] = "events"
    t: float
    kind: str
    source: str
    message: str
    data: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Host(Record):
    """One sample of a machine that runs roles: its load, the CPU time that was stolen from it, and its clock.

    `clock_offset` is what was to be added to its clock to get the bus's, and `clock_error` by how much that
    may be wrong at most.
    """

    TABLE: ClassVar[str] = "host"
    t: float
    host: str
    cpu_percent: float
    steal_percent: float
    mem_used_bytes: int
    mem_total_bytes: int
    clock_offset: float
    clock_error: float


@attrs.frozen
class Stall(Record):
    """A role that moves packets did not run for `duration` seconds when it had to; it ran again at `t`."""

    TABLE: ClassVar[str] = "stalls"
    t: float
    source: str
    duration: float


@attrs.frozen
class Change(Record):
    """One atomic change of the timeline: when it was due and when it took hold."""

    TABLE: ClassVar[str] = "changes"
    id: int
    due: float
    applied: float
    action: str
    target: str
    before: str
    after: str
    ok: bool
    error: str
