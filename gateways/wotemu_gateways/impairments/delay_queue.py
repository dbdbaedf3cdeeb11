"""Queues of packets that wait for their departure, and the heap of timers that wakes them.

Packets are kept sorted by departure: most leave in the order in which they came and are appended, those that
overtake others are inserted. The heap has one entry for each queue, its first packet's departure, so it costs
a step for each wake-up, not for each packet.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

GRAIN_S = 20e-6
"""What is due within this time leaves now: a wake-up for it would take longer, and no app can tell."""

Item = TypeVar("Item")
Taker = TypeVar("Taker", contravariant=True)


class Outlet(Protocol[Taker]):
    """Where the packets of a delay_queue go."""

    def release(self, dues_s: Sequence[float], items: Sequence[Taker], now_s: float) -> None:
        """Pass on packets whose departures are due, in order; there is at least one."""
        ...


class TimedQueue(Protocol):
    """A queue in the heap; `next_s` is when its first packet leaves, infinite where none waits."""

    next_s: float

    def release(self, now_s: float) -> None:
        """Pass on packets that are due."""
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
        """Append packets that leave in the order given, and not before `last_s`: the usual case."""
        self._dues_s.extend(dues_s)
        self._items.extend(items)
        if dues_s[0] < self.next_s:
            self._set_next(dues_s[0])

    def insert(self, dues_s: Sequence[float], items: Sequence[Item]) -> None:
        """Insert packets that leave at any instants."""
        own_s = self._dues_s
        insert_due, insert_item = own_s.insert, self._items.insert
        for due_s, item in zip(dues_s, items, strict=True):
            at = bisect_right(own_s, due_s)
            insert_due(at, due_s)
            insert_item(at, item)
        if own_s[0] < self.next_s:
            self._set_next(own_s[0])

    @property
    def last_s(self) -> float:
        """When the last packet leaves."""
        return self._dues_s[-1] if self._dues_s else -math.inf

    def release(self, now_s: float) -> None:
        """Let those go that are due; the delay_queue was entered for its first packet's departure."""
        dues_s, items = self._dues_s, self._items
        if len(dues_s) == 1 and dues_s[0] <= now_s + GRAIN_S:  # sparse traffic: nothing to search or to copy
            self._dues_s, self._items, self.next_s = [], [], math.inf
            self.outlet.release(dues_s, items, now_s)
            return
        due = bisect_right(dues_s, now_s + GRAIN_S)
        leaving_s, leaving = dues_s[:due], items[:due]
        del dues_s[:due]
        del items[:due]
        self.next_s = math.inf
        if dues_s:
            self._set_next(dues_s[0])
        self.outlet.release(leaving_s, leaving, now_s)

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
