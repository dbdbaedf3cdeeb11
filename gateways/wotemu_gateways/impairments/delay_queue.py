"""Queues of packets that wait for their departure, and the heap of timers that wakes them.

Packets are kept sorted by departure: most leave in the order in which they came and are appended. Batches
that overtake others are appended, too, and sorted in only when one of their packets is due, many at a time.
The heap has one entry for each queue, its first packet's departure, so it costs a step for each wake-up, not
for each packet.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

GRAIN_S = 20e-6
"""Packets due within this time leave now: a wake-up for them would take longer."""

_INSERTIONS = 6
"""A packet that is inserted by itself costs as much as so many that a sort of the whole queue passes."""

_FEW = 4
"""So many packets one by one cost as much as a batch of them."""

Item = TypeVar("Item")
Taker = TypeVar("Taker", contravariant=True)


class Outlet(Protocol[Taker]):
    """Where the packets of a delay_queue go."""

    def release(self, dues_s: Sequence[float], items: Sequence[Taker], now_s: float) -> None:
        """Pass on packets whose departures are due, in order; there is at least one."""
        ...

    def release_one(self, due_s: float, item: Taker, now_s: float) -> None:
        """As `release` for a packet alone, which costs less."""
        ...


class TimedQueue(Protocol):
    """A queue in the heap; `next_s` is when its first packet leaves, infinite where none waits."""

    next_s: float

    def release(self, now_s: float) -> None:
        """Pass on packets that are due."""
        ...


class DelayQueue(Generic[Item]):
    """One hop's waiting packets, in the order of their departures; of equals the first comer leaves first."""

    __slots__ = ("_dues_s", "_items", "_sorted", "_timers", "_unsorted_s", "next_s", "outlet")

    def __init__(self, timers: Timers, outlet: Outlet[Item]) -> None:
        self._timers = timers
        self._dues_s: list[float] = []
        self._items: list[Item] = []
        self._sorted = 0
        """How many of them are in order where `_unsorted_s` is finite; all are where it is not."""
        self._unsorted_s = math.inf
        """When the first of the others leaves."""
        self.outlet = outlet
        self.next_s = math.inf

    def __len__(self) -> int:
        return len(self._items)

    def hold(self, dues_s: Sequence[float], items: Sequence[Item]) -> None:
        """Append packets that leave in the order given, and not before `last_s`: the usual case."""
        self._dues_s.extend(dues_s)
        self._items.extend(items)
        if dues_s[0] < self.next_s:
            self._set_next(dues_s[0])

    def insert(self, dues_s: Sequence[float], items: Sequence[Item]) -> None:
        """Insert packets that leave at any instants."""
        if self._unsorted_s == math.inf:
            self._sorted = len(self._dues_s)
        first_s = min(dues_s)
        self._dues_s.extend(dues_s)
        self._items.extend(items)
        if first_s < self._unsorted_s:
            self._unsorted_s = first_s
            if first_s < self.next_s:
                self._set_next(first_s)

    def insert_one(self, due_s: float, item: Item) -> None:
        """As `insert` for a packet alone."""
        own_s = self._dues_s
        if self._unsorted_s != math.inf:
            self.insert((due_s,), (item,))
            return
        if own_s and due_s < own_s[-1]:
            at = bisect_right(own_s, due_s)
            own_s.insert(at, due_s)
            self._items.insert(at, item)
        else:
            own_s.append(due_s)
            self._items.append(item)
        if due_s < self.next_s:
            self._set_next(due_s)

    def _sort(self) -> None:
        """Sort in what is not in order: of equals the first comer leaves first."""
        dues_s, items, first = self._dues_s, self._items, self._sorted
        self._unsorted_s = math.inf
        if (len(dues_s) - first) * _INSERTIONS < first:
            late_s, late = dues_s[first:], items[first:]
            del dues_s[first:], items[first:]
            for due_s, item in zip(late_s, late, strict=True):
                at = bisect_right(dues_s, due_s)
                dues_s.insert(at, due_s)
                items.insert(at, item)
            return
        order = sorted(range(len(dues_s)), key=dues_s.__getitem__)
        self._dues_s = [dues_s[place] for place in order]
        self._items = [items[place] for place in order]

    @property
    def last_s(self) -> float:
        """When the last packet leaves."""
        if self._unsorted_s != math.inf:
            self._sort()
        return self._dues_s[-1] if self._dues_s else -math.inf

    def release(self, now_s: float) -> None:
        """Let those go that are due; the delay_queue was entered for its first packet's departure."""
        until_s = now_s + GRAIN_S
        if self._unsorted_s <= until_s:
            self._sort()
        dues_s, items = self._dues_s, self._items
        ordered = len(dues_s) if self._unsorted_s == math.inf else self._sorted
        if ordered == 1 or dues_s[1] > until_s:
            self._sorted = ordered - 1
            due_s, item = dues_s.pop(0), items.pop(0)
            self._find_next()
            self.outlet.release_one(due_s, item, now_s)
            return
        due = bisect_right(dues_s, until_s, 0, ordered)
        self._sorted = ordered - due
        leaving_s, leaving = dues_s[:due], items[:due]
        del dues_s[:due], items[:due]
        self._find_next()
        if due <= _FEW:
            for due_s, item in zip(leaving_s, leaving, strict=True):
                self.outlet.release_one(due_s, item, now_s)
        else:
            self.outlet.release(leaving_s, leaving, now_s)

    def _find_next(self) -> None:
        if self._dues_s:
            self._set_next(min(self._dues_s[0], self._unsorted_s))
        else:
            self.next_s = math.inf

    def _set_next(self, due_s: float) -> None:
        self.next_s = due_s
        self._timers.enter(due_s, self)


class Timers:
    """Delay queues and rate limiters by their next departure."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, TimedQueue]] = []
        self._serial = count()

    @property
    def next_s(self) -> float | None:
        """When something is due next; None if nothing waits. It may be too early, never too late."""
        return self._heap[0][0] if self._heap else None

    def enter(self, due_s: float, queue: TimedQueue) -> None:
        """Wake a delay_queue at its next departure; its `next_s` says which of its entries holds."""
        heappush(self._heap, (due_s, next(self._serial), queue))  # the serial: queues can't be compared

    def release(self, now_s: float) -> None:
        """Have each queue pass on its packets that are due."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            due_s, _, queue = heappop(heap)
            # A queue whose first departure has moved has another entry: those that hold no longer stay until
            # their time, as taking them out of the heap would cost more.
            if due_s == queue.next_s:
                queue.release(now_s)
