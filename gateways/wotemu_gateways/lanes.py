"""Packets that wait for their departure, in the order of their deadlines.

Packets of one hop mostly leave in the order in which they came, so each hop keeps them in a lane (a deque,
sorted by nature) and only the lane's head is in the heap of deadlines. A packet that overtakes others of its
hop (jitter, a shorter delay than before) is a stray and goes into the heap by itself.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol

Packet = tuple[float, bytes, Any, Any]
"""A departure time, a frame, and two things that its hop wants back when the packet leaves."""


class Outlet(Protocol):
    """Where the packets of a lane go."""

    def leave(self, packets: deque[Packet], until_s: float, now_s: float) -> None:
        """Take the packets that are due at `until_s` off the left end, at least one, and pass them on."""
        ...


class Lane:
    """One hop's waiting packets."""

    __slots__ = ("_deadlines", "outlet", "packets", "strays")

    def __init__(self, deadlines: Deadlines, outlet: Outlet) -> None:
        self._deadlines = deadlines
        self.outlet = outlet
        self.packets: deque[Packet] = deque()
        self.strays = 0

    @property
    def backlog(self) -> int:
        """How many packets wait."""
        return len(self.packets) + self.strays

    def hold(self, packet: Packet) -> None:
        """Keep a packet until it is due."""
        packets = self.packets
        if not packets:
            packets.append(packet)
            self._deadlines.push(packet[0], self, None)
        elif packet[0] >= packets[-1][0]:
            packets.append(packet)
        else:
            self.strays += 1
            self._deadlines.push(packet[0], self, packet)


class Deadlines:
    """The heap of all lanes' next departures."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Lane, Packet | None]] = []
        self._serial = count()

    @property
    def next_s(self) -> float | None:
        """When the next packet is due; None if none waits."""
        return self._heap[0][0] if self._heap else None

    def push(self, due_s: float, lane: Lane, packet: Packet | None) -> None:
        """Enter a lane's head (`packet` None) or a stray."""
        heappush(self._heap, (due_s, next(self._serial), lane, packet))

    def release(self, now_s: float) -> None:
        """Let every packet go that is due: each lane in its order, strays at their place in it."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            _, _, lane, stray = heappop(heap)
            if stray is not None:
                lane.strays -= 1
                lane.outlet.leave(deque((stray,)), now_s, now_s)
                continue
            packets = lane.packets
            lane.outlet.leave(packets, min(now_s, heap[0][0]) if lane.strays and heap else now_s, now_s)
            if packets:
                heappush(heap, (packets[0][0], next(self._serial), lane, None))
