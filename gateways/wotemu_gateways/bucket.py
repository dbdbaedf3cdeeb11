"""Serialisation at a rate, behind a bounded queue. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import accumulate

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Packets
from wotemu_gateways.losses import NEVER

_ROUNDING_S = 1e-9


class Bucket:
    """Sends one packet after another at a rate; hops that share one share its rate.

    `busy_until_s` is when what it was given so far has been sent. A change leaves that alone: what is queued
    keeps its departure, and what comes later queues behind it.
    """

    __slots__ = (
        "_burst_s", "_cell_overhead", "_cell_size", "_limit_packets", "_limit_s", "_overhead", "_pads",
        "_seconds_per_byte", "_waiting", "busy_until_s",
    )  # fmt: skip

    def __init__(self, conditions: NetworkConditions | None = None) -> None:
        self.busy_until_s = -math.inf
        self._waiting: deque[float] = deque()
        self.change(conditions if conditions is not None else NetworkConditions())

    def __repr__(self) -> str:
        return f"<Bucket {self._seconds_per_byte * 1e6:g} us/byte, at most {self._limit_s:g} s>"

    def change(self, conditions: NetworkConditions) -> None:
        """Send at the rate of `conditions`, with their queue, from now on; at once if they have none."""
        rate, queue = conditions.rate, conditions.queue
        self._seconds_per_byte = 0.0 if rate is None else 8 / rate
        self._burst_s = (conditions.burst or 0) * self._seconds_per_byte
        self._limit_packets = int(queue) if isinstance(queue, Packets) and rate is not None else None
        self._limit_s = math.inf
        if rate is not None and self._limit_packets is None:
            self._limit_s = conditions.queue_bytes * 8 / rate + _ROUNDING_S
        self._overhead = conditions.overhead
        self._cell_size, self._cell_overhead = conditions.cell_size, conditions.cell_overhead
        self._pads = bool(self._overhead or self._cell_size)

    @property
    def unused(self) -> bool:
        """Whether it never delayed anything and wouldn't now."""
        return self.busy_until_s == -math.inf and not self._seconds_per_byte

    def send(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """When each packet has been sent; never, if the queue had no room for it.

        Where the room is time or bytes, a packet that would take longer than the whole queue is refused;
        one that finds nothing before it is always taken, however short the queue.
        """
        if self._pads:
            sizes = [self._wire_size(size) for size in sizes]
        if self._limit_packets is not None:
            return self._send_counted(arrivals_s, sizes)
        if NEVER in arrivals_s:
            return self._send_each(arrivals_s, sizes)
        begins_s = max(self.busy_until_s, arrivals_s[0] - self._burst_s)
        if begins_s >= arrivals_s[-1]:
            spent_s = [size * self._seconds_per_byte for size in sizes]
            if begins_s + sum(spent_s) - arrivals_s[0] <= self._limit_s:
                return self._send_in_a_row(begins_s, spent_s)
        return self._send_each(arrivals_s, sizes) if self._burst_s else self._send_plain(arrivals_s, sizes)

    def _send_in_a_row(self, begins_s: float, spent_s: list[float]) -> list[float]:
        """Packets that have all come when the first one's turn is, and all have room."""
        sent = list(accumulate(spent_s, initial=begins_s))
        del sent[0]
        self.busy_until_s = sent[-1]
        return sent

    def _send_plain(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """As `_send_each`, of packets that all came, without a burst: the usual case, at less cost."""
        busy_until_s, limit_s, seconds_per_byte = self.busy_until_s, self._limit_s, self._seconds_per_byte
        sent = []
        for now_s, size in zip(arrivals_s, sizes, strict=True):
            if now_s >= busy_until_s:
                busy_until_s = now_s + size * seconds_per_byte
                sent.append(busy_until_s)
                continue
            ends_s = busy_until_s + size * seconds_per_byte
            if ends_s - now_s > limit_s:
                sent.append(NEVER)
            else:
                busy_until_s = ends_s
                sent.append(ends_s)
        self.busy_until_s = busy_until_s
        return sent

    def _send_each(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        busy_until_s, limit_s, burst_s = self.busy_until_s, self._limit_s, self._burst_s
        seconds_per_byte = self._seconds_per_byte
        sent = []
        for now_s, size in zip(arrivals_s, sizes, strict=True):
            begins_s = now_s - burst_s
            if begins_s < busy_until_s:
                begins_s = busy_until_s
            ends_s = begins_s + size * seconds_per_byte
            if (ends_s - now_s > limit_s and begins_s > now_s) or now_s == NEVER:
                sent.append(NEVER)
                continue
            busy_until_s = ends_s
            sent.append(ends_s if ends_s > now_s else now_s)
        self.busy_until_s = busy_until_s
        return sent

    def _send_counted(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """As `send`, with room for a number of packets, the one that is being sent among them."""
        waiting, room = self._waiting, self._limit_packets or 0
        sent = []
        for now_s, size in zip(arrivals_s, sizes, strict=True):
            while waiting and waiting[0] <= now_s:
                waiting.popleft()
            if len(waiting) >= room or now_s == NEVER:
                sent.append(NEVER)
                continue
            ends_s = max(self.busy_until_s, now_s - self._burst_s) + size * self._seconds_per_byte
            self.busy_until_s = ends_s
            sent.append(max(ends_s, now_s))
            waiting.append(sent[-1])
        return sent

    def _wire_size(self, size: int) -> int:
        """What a packet takes with its overhead, in whole cells."""
        size += self._overhead
        if not self._cell_size:
            return max(size, 0)
        return -(-size // self._cell_size) * (self._cell_size + self._cell_overhead)
