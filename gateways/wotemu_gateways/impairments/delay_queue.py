"""Packets that wait for their departure, in the order of their timers.

Each hop keeps its packets sorted in a queue: most leave in the order in which they came and go to its
end, those that overtake others into their place. The heap of timers holds only the queues, by their
first packet's departure, so its cost is a wake-up's, not a packet's.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

GRAIN_S = 20e-6
"""What is due so soon leaves now: to wake up for it would take longer, and no clock of an app's can tell."""

Item = TypeVar("Item")
Taker = TypeVar("Taker", contravariant=True)


class Outlet(Protocol[Taker]):
    """Where the packets of a delay_queue go."""

    def release(self, dues_s: Sequence[float], items: Sequence[Taker], now_s: float) -> None:
        """Pass on packets whose departures are due, in order; there is at least one."""
        ...


class Waiting(Protocol):
    """What has packets wait; `next_s` is when the first of them leaves, infinite where none does."""

    next_s: float

    def release(self, now_s: float) -> None:
        """Let those go that are due."""
        ...


class DelayQueue(Generic[Item]):
    """One hop's waiting packets, in the order of their departures; of equals the first comer leaves first."""

    __slots__ = ("_dues_s", "_items", "_timers", "next_s", "outlet")

    def __init__(self, timers: Timers, outlet: Outlet[Item]) -> None:
        self._timers = timers
        self._dues_s: list[float] = []
        self._items: list[Item] = []
        self.outlet = outlet
        self.next_s = math.inf

    def __len__(self) -> int:
        return len(self._items)

    def hold(self, dues_s: Sequence[float], items: Sequence[Item]) -> None:
        """Keep packets that leave in the order given, and not before `last_s`: the usual case."""
        self._dues_s.extend(dues_s)
        self._items.extend(items)
        if dues_s[0] < self.next_s:
            self._head(dues_s[0])

    def insert(self, dues_s: Sequence[float], items: Sequence[Item]) -> None:
        """Keep packets that leave at any times."""
        own_s = self._dues_s
        insert_due, insert_item = own_s.insert, self._items.insert
        for due_s, item in zip(dues_s, items, strict=True):
            at = bisect_right(own_s, due_s)
            insert_due(at, due_s)
            insert_item(at, item)
        if own_s[0] < self.next_s:
            self._head(own_s[0])

    @property
    def last_s(self) -> float:
        """When the last packet leaves."""
        return self._dues_s[-1] if self._dues_s else -math.inf

    def release(self, now_s: float) -> None:
        """Let those go that are due; the delay_queue was entered for its first packet's departure."""
        dues_s, items = self._dues_s, self._items
        due = bisect_right(dues_s, now_s + GRAIN_S)
        leaving_s, leaving = dues_s[:due], items[:due]
        del dues_s[:due]
        del items[:due]
        self.next_s = math.inf
        if dues_s:
            self._head(dues_s[0])
        self.outlet.release(leaving_s, leaving, now_s)

    def _head(self, due_s: float) -> None:
        self.next_s = due_s
        self._timers.enter(due_s, self)


class Timers:
    """Lanes and queues by their next departure."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiting]] = []
        self._serial = count()

    @property
    def next_s(self) -> float | None:
        """When something is due next; None if nothing waits. It may be too early, never too late."""
        return self._heap[0][0] if self._heap else None

    def enter(self, due_s: float, delay_queue: Waiting) -> None:
        """Wake a delay_queue at its next departure; its `next_s` says which of its entries holds."""
        heappush(self._heap, (due_s, next(self._serial), delay_queue))

    def release(self, now_s: float) -> None:
        """Let every packet go that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            due_s, _, delay_queue = heappop(heap)
            if due_s == delay_queue.next_s:
                delay_queue.release(now_s)
