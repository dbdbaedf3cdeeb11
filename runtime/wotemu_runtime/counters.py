"""Totals of what a run has recorded so far, for who watches it; the report has its own from the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import attrs

from wotemu.percentiles import nearest_rank
from wotemu.records import CANCELLED, FAILED, Change, Hop, Interaction

DROPS = ("loss", "queue", "cut")
"""Why a hop drops packets: `Hop` has a field ``dropped_`` for each."""


@attrs.define
class Counters:
    """What consumers asked for and got, what the hops did with packets, and when changes took hold."""

    requests: int = 0
    """Requests that succeeded or failed."""
    failed_requests: int = 0
    cancelled_requests: int = 0
    """Requests that their apps gave up."""
    items: int = 0
    """Notifications that subscriptions delivered."""
    packets: int = 0
    """Packets that were delivered to their receivers."""
    dropped: Counter[str] = attrs.field(factory=Counter)
    changes: int = 0
    failed_changes: int = 0
    lateness_s: list[float] = attrs.field(factory=list, repr=False)
    """Of each change that took hold, in the order in which they were answered."""

    def take(self, table: str, rows: Iterable[list[Any]]) -> None:
        """Count rows of one table; tables that hold nothing of this are passed over."""
        match table:
            case Interaction.TABLE:
                for row in rows:
                    self._interaction(Interaction(*row))
            case Hop.TABLE:
                for row in rows:
                    self._hop(Hop(*row))
            case Change.TABLE:
                for row in rows:
                    self._change(Change(*row))

    @property
    def drops(self) -> int:
        """Packets dropped for whatever reason."""
        return self.dropped.total()

    def late_s(self, share: float) -> float | None:
        """The lateness that `share` of the changes did not exceed (nearest rank); None before the first."""
        return nearest_rank(self.lateness_s, share)

    def to_dict(self) -> dict[str, Any]:
        """As an event's data holds it."""
        return {
            "requests": self.requests,
            "failed_requests": self.failed_requests,
            "cancelled_requests": self.cancelled_requests,
            "items": self.items,
            "packets": self.packets,
            "dropped": {reason: self.dropped[reason] for reason in DROPS},
            "changes": self.changes,
            "failed_changes": self.failed_changes,
            "late_p50_s": self.late_s(0.5),
            "late_p95_s": self.late_s(0.95),
        }

    def _interaction(self, row: Interaction) -> None:
        if row.role != "consumer":
            return  # the same operation, seen from its other end
        if row.stage == "request":
            self.requests += row.status != CANCELLED
            self.failed_requests += row.status == FAILED
            self.cancelled_requests += row.status == CANCELLED
        elif row.stage == "next":
            self.items += 1

    def _hop(self, row: Hop) -> None:
        if row.direction == "down":
            self.packets += row.sent
        for reason in DROPS:
            self.dropped[reason] += getattr(row, f"dropped_{reason}")

    def _change(self, row: Change) -> None:
        self.changes += row.ok
        self.failed_changes += not row.ok
        if row.ok:
            self.lateness_s.append(row.applied - row.due)
