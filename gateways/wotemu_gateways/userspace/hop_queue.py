"""A hop in user space: the stages that packets pass on it, what it holds, and its counters."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Protocol

from wotemu.percentiles import BOUNDS_S, Histogram
from wotemu.records import Hop
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.hop_conditions import air_time_conditions
from wotemu_gateways.impairments.alteration import Alteration
from wotemu_gateways.impairments.delay_queue import GRAIN_S, DelayQueue, Timers
from wotemu_gateways.impairments.duty_cycle import DutyCycleQueue
from wotemu_gateways.impairments.hop_shaper import HopShaper
from wotemu_gateways.impairments.loss import NEVER
from wotemu_gateways.impairments.memory_budget import PACKET_BYTES, MemoryBudget, held_bytes
from wotemu_gateways.impairments.rate_limiter import AHEAD_S, RateLimiter
from wotemu_gateways.packets.flow_table import FlowCounter

_write = os.write


class NextHop(Protocol):
    """Where a packet goes when it leaves its sender's `up` hop."""

    def forward(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass on packets whose departures were due at those instants."""
        ...

    def forward_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """As `forward` for a packet alone."""
        ...


Packet = tuple[bytes, int, NextHop, FlowCounter]
"""A frame, its size in bytes, its path through the switch and its flow."""


def _altered(
    alteration: Alteration, instants_s: Sequence[float], packets: Sequence[Packet]
) -> tuple[list[float], list[Packet]]:
    """The packets that are left after an alteration, with their instants; flows' counters are settled."""
    left_s: list[float] = []
    left: list[Packet] = []
    treated = alteration.alter([packet[0] for packet in packets])
    for instant_s, (_, size, way, counter), copies in zip(instants_s, packets, treated, strict=True):
        counter.settled += 1 - len(copies)
        left_s += [instant_s] * len(copies)
        left += [(copy, size, way, counter) for copy in copies]
    return left_s, left


def count_lost(packets: Sequence[Packet]) -> None:
    """Count packets of flows as settled: they are dropped, and so no longer in flight."""
    for packet in packets:
        packet[3].settled += 1


def count_sent(packets: Sequence[Packet]) -> None:
    """Count packets of the flows that nodes send; most batches are of one flow."""
    first = packets[0][3]
    if [packet[3] for packet in packets].count(first) == len(packets):
        first.packets_up += len(packets)
        first.bytes_up += sum([packet[1] for packet in packets])
        return
    for _, size, _, counter in packets:
        counter.packets_up += 1
        counter.bytes_up += size


def _count_delivered(packets: Sequence[Packet]) -> int:
    """Count packets of the flows that reach nodes.

    Returns:
        Their bytes.
    """
    size = sum([packet[1] for packet in packets])
    first = packets[0][3] if packets else None
    if first is not None and [packet[3] for packet in packets].count(first) == len(packets):
        first.packets_down += len(packets)
        first.bytes_down += size
        return size
    for _, each, _, counter in packets:
        counter.packets_down += 1
        counter.bytes_down += each
    return size


class HopQueue:
    """A hop of a port: its stages, the packets in them, and counters since the last drain.

    Packets pass the hop's rate limiter, the shared one where there is one, loss and alteration, and the delay
    queue; before all these they wait for `duty_cycle`, where there is or was one. `queued` counts those that
    wait for it or in a rate limiter.

    Methods for a packet alone (`..._one`) do what those for a batch do, without the batch's lists: most
    wake-ups of a gateway are for one packet.
    """

    __slots__ = (
        "_channel",
        "_memory",
        "_timers",
        "delay_queue",
        "dropped_cut",
        "dropped_loss",
        "dropped_memory",
        "dropped_queue",
        "duty_cycle",
        "late",
        "late_max_s",
        "queued",
        "sent",
        "sent_bytes",
        "shaper",
    )  # fmt: skip

    direction: str

    def __init__(
        self, conditions: NetworkConditions, rng: Random, timers: Timers, memory: MemoryBudget
    ) -> None:
        self.shaper: HopShaper[Packet] = HopShaper(conditions, rng, timers, memory)
        self.delay_queue: DelayQueue[Packet] = DelayQueue(timers, self)
        self.duty_cycle: DutyCycleQueue[Packet] | None = None
        self._channel: NetworkConditions | None = None
        self._timers = timers
        self._memory = memory
        self.queued = 0
        self.late = Histogram()
        self._reset()
        if conditions.duty_cycle < 1:
            self.change(conditions, 0.0)

    def _reset(self) -> None:
        self.late.clear()
        self.late_max_s: float | None = None
        self.sent = self.sent_bytes = 0
        self.dropped_loss = self.dropped_queue = self.dropped_cut = self.dropped_memory = 0

    def change(self, conditions: NetworkConditions, now_s: float) -> None:
        """Impose other conditions on what waits and on what comes.

        The caller has released what was due before.
        """
        duty_cycle, shaper = self.duty_cycle, self.shaper
        if duty_cycle is None and conditions.duty_cycle < 1:
            duty_cycle = self.duty_cycle = DutyCycleQueue(self, self._timers, self._memory)
        if duty_cycle is None:
            shaper.change(conditions, now_s)
            return
        has_held = duty_cycle.holds
        duty_cycle.change(air_time_conditions(conditions, self._channel), now_s)
        shaper.change(conditions, now_s)
        if not duty_cycle.holds:
            return
        if not has_held:
            for bucket in filter(None, (shaper.shared, shaper.rate_limiter)):
                duty_cycle.take_back(*bucket.withdraw(self, now_s), now_s)
        shaper.needs_batches = True
        duty_cycle.resume(now_s)

    def set_channel(self, conditions: NetworkConditions | None, now_s: float) -> None:
        """Take the conditions of the rate that it shares with other hops; None: it shares none."""
        self._channel = conditions
        if self.duty_cycle is not None:
            self.change(self.shaper.conditions, now_s)

    def enter(self, arrivals_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Take packets that came, or were due to come, at these instants (ascending)."""
        shaper = self.shaper
        if shaper.clear and self.delay_queue.next_s == NEVER:
            self.pass_on(arrivals_s, packets, now_s)
        elif shaper.needs_batches:
            self._enter_stages(arrivals_s, packets, now_s)
        elif shaper.rate_limiter.limits:
            shaper.rate_limiter.enqueue(self, arrivals_s, packets, now_s)
        else:
            self.leave_queue(shaper.rate_limiter, arrivals_s, packets, now_s)

    def _enter_stages(self, arrivals_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """As `enter` where there may be a duty cycle or a shared queue."""
        shaper = self.shaper
        if self.duty_cycle is not None and self.duty_cycle.holds:
            self.duty_cycle.enqueue(arrivals_s, packets, now_s)
        elif shaper.rate_limiter.limits:
            # Packets go to a shared queue only once they have come: one that is ahead of its time would be
            # served before another hop's packet that comes earlier.
            ahead_s = AHEAD_S if shaper.shared is None else GRAIN_S
            shaper.rate_limiter.enqueue(self, arrivals_s, packets, now_s, ahead_s)
        else:
            self.leave_queue(shaper.rate_limiter, arrivals_s, packets, now_s)

    def enter_one(self, arrival_s: float, packet: Packet, now_s: float) -> None:
        """As `enter` for a packet alone."""
        shaper, memory = self.shaper, self._memory
        if shaper.clear and self.delay_queue.next_s == NEVER:
            self.pass_one(arrival_s, packet, now_s)
            return
        sent_s: float | None = arrival_s
        if shaper.needs_batches or memory.held_bytes >= memory.max_bytes:
            sent_s = None
        elif shaper.rate_limiter.limits:
            sent_s = shaper.rate_limiter.send_alone(arrival_s, packet[1], now_s)
        if sent_s is None:
            self.enter((arrival_s,), (packet,), now_s)
        elif shaper.losses and True in [loss.loses_next() for loss in shaper.losses]:
            self.dropped_loss += 1
            packet[3].settled += 1
        else:
            self._delay_one(shaper.delay.arrival(sent_s), packet, now_s)

    def transmit(self, arrival_s: float, packet: Packet, now_s: float) -> None:
        """See `RadioHop`."""
        rate_limiter = self.shaper.rate_limiter
        if rate_limiter.limits:
            rate_limiter.enqueue(self, (arrival_s,), (packet,), now_s, GRAIN_S)
        else:
            self.leave_queue(rate_limiter, (arrival_s,), (packet,), now_s)

    def leave_queue(
        self, bucket: RateLimiter[Packet], sent_s: Sequence[float], packets: Sequence[Packet], now_s: float
    ) -> None:
        """See `QueueUser`: on to the shared queue, or into the air."""
        shaper = self.shaper
        if shaper.needs_batches and self._is_shared_next(bucket, sent_s, packets, now_s):
            return
        if shaper.losses or shaper.alteration is not None:
            sent_s, packets = self._survivors(sent_s, packets)
            if not packets:
                return
        self._delay(shaper.delay.arrivals(sent_s), packets, now_s)

    def _is_shared_next(
        self, bucket: RateLimiter[Packet], sent_s: Sequence[float], packets: Sequence[Packet], now_s: float
    ) -> bool:
        """Pass packets on to the shared queue, if there is one and they have not been there; whether it did.

        Those that have passed it all have been sent, and their silence begins.
        """
        shared = self.shaper.shared
        if shared is not None and bucket is not shared and shared.limits:
            shared.enqueue(self, sent_s, packets, now_s)
            return True
        if self.duty_cycle is not None and self.duty_cycle.holds:
            self.duty_cycle.sent(sent_s, packets)
        return False

    def _survivors(
        self, sent_s: Sequence[float], packets: Sequence[Packet]
    ) -> tuple[Sequence[float], Sequence[Packet]]:
        """The packets that are not lost, duplicated and corrupted as the conditions say."""
        alteration = self.shaper.alteration
        if alteration is not None:
            lost = alteration.lost
            sent_s, packets = _altered(alteration, sent_s, packets)
            self.dropped_loss += alteration.lost - lost
            return sent_s, packets
        struck_s = sent_s
        for loss in self.shaper.losses:
            struck_s = loss.drop(struck_s)
        if struck_s is sent_s:  # the same object: the usual batch, in which none is lost
            return sent_s, packets
        left = [i for i, instant_s in enumerate(struck_s) if instant_s != NEVER]
        self.dropped_loss += len(packets) - len(left)
        count_lost([packets[i] for i, instant_s in enumerate(struck_s) if instant_s == NEVER])
        return [sent_s[i] for i in left], [packets[i] for i in left]

    def _delay(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        delay_queue, memory, in_order = self.delay_queue, self._memory, self.shaper.delay.keeps_order
        if in_order and dues_s[-1] <= now_s + GRAIN_S and delay_queue.next_s == NEVER:
            self.leave(dues_s, packets, now_s)
        elif memory.held_bytes >= memory.max_bytes:
            self.drop_without_memory(packets)
        else:
            memory.held_bytes += held_bytes(packets)
            if not in_order:
                delay_queue.insert(dues_s, packets)
                return
            last_s = delay_queue.last_s
            if dues_s[0] < last_s <= dues_s[0] + AHEAD_S:
                # A rate was raised after the last one went on ahead of its time: keep their order.
                dues_s = [max(due_s, last_s) for due_s in dues_s]
            if dues_s[0] >= last_s:
                delay_queue.hold(dues_s, packets)
            else:  # a delay that was longer until now, whose packets are overtaken
                delay_queue.insert(dues_s, packets)

    def _delay_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        delay_queue, in_order = self.delay_queue, self.shaper.delay.keeps_order
        if in_order and due_s <= now_s + GRAIN_S and delay_queue.next_s == NEVER:
            self.leave_one(due_s, packet, now_s)
            return
        self._memory.held_bytes += PACKET_BYTES + packet[1]
        if in_order and due_s < delay_queue.last_s <= due_s + AHEAD_S:
            due_s = delay_queue.last_s
        delay_queue.insert_one(due_s, packet)

    def drop_queue_full(self, packets: Sequence[Packet]) -> None:
        """See `QueueUser`."""
        self.dropped_queue += len(packets)
        self._count_refused(packets)

    def drop_without_memory(self, packets: Sequence[Packet]) -> None:
        """See `QueueUser`."""
        self.dropped_memory += len(packets)
        self._count_refused(packets)

    def _count_refused(self, packets: Sequence[Packet]) -> None:
        count_lost(packets)
        if self.duty_cycle is not None:
            self.duty_cycle.refused(packets)

    def release(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """See `Outlet`."""
        self._memory.held_bytes -= held_bytes(packets)
        self.leave(dues_s, packets, now_s)

    def release_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """See `Outlet`."""
        self._memory.held_bytes -= PACKET_BYTES + packet[1]
        self.leave_one(due_s, packet, now_s)

    def leave(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Pass on packets whose departures are due."""
        self.count_late(dues_s, now_s)
        self.pass_on(dues_s, packets, now_s)

    def leave_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """As `leave` for a packet alone."""
        late_s = now_s - due_s
        if late_s < 0.0:
            late_s = 0.0
        if self.late_max_s is None or late_s > self.late_max_s:
            self.late_max_s = late_s
        self.late.add_to_bin(bisect_left(BOUNDS_S, late_s), 1)
        self.pass_one(due_s, packet, now_s)

    def pass_on(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Give packets to whatever comes after the hop."""
        raise NotImplementedError

    def pass_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """As `pass_on` for a packet alone."""
        self.pass_on((due_s,), (packet,), now_s)

    def count_late(self, dues_s: Sequence[float], now_s: float) -> None:
        """Count how late packets leave that were due at `dues_s`, in order."""
        most_s = max(now_s - dues_s[0], 0.0)
        if self.late_max_s is None or most_s > self.late_max_s:
            self.late_max_s = most_s
        count, first = len(dues_s), bisect_left(BOUNDS_S, most_s)
        # One step for the whole batch where all are of one bin.
        if first == bisect_left(BOUNDS_S, now_s - dues_s[-1]):
            self.late.add_to_bin(first, count)
        else:
            self.late.add_since(now_s, dues_s)

    def drain(self, t: float, network: str, node: str, now_s: float) -> Hop:
        """The counters since the last call, stamped `t`; they begin again at zero."""
        busy_s, served_bytes = self._take_service(now_s)
        row = Hop(
            t=t,
            network=network,
            node=node,
            direction=self.direction,
            shaper="tun",
            sent=self.sent,
            sent_bytes=self.sent_bytes,
            dropped_loss=self.dropped_loss,
            dropped_queue=self.dropped_queue,
            dropped_cut=self.dropped_cut,
            dropped_memory=self.dropped_memory,
            backlog=self.queued + len(self.delay_queue),
            late_max=self.late_max_s,
            late_bins=self.late.bins,
            late_counts=self.late.counts,
            busy=busy_s,
            served_bytes=served_bytes,
        )
        self._reset()
        return row

    def _take_service(self, now_s: float) -> tuple[float, int]:
        taken = self.shaper.rate_limiter.take_service(now_s)
        radio = self.duty_cycle.take_service(now_s) if self.duty_cycle is not None else None
        if radio is None:
            return taken
        # What waits for the duty cycle waits for others on a shared channel as well, so it may get less.
        return (taken[0] if self.shaper.shared is not None else radio[0]), radio[1]


class UpHop(HopQueue):
    """From the replica to the switch: packets go on to their receivers' `down` hops."""

    __slots__ = ()

    direction = "up"

    def pass_on(self, dues_s: Sequence[float], packets: Sequence[Packet], now_s: float) -> None:
        """Forward each packet along its path."""
        self.sent += len(packets)
        self.sent_bytes += sum([packet[1] for packet in packets])
        ways = [packet[2] for packet in packets]
        if ways.count(ways[0]) == len(ways):
            ways[0].forward(dues_s, packets, now_s)
            return
        for way in dict.fromkeys(ways):
            chosen = [i for i, each in enumerate(ways) if each is way]
            way.forward([dues_s[i] for i in chosen], [packets[i] for i in chosen], now_s)

    def pass_one(self, due_s: float, packet: Packet, now_s: float) -> None:
        """See `HopQueue`."""
        self.sent += 1
        self.sent_bytes += packet[1]
        packet[2].forward_one(due_s, packet, now_s)


class DownHop(HopQueue):
    """From the switch to the replica: packets are written to its descriptor."""

    __slots__ = ("fd",)

    direction = "down"

    def __init__(
        self, conditions: NetworkConditions, rng: Random, timers: Timers, memory: MemoryBudget
    ) -> None:
        super().__init__(conditions, rng, timers, memory)
        self.fd = -1

    def pass_on(
        self,
        dues_s: Sequence[float],  # noqa: ARG002
        packets: Sequence[Packet],
        now_s: float,  # noqa: ARG002
    ) -> None:
        """Write frames to the replica's interface; what has no room in its queue is dropped."""
        fd, write = self.fd, _write
        lost: list[Packet] = []
        for packet in packets:
            try:
                write(fd, packet[0])
            except OSError:
                lost.append(packet)
        if lost:
            self.drop_queue_full(lost)
            failed = {id(packet) for packet in lost}
            packets = [packet for packet in packets if id(packet) not in failed]
        self.sent += len(packets)
        self.sent_bytes += _count_delivered(packets)

    def pass_one(self, due_s: float, packet: Packet, now_s: float) -> None:  # noqa: ARG002
        """See `HopQueue`."""
        frame, size, _, counter = packet
        try:
            _write(self.fd, frame)
        except OSError:
            self.drop_queue_full((packet,))
            return
        counter.packets_down += 1
        counter.bytes_down += size
        self.sent += 1
        self.sent_bytes += size

    def reply(self, frame: bytes) -> None:
        """Write a frame of the switch's own, unshaped and uncounted."""
        with suppress(OSError):
            _write(self.fd, frame)
