"""A queue in front of a hop's rate, whose radio is silent after each packet. Pure: no I/O, no clock.

A device in a band with a duty cycle (ETSI EN 300 220-2, 4.3.3: 0.1 %, 1 % or 10 %) may send only so much of
the time. LoRaWAN devices keep to it packet by packet: after a time on air of t at a duty cycle of d they send
nothing for t / d - t (DutyCycleReq in the LoRaWAN L2 specification TS001-1.0.4, where 1 / d is a power of 2).

So one packet at a time leaves this queue, and the next one when the silence after it is over. The stages
behind say when it has been sent: on a shared channel it may wait for other hops' packets.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.delay_queue import GRAIN_S, Timers
from wotemu_gateways.impairments.memory_budget import PACKET_BYTES, MemoryBudget
from wotemu_gateways.impairments.rate_limiter import Packet, rate_terms, wire_size

Sent = TypeVar("Sent", contravariant=True)


class RadioHop(Protocol[Sent]):
    """A hop that sends what its duty cycle lets. `queued` counts the packets that wait in queues."""

    queued: int

    def transmit(self, arrival_s: float, packet: Sent, now_s: float) -> None:
        """Take a packet that may be sent now to the rate."""
        ...

    def drop_queue_full(self, packets: Sequence[Sent]) -> None:
        """Count packets that the queue had no room for as dropped."""
        ...

    def drop_without_memory(self, packets: Sequence[Sent]) -> None:
        """Count packets that the gateway had no memory for as dropped."""
        ...


class DutyCycleQueue(Generic[Packet]):
    """Holds a hop's packets while its radio is silent, or sends another one.

    The queue's bound counts what waits and the packet in the air; one that finds neither is always taken. A
    change of the rate or of the duty cycle keeps the share of a silence that is left of it: so none lasts
    longer than it would have under the conditions that hold now. In an outage, a rate of 0, it stands still.
    No change drops a packet.

    Args:
        hop: Where packets go that may be sent, and that counts those refused.
        timers: Where the end of a silence is entered.
        memory: Bounds what all queues of the gateway hold.

    Attributes:
        next_s: When the first of the waiting packets may be sent; infinite where none waits, or one is in the
            air.
    """

    __slots__ = (
        "_busy_s", "_busy_since_s", "_has_held", "_hop", "_in_air", "_is_sending", "_left_share",
        "_limit_bytes", "_limit_packets", "_memory", "_off_ratio", "_seconds_per_byte", "_served_bytes",
        "_silence_s", "_silent_until_s", "_size", "_timers", "_waiting", "_waiting_bytes", "_wire", "next_s",
    )  # fmt: skip

    def __init__(self, hop: RadioHop[Packet], timers: Timers, memory: MemoryBudget) -> None:
        self._hop = hop
        self._timers = timers
        self._memory = memory
        self._waiting: deque[tuple[float, Packet]] = deque()
        """When each packet came, and the packet."""
        self._waiting_bytes = 0
        self._in_air: list[Packet] = []
        """Packets under way through the rate; two where the duty cycle began while two were in service."""
        self._is_sending = False
        self._size = 0
        """Of the last packet that has been sent."""
        self._silence_s = self._left_share = 0.0
        self._silent_until_s = -math.inf
        self._off_ratio = 0.0
        """Seconds of silence for each of air time."""
        self._busy_s = self._busy_since_s = 0.0
        self._served_bytes = 0
        self._has_held = False
        self.next_s = math.inf
        self._seconds_per_byte, self._wire = 0.0, (0, 0, 0)
        self._limit_packets: int | None = None
        self._limit_bytes = math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<DutyCycleQueue {1 / (1 + self._off_ratio):.2%}, {len(self)} wait>"

    @property
    def holds(self) -> bool:
        """Whether packets have to come here: there is a duty cycle, or there was and some still wait."""
        return bool(self._off_ratio or self._waiting or self._in_air)

    # Changes

    def change(self, conditions: NetworkConditions, now_s: float) -> None:
        """Take another duty cycle, rate and queue for what waits and for what comes. `resume` follows.

        Args:
            conditions: Those that the air time follows from, see `air_time_conditions`.
            now_s: The time now.
        """
        terms = rate_terms(conditions)
        left_share = self._share_left(now_s)
        self._seconds_per_byte, *wire = terms.wire
        self._wire = (wire[0], wire[1], wire[2])
        self._limit_packets, self._limit_bytes = terms.limit_packets, terms.limit_bytes
        self._off_ratio = 1 / conditions.duty_cycle - 1
        self._waiting_bytes = sum(self._wire_bytes(packet) for _, packet in self._waiting)
        self._left_share = left_share
        if not left_share:
            self._silent_until_s = -math.inf
        elif self._stands_still:
            self._silent_until_s = math.inf
        else:
            self._silence_s = self._silence_after(self._size)
            self._silent_until_s = now_s + left_share * self._silence_s
        self._has_held |= self.holds

    def _share_left(self, now_s: float) -> float:
        """How much of the silence is left."""
        if self._stands_still:
            return self._left_share
        return min(max(self._silent_until_s - now_s, 0.0) / self._silence_s, 1.0) if self._silence_s else 0.0

    @property
    def _stands_still(self) -> bool:
        return self._seconds_per_byte == math.inf

    def _silence_after(self, size: int) -> float:
        return wire_size(size, *self._wire) * self._seconds_per_byte * self._off_ratio

    def _wire_bytes(self, packet: Packet) -> int:
        return wire_size(packet[1], *self._wire)

    def take_back(self, sent: Iterable[Packet], waiting: Iterable[Packet], now_s: float) -> None:
        """Begin with what was queued for the rate before there was a duty cycle. `resume` follows.

        Args:
            sent: What is being sent.
            waiting: What waited behind that.
            now_s: The time now.
        """
        self._in_air += sent
        for packet in waiting:
            self._hold(now_s, packet, now_s)

    # Packets

    def enqueue(self, arrivals_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Queue the hop's packets, or refuse those that have no room.

        Args:
            arrivals_s: When each packet came, ascending.
            packets: In the order in which they came; at least one.
            now_s: The time now.
        """
        if self._memory.held_bytes >= self._memory.max_bytes:
            self._hop.drop_without_memory(packets)
            return
        refused = []
        for arrival_s, packet in zip(arrivals_s, packets, strict=True):
            if self._has_room(packet):
                self._hold(arrival_s, packet, now_s)
            else:
                refused.append(packet)
        if refused:
            self._hop.drop_queue_full(refused)
        self.resume(now_s)

    def _has_room(self, packet: Packet) -> bool:
        if not self._waiting and not self._in_air:
            return True
        if self._limit_packets is not None:
            return len(self._waiting) + len(self._in_air) < self._limit_packets
        in_air = sum(map(self._wire_bytes, self._in_air))
        return self._waiting_bytes + in_air + self._wire_bytes(packet) <= self._limit_bytes

    def _hold(self, arrival_s: float, packet: Packet, now_s: float) -> None:
        if not self._waiting:
            self._busy_since_s = now_s
        self._waiting.append((arrival_s, packet))
        self._waiting_bytes += self._wire_bytes(packet)
        self._memory.held_bytes += PACKET_BYTES + packet[1]
        self._hop.queued += 1

    def _let_go(self, now_s: float) -> Packet:
        _, packet = self._waiting.popleft()
        self._waiting_bytes -= self._wire_bytes(packet)
        self._memory.held_bytes -= PACKET_BYTES + packet[1]
        self._hop.queued -= 1
        if not self._waiting:
            self._busy_s += max(now_s - self._busy_since_s, 0.0)
        return packet

    def release(self, now_s: float) -> None:
        """See `TimedQueue`: a silence is over."""
        self.resume(now_s)

    def resume(self, now_s: float) -> None:
        """Send what may be sent by now, and enter the time of what may be later."""
        self.next_s = math.inf
        self._is_sending = True
        while self._waiting and not self._in_air:
            due_s = max(self._waiting[0][0], self._silent_until_s)
            if due_s > now_s + GRAIN_S:
                break
            packet = self._let_go(now_s)
            self._in_air.append(packet)
            self._hop.transmit(due_s, packet, now_s)  # which may call `sent` or `refused` before it returns
        self._is_sending = False
        self._set_next()

    def sent(self, sent_s: Sequence[float], packets: Sequence[Packet]) -> None:
        """Begin the silence after packets that have been sent, or will be in a moment."""
        for at_s, packet in zip(sent_s, packets, strict=True):
            self._size = packet[1]
            self._served_bytes += self._wire_bytes(packet)
            self._silence_s = self._silence_after(self._size)
            self._silent_until_s = at_s + self._silence_s
        self.refused(packets)

    def refused(self, packets: Sequence[Packet]) -> None:
        """Go on after packets that were not sent, as a queue behind this one had no room for them."""
        for packet in packets:
            self._in_air = [each for each in self._in_air if each is not packet]
        if not self._is_sending:
            self._set_next()

    def _set_next(self) -> None:
        if not self._waiting or self._in_air:
            return
        self.next_s = max(self._waiting[0][0], self._silent_until_s)
        if self.next_s < math.inf:
            self._timers.enter(self.next_s, self)

    # Reports

    def take_service(self, now_s: float) -> tuple[float, int] | None:
        """How busy it was since the last call; None where packets did not come here.

        Returns:
            Seconds in which something waited, and the bytes on the wire of all that has been sent.
        """
        has_held, self._has_held = self._has_held, self.holds
        if self._waiting:
            self._busy_s += max(now_s - self._busy_since_s, 0.0)
            self._busy_since_s = now_s
        taken = self._busy_s, self._served_bytes
        self._busy_s, self._served_bytes = 0.0, 0
        return taken if has_held else None
