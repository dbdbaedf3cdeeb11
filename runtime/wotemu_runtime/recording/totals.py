"""Totals of a run while it goes on; the report computes its own from the tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

import attrs

from wotemu.percentiles import nearest_rank
from wotemu.records import APP, CANCELLED, FAILED, OK, Change, Event, Hop, Interaction, Record

DROPS = ("loss", "queue", "cut", "memory")
"""Why a hop drops packets: `Hop` has a field ``dropped_`` for each."""

_Asked = tuple[str, str, str, str]
"""A thing, the name of its affordance, the operation and the binding."""


@attrs.define
class Totals:
    """Counts of requests and notifications, packets and drops, and the lateness of changes."""

    requests: int = 0
    """Requests that succeeded or failed."""
    failed_requests: int = 0
    cancelled_requests: int = 0
    """Requests that their apps gave up."""
    items: int = 0
    """Notifications that subscriptions delivered, without those that a library delivered once more."""
    ends: float = math.inf
    """When the scenario ends (epoch): what begins later is of nodes that are being stopped."""
    _asked: Counter[_Asked] = attrs.field(factory=Counter, repr=False)
    _served: Counter[_Asked] = attrs.field(factory=Counter, repr=False)
    _observed: set[tuple[str, str]] = attrs.field(factory=set, repr=False)
    _answers: Counter[str] = attrs.field(factory=Counter, repr=False)
    """What each consumer got, by node; zero for one that asked, subscribed or looked for a node only."""
    packets: int = 0
    """Packets that were delivered to their receivers."""
    dropped: Counter[str] = attrs.field(factory=Counter)
    changes: int = 0
    failed_changes: int = 0
    lateness_s: list[float] = attrs.field(factory=list, repr=False)
    """Of each change that took hold, in the order in which they were answered."""

    tables: ClassVar[frozenset[str]] = frozenset({Interaction.TABLE, Hop.TABLE, Change.TABLE, Event.TABLE})
    """See `Sink`."""

    def take(self, records: Iterable[Record]) -> None:
        """Count records; those of tables that hold nothing of this are passed over."""
        for record in records:
            match record:
                case Interaction():
                    self._interaction(record)
                case Hop():
                    self._hop(record)
                case Change():
                    self._change(record)
                case Event():
                    self._event(record)

    @property
    def drops(self) -> int:
        """Packets dropped for whatever reason."""
        return self.dropped.total()

    @property
    def unmeasured_requests(self) -> int:
        """Requests that things served to clients that are not measured: at least so many.

        WoTPy's server reads a property for each notification that it sends over CoAP; these are no requests.
        """
        return sum(
            max(0, served - self._asked[key])
            for key, served in self._served.items()
            if not (key[3] == "coap" and key[2] == "readproperty" and key[:2] in self._observed)
        )

    @property
    def in_vain(self) -> list[str]:
        """The nodes whose apps asked, subscribed or waited for others, and never got anything, by name."""
        return sorted(node for node, got in self._answers.items() if not got)

    def late_s(self, share: float) -> float | None:
        """The lateness that `share` of the changes did not exceed (nearest rank); None before the first."""
        return nearest_rank(self.lateness_s, share)

    def to_dict(self) -> dict[str, Any]:
        """As an event's data holds it."""
        return {
            "requests": self.requests,
            "failed_requests": self.failed_requests,
            "cancelled_requests": self.cancelled_requests,
            "unmeasured_requests": self.unmeasured_requests,
            "in_vain": self.in_vain,
            "items": self.items,
            "packets": self.packets,
            "dropped": {reason: self.dropped[reason] for reason in DROPS},
            "changes": self.changes,
            "failed_changes": self.failed_changes,
            "late_p50_s": self.late_s(0.5),
            "late_p95_s": self.late_s(0.95),
        }

    def _event(self, row: Event) -> None:
        if row.kind == "app.waiting":
            self._answers[row.source.partition(":")[2]] += 0

    def _interaction(self, row: Interaction) -> None:
        if row.t > self.ends:
            return
        key = (row.thing, row.name, row.op, row.binding)
        if row.role != "consumer":  # the same operation, seen from its other end
            self._served[key] += row.stage == "request" and row.status in (OK, FAILED)
            return
        self._asked[key] += row.stage == "request"  # also those given up: they may have been served
        self._answers[row.node] += row.stage in ("request", "next") and row.status == OK
        if row.stage == "subscribe" and row.op == "observeproperty" and row.binding == "coap":
            self._observed.add((row.thing, row.name))
        if row.stage == "request":
            self.requests += row.status in (OK, FAILED)
            self.failed_requests += row.status == FAILED
            self.cancelled_requests += row.status == CANCELLED
        elif row.stage == "next":
            self.items += row.origin == APP

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
