"""The role of a limiter: it has the changes of limits of all nodes, and when T0 is."""

from __future__ import annotations

import asyncio
import bisect
from typing import Any

from wotemu.scenario.timeline import Change, Timeline
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role
from wotemu_runtime.roles.session import BusSession


class LimitRole(Role):
    """Follows every node's changes of limits; the nodes' agents answer them.

    Args:
        assignment: The limiter's.
        session: Its session on the bus.
    """

    def __init__(self, assignment: Assignment, session: BusSession) -> None:
        super().__init__(assignment, session)
        self._changes: dict[int, Change] = {}
        self.news = asyncio.Event()
        """Set when changes were added or dropped, or T0 was set."""

    async def handle(self, command: dict[str, Any]) -> None:
        """See `Role.handle`."""
        match command["command"]:
            case "timeline":
                self._add(*Timeline.from_dict(command["timeline"]).changes)
            case "changes":
                for number in command["drop"]:
                    self._changes.pop(number, None)
                self._add(*(Change(**change) for change in command["changes"]))
            case _:
                await super().handle(command)
        self.news.set()

    def _add(self, *changes: Change) -> None:
        self._changes |= {change.id: change for change in changes if change.action == "limit"}

    def due(self, replica: str, now: float) -> Change | None:
        """The change of a replica's limits that holds at `now`; None where those of T0 do."""
        changes = self._of(replica)
        count = bisect.bisect_right(changes, now - self._t0_s(), key=lambda change: change.at_s)
        return changes[count - 1] if count else None

    def next_due(self, replica: str, now: float) -> float:
        """When the next change of a replica's limits is due; infinity where none is."""
        changes, t0 = self._of(replica), self._t0_s()
        count = bisect.bisect_right(changes, now - t0, key=lambda change: change.at_s)
        return t0 + changes[count].at_s if count < len(changes) else float("inf")

    def _t0_s(self) -> float:
        return self.t0.result() if self.t0.done() else float("inf")

    def _of(self, replica: str) -> list[Change]:
        """A replica's changes; those of one time in the order in which they came."""
        return sorted(
            (change for change in self._changes.values() if change.node == replica),
            key=lambda change: change.at_s,
        )
