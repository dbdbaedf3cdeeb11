"""The changes that one role has still to apply, in the order of their times. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from wotemu.scenario.timeline import Change


class Agenda:
    """Changes by time; more may be added, replaced by their ids, or taken back, at any time."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._heap: list[tuple[float, int, int]] = []
        self._pending: dict[int, tuple[int, Change]] = {}
        self._added = 0
        self.put(changes)

    def __repr__(self) -> str:
        return f"Agenda({len(self._pending)} changes, next {self.next})"

    def put(self, changes: Iterable[Change]) -> None:
        """Add changes; one whose id is waiting already replaces that. Those of one time keep their order."""
        for change in changes:
            self._added += 1
            self._pending[change.id] = self._added, change
            heappush(self._heap, (change.at_s, self._added, change.id))

    def drop(self, ids: Iterable[int]) -> None:
        """Take changes back, if they still wait."""
        for number in ids:
            self._pending.pop(number, None)

    @property
    def next(self) -> Change | None:
        """The change that is due first."""
        while self._heap:
            _, added, number = self._heap[0]
            current = self._pending.get(number)
            if current is not None and current[0] == added:
                return current[1]
            heappop(self._heap)  # it was replaced or taken back
        return None

    def pop(self) -> Change | None:
        """Take the change that is due first off the agenda."""
        change = self.next
        if change is not None:
            del self._pending[change.id]
            heappop(self._heap)
        return change
