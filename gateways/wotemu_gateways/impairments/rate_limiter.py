"""A virtual-clock rate limiter with a bounded queue. Pure: no I/O, no clock.

The departure of each packet is computed when it comes, so that a batch costs hardly more than a packet.
Changes are rare: they recompute the departures of all that waits.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Packets
from wotemu_gateways.impairments.delay_queue import GRAIN_S, Timers
from wotemu_gateways.impairments.latest import remember_latest
from wotemu_gateways.impairments.loss import NEVER
from wotemu_gateways.impairments.memory_budget import MemoryBudget, held_bytes

AHEAD_S = 1e-3
"""A packet that will have been sent within this time goes on at once, stamped with its departure.

So a fast rate costs no wake-up of its own. The price: a change of the rate within this time comes too late
for such packets.
"""

_ROUNDING_S = 1e-9
"""Sums of floats are off by less; without it a queue that is exactly full would refuse its last packet."""
_STANDSTILL_S = 1e18
"""When a packet leaves that waits at rate 0: later than anything else, but unlike a drop not `NEVER`."""

Packet = TypeVar("Packet", bound=tuple[Any, ...])


class QueuedHop(Protocol[Packet]):
    """A hop whose packets pass a rate limiter. `queued` counts those that wait in one."""

    queued: int

    def leave_queue(
        self, bucket: RateLimiter[Packet], sent_s: Sequence[float], packets: Sequence[Packet], now_s: float
    ) -> None:
        """Take packets that have been sent at the rate, with their departures in ascending order."""
        ...

    def drop_queue_full(self, packets: Sequence[Packet]) -> None:
        """Count packets that the queue had no room for as dropped."""
        ...

    def drop_without_memory(self, packets: Sequence[Packet]) -> None:
        """Count packets that the gateway had no memory for as dropped."""
        ...


class RateTerms(NamedTuple):
    """What a rate limiter needs of conditions.

    Attributes:
        wire: Seconds a byte, overhead, size of cells and overhead of each: what departures follow from.
        limits: Whether there is a rate.
        burst_bytes: What may pass at once.
        limit_packets: Bound of the queue in packets; None where it is in bytes.
        limit_bytes: Bound of the queue in bytes; infinite where it is in packets.
        is_rate_alone: Whether there is nothing but a rate and a bound in bytes.
    """

    wire: tuple[float, int, int, int]
    limits: bool
    burst_bytes: int
    limit_packets: int | None
    limit_bytes: float
    is_rate_alone: bool


def wire_size(size: int, overhead: int, cell_size: int, cell_overhead: int) -> int:
    """The bytes that a packet takes on the wire: with its overhead, in whole cells."""
    size += overhead
    if not cell_size:
        return max(size, 0)
    return -(-size // cell_size) * (cell_size + cell_overhead)


@remember_latest
def rate_terms(conditions: NetworkConditions) -> RateTerms:
    """What a rate limiter needs of these conditions."""
    rate, queue = conditions.rate, conditions.queue
    seconds_per_byte = 0.0 if rate is None else 8 / rate if rate else math.inf
    burst_bytes = int(conditions.burst or 0)
    limit_packets = int(queue) if isinstance(queue, Packets) and rate is not None else None
    return RateTerms(
        wire=(seconds_per_byte, conditions.overhead, conditions.cell_size, conditions.cell_overhead),
        limits=rate is not None,
        burst_bytes=burst_bytes,
        limit_packets=limit_packets,
        limit_bytes=math.inf if limit_packets is not None else conditions.queue_bytes,
        is_rate_alone=not (
            burst_bytes or limit_packets is not None or conditions.overhead or conditions.cell_size
        ),
    )


class RateLimiter(Generic[Packet]):
    """Sends one packet after another at a rate; what comes meanwhile waits. May be shared by hops.

    The second field of a packet is its size in bytes. The queue's bound counts what waits and the packet that
    is being sent; a packet that finds the queue empty is always taken. A change holds for what waits, too: it
    is served at the new rate from then on, the packet that is being sent for the rest of its bits. No change
    drops a packet, even if more waits than the new bound has room for.

    Args:
        timers: Where the next departure is entered.
        memory: Bounds what all queues of the gateway hold.
        conditions: Their rate, burst, overhead, cells and queue; no rate where it is None.

    Attributes:
        limits: Whether there is a rate. Without one nothing ever waits, so packets need not come here.
        busy_until_s: When everything that was taken so far has been sent.
        next_s: When the first of the waiting packets has been sent; infinite where none waits.
    """

    __slots__ = (
        "_burst_bytes",
        "_busy_s",
        "_busy_since_s",
        "_cell_overhead",
        "_cell_size",
        "_dues_s",
        "_is_rate_alone",
        "_left_bytes",
        "_limit_bytes",
        "_limit_packets",
        "_memory",
        "_overhead",
        "_packets",
        "_seconds_per_byte",
        "_served_bytes",
        "_sizes",
        "_timers",
        "_users",
        "_waiting",
        "busy_until_s",
        "limits",
        "next_s",
    )  # fmt: skip

    def __init__(
        self, timers: Timers, memory: MemoryBudget, conditions: NetworkConditions | None = None
    ) -> None:
        self._timers = timers
        self._memory = memory
        # What waits, in the order of service. Parallel lists: slicing them costs no Python call a packet.
        self._dues_s: list[float] = []
        self._packets: list[Packet] = []
        self._sizes: list[int] = []
        self._users: list[QueuedHop[Packet]] = []
        self._waiting: deque[float] = deque()
        self._left_bytes = 0.0
        self._busy_s = self._busy_since_s = 0.0
        self._served_bytes = 0
        self.busy_until_s = -math.inf
        self.next_s = math.inf
        self._overhead = self._cell_size = self._cell_overhead = 0
        self._seconds_per_byte = 0.0
        self._burst_bytes = 0
        self.limits = False
        self.change(conditions if conditions is not None else NetworkConditions(), 0.0)

    def __len__(self) -> int:
        return len(self._dues_s)

    def __repr__(self) -> str:
        return f"<RateLimiter {self._seconds_per_byte * 1e6:g} us/byte, {len(self)} wait>"

    # Changes

    def change(self, conditions: NetworkConditions, now_s: float) -> None:
        """Serve what waits, and what comes, at the rate of `conditions`, with their queue, from now on.

        The caller has released what was due before.
        """
        wire, limits, burst_bytes, limit_packets, limit_bytes, is_rate_alone = rate_terms(conditions)
        left_bytes, unspent_bytes = self._left(now_s), self._unspent_burst(now_s)
        before = (self._seconds_per_byte, self._overhead, self._cell_size, self._cell_overhead)
        self._seconds_per_byte, self._overhead, self._cell_size, self._cell_overhead = wire
        self.limits, self._is_rate_alone = limits, is_rate_alone
        self._burst_bytes = burst_bytes
        self._limit_packets, self._limit_bytes = limit_packets, limit_bytes
        if wire != before:
            self._reschedule(left_bytes, min(unspent_bytes, burst_bytes), now_s)
        self._waiting = deque(self._dues_s)

    def _left(self, now_s: float) -> float:
        """The bytes of the packet that is being sent that are still to be sent."""
        if not self._dues_s:
            return 0.0
        if self._stands_still:
            return self._left_bytes
        return min((self._dues_s[0] - now_s) / self._seconds_per_byte, self._sizes[0])

    def _unspent_burst(self, now_s: float) -> float:
        """The bytes of burst that may pass at once now."""
        if self._dues_s:
            return 0.0
        if self._stands_still:
            return self._left_bytes
        idle_s = now_s - self.busy_until_s
        if not self._seconds_per_byte or math.isinf(idle_s):
            return math.inf
        return min(max(idle_s, 0.0) / self._seconds_per_byte, self._burst_bytes)

    @property
    def _stands_still(self) -> bool:
        return self._seconds_per_byte == math.inf

    def _reschedule(self, left_bytes: float, unspent_bytes: float, now_s: float) -> None:
        """Recompute the departures of what waits under the rate that holds now.

        Args:
            left_bytes: What is still to be sent of the first packet.
            unspent_bytes: The burst that may pass at once where no packet waits.
            now_s: When the rate begins to hold.
        """
        if not self._dues_s:
            self._restart_idle(unspent_bytes, now_s)
            return
        wire = self._overhead, self._cell_size, self._cell_overhead
        self._sizes[1:] = [wire_size(packet[1], *wire) for packet in self._packets[1:]]
        if self._stands_still:
            self._left_bytes = left_bytes
            self._dues_s = [_STANDSTILL_S] * len(self._dues_s)
            self.next_s = math.inf
            return
        spent_s = [size * self._seconds_per_byte for size in (left_bytes, *self._sizes[1:])]
        self._dues_s = list(accumulate(spent_s, initial=now_s))[1:]
        self.busy_until_s = self._dues_s[-1]
        self._set_next()
        if not self.limits:
            self.release(now_s)

    def _restart_idle(self, unspent_bytes: float, now_s: float) -> None:
        """Begin with another rate where no packet waits."""
        if self._seconds_per_byte == math.inf:
            self._left_bytes = unspent_bytes
            self.next_s = math.inf
        elif self.limits:
            # What went on ahead of its time (`AHEAD_S`) is still being sent.
            free_s = now_s - unspent_bytes * self._seconds_per_byte
            self.busy_until_s = max(self.busy_until_s, free_s) if self.busy_until_s > now_s else free_s

    # Packets

    def enqueue(
        self,
        user: QueuedHop[Packet],
        arrivals_s: Sequence[float],
        packets: Sequence[Packet],
        now_s: float,
        ahead_s: float = AHEAD_S,
    ) -> None:
        """Queue a hop's packets, or refuse those that have no room.

        Args:
            user: The hop that is told of the packets' departures and refusals.
            arrivals_s: When each packet came, ascending.
            packets: In the order in which they came; at least one.
            now_s: The time now.
            ahead_s: What will have been sent within this time does not wait here, if nothing else does.
        """
        if self._memory.held_bytes >= self._memory.max_bytes:
            user.drop_without_memory(packets)
            return
        sizes = [packet[1] for packet in packets]
        if self._overhead or self._cell_size:
            wire = self._overhead, self._cell_size, self._cell_overhead
            sizes = [wire_size(size, *wire) for size in sizes]
        sent_s = self._departures(arrivals_s, sizes)
        if NEVER in sent_s:
            user.drop_queue_full(
                [packet for packet, at_s in zip(packets, sent_s, strict=True) if at_s == NEVER]
            )
            taken = [i for i, at_s in enumerate(sent_s) if at_s != NEVER]
            if not taken:
                return
            packets, sizes = [packets[i] for i in taken], [sizes[i] for i in taken]
            sent_s = [sent_s[i] for i in taken]
        if sent_s[-1] <= now_s + ahead_s and not self._dues_s:
            user.leave_queue(self, sent_s, packets, now_s)
        else:
            self._hold(user, sent_s, packets, sizes, now_s)

    def send_alone(self, arrival_s: float, size: int, now_s: float) -> float | None:
        """When a packet has been sent that need not wait here, at a rate alone.

        It does what `enqueue` and `_departures` do for any number of packets, at less cost.

        Returns:
            None where more is to be looked at: the packet then has to be queued by `enqueue`.
        """
        if arrival_s < self.busy_until_s or self._dues_s or not self._is_rate_alone:
            return None
        sent_s = arrival_s + size * self._seconds_per_byte
        if sent_s > now_s + AHEAD_S:
            return None
        self.busy_until_s = sent_s
        return sent_s

    def _hold(
        self,
        user: QueuedHop[Packet],
        sent_s: Sequence[float],
        packets: Sequence[Packet],
        sizes: Sequence[int],
        now_s: float,
    ) -> None:
        self._memory.held_bytes += held_bytes(packets)
        if not self._dues_s:
            self._busy_since_s = now_s
            self._left_bytes = sizes[0]
        self._dues_s.extend(sent_s)
        self._packets.extend(packets)
        self._sizes.extend(sizes)
        self._users.extend([user] * len(packets))
        user.queued += len(packets)
        if sent_s[0] < self.next_s:
            self._set_next()

    def _set_next(self) -> None:
        self.next_s = math.inf
        if self._dues_s and self._dues_s[0] != _STANDSTILL_S:
            self.next_s = self._dues_s[0]
            self._timers.enter(self.next_s, self)

    def release(self, now_s: float) -> None:
        """Pass on packets that have been sent by now."""
        due = bisect_right(self._dues_s, now_s + GRAIN_S)
        dues_s, packets, users = self._dues_s[:due], self._packets[:due], self._users[:due]
        self._served_bytes += sum(self._sizes[:due])
        del self._dues_s[:due], self._packets[:due], self._sizes[:due], self._users[:due]
        self._set_next()
        if not self._dues_s:
            self._busy_s += max(now_s - self._busy_since_s, 0.0)
        self._memory.held_bytes -= held_bytes(packets)
        for user, first, last in _runs(users):
            user.queued -= last - first
            user.leave_queue(self, dues_s[first:last], packets[first:last], now_s)

    def withdraw(self, user: QueuedHop[Packet], now_s: float) -> tuple[list[Packet], list[Packet]]:
        """Take back what waits of a hop. The packet that is being sent stays.

        Returns:
            That packet, if it is of the hop, and those taken back, in their order.
        """
        sent = [packet for packet in self._packets[:1] if self._users[0] is user]
        taken = {i for i, each in enumerate(self._users) if i and each is user}
        packets = [self._packets[i] for i in sorted(taken)]
        if taken:
            left_bytes = self._left(now_s)
            kept = [i for i in range(len(self._users)) if i not in taken]
            self._packets = [self._packets[i] for i in kept]
            self._sizes = [self._sizes[i] for i in kept]
            self._users = [self._users[i] for i in kept]
            self._dues_s = [self._dues_s[i] for i in kept]
            user.queued -= len(packets)
            self._memory.held_bytes -= held_bytes(packets)
            self._reschedule(left_bytes, 0.0, now_s)
            self._waiting = deque(self._dues_s)
        return sent, packets

    # Departures: when each packet has been sent, `NEVER` if the queue has no room for it

    def _departures(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        if self._limit_packets is not None:
            return self._counted(arrivals_s, sizes)
        if self._stands_still:
            return self._at_a_standstill(sizes)
        seconds_per_byte = self._seconds_per_byte
        spent_s = [size * seconds_per_byte for size in sizes]
        limit_s = self._limit_bytes * seconds_per_byte + _ROUNDING_S
        if self._burst_bytes:
            return self._one_by_one(arrivals_s, spent_s, limit_s)
        busy_until_s, first_s = self.busy_until_s, arrivals_s[0]
        begins_s = busy_until_s if busy_until_s > first_s else first_s
        if begins_s >= arrivals_s[-1]:
            # All have come when the first one's turn is; and if the last has room, all have: a usual batch.
            spent_s[0] += begins_s
            sent = list(accumulate(spent_s))
            if sent[-1] - first_s <= limit_s:
                self.busy_until_s = sent[-1]
                return sent
            spent_s[0] = sizes[0] * seconds_per_byte
        return self._without_burst(arrivals_s, spent_s, limit_s)

    def _without_burst(
        self, arrivals_s: Sequence[float], spent_s: Sequence[float], limit_s: float
    ) -> list[float]:
        """As `_one_by_one` without a burst, at less cost: no attribute is written for each packet."""
        busy_until_s = self.busy_until_s
        sent = []
        for now_s, takes_s in zip(arrivals_s, spent_s, strict=True):
            if now_s >= busy_until_s:
                busy_until_s = now_s + takes_s
                sent.append(busy_until_s)
                continue
            ends_s = busy_until_s + takes_s
            if ends_s - now_s > limit_s:
                sent.append(NEVER)
            else:
                busy_until_s = ends_s
                sent.append(ends_s)
        self.busy_until_s = busy_until_s
        return sent

    def _one_by_one(
        self, arrivals_s: Sequence[float], spent_s: Sequence[float], limit_s: float
    ) -> list[float]:
        burst_s = self._burst_bytes * self._seconds_per_byte
        sent = []
        for now_s, takes_s in zip(arrivals_s, spent_s, strict=True):
            begins_s = max(self.busy_until_s, now_s - burst_s)
            ends_s = begins_s + takes_s
            if ends_s - now_s > limit_s and begins_s > now_s:
                sent.append(NEVER)
                continue
            self.busy_until_s = ends_s
            sent.append(max(ends_s, now_s))
        return sent

    def _counted(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """Departures where the queue's bound is a number of packets, the one that is being sent included."""
        waiting, room, still = self._waiting, self._limit_packets or 0, self._stands_still
        burst_s = self._burst_bytes * self._seconds_per_byte if self._burst_bytes else 0.0
        sent = []
        for now_s, size in zip(arrivals_s, sizes, strict=True):
            while waiting and waiting[0] <= now_s:
                waiting.popleft()
            if len(waiting) >= room:
                sent.append(NEVER)
                continue
            if still:
                sent.append(_STANDSTILL_S)
            else:
                ends_s = max(self.busy_until_s, now_s - burst_s) + size * self._seconds_per_byte
                self.busy_until_s = ends_s
                sent.append(max(ends_s, now_s))
            waiting.append(sent[-1])
        return sent

    def _at_a_standstill(self, sizes: Sequence[int]) -> list[float]:
        """Departures at rate 0: what has room waits for good, until a change of the rate."""
        waiting = self._left_bytes + sum(self._sizes[1:]) if self._dues_s else 0.0
        sent = []
        for size in sizes:
            if waiting and waiting + size > self._limit_bytes:
                sent.append(NEVER)
            else:
                waiting += size
                sent.append(_STANDSTILL_S)
        return sent

    # Reports

    def take_service(self, now_s: float) -> tuple[float, int]:
        """How busy it was since the last call.

        Returns:
            Seconds in which something waited or was being sent, and the bytes on the wire of what left then.
        """
        if self._dues_s:
            self._busy_s += max(now_s - self._busy_since_s, 0.0)
            self._busy_since_s = now_s
        taken = self._busy_s, self._served_bytes
        self._busy_s, self._served_bytes = 0.0, 0
        return taken


def _runs(users: Sequence[QueuedHop[Packet]]) -> Iterator[tuple[QueuedHop[Packet], int, int]]:
    """Packets in a row of one hop: the hop, the place of its first packet, and that behind its last."""
    if not users:
        return
    if users.count(users[0]) == len(users):
        yield users[0], 0, len(users)
        return
    first = 0
    for _, group in groupby(users, key=id):
        last = first + len(list(group))
        yield users[first], first, last
        first = last
