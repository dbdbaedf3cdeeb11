"""The changes that one role has still to apply, in the order of their times. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from wotemu.scenario.timeline import Change


class PendingChanges:
    """A priority queue of changes; they may be added, replaced by id, or discarded, at any time."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        # The heap keeps entries of changes that were replaced or discarded; `next` skips them.
        self._heap: list[tuple[float, int, int]] = []
        self._pending: dict[int, tuple[int, Change]] = {}
        self._added = 0
        self.add(changes)

    def __repr__(self) -> str:
        return f"PendingChanges({len(self._pending)}, next {self.next})"

    def add(self, changes: Iterable[Change]) -> None:
        """Add changes; one replaces a pending change of the same id. Changes of one time keep their order."""
        for change in changes:
            self._added += 1
            self._pending[change.id] = self._added, change
            heappush(self._heap, (change.at_s, self._added, change.id))

    def discard(self, ids: Iterable[int]) -> None:
        """Remove changes by their ids; those that are not pending are ignored."""
        for number in ids:
            self._pending.pop(number, None)

    @property
    def next(self) -> Change | None:
        """The change that is due first, or None."""
        while self._heap:
            _, added, number = self._heap[0]
            current = self._pending.get(number)
            if current is not None and current[0] == added:
                return current[1]
            heappop(self._heap)
        return None

    def pop(self) -> Change | None:
        """Remove and return the change that is due first, or None."""
        change = self.next
        if change is not None:
            del self._pending[change.id]
            heappop(self._heap)
        return change


__all__ = ["PendingChanges"]
