"""One hop, or some that share a bucket, in a time that jumps from deadline to deadline. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, cast

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.delay_queue import Timers
from wotemu_gateways.impairments.loss import NEVER
from wotemu_gateways.impairments.memory_budget import MAX_HELD_BYTES, MemoryBudget
from wotemu_gateways.impairments.rate_limiter import RateLimiter
from wotemu_gateways.packets.ethernet import FlowId
from wotemu_gateways.packets.flow_table import FlowCounter
from wotemu_gateways.userspace.hop_queue import HopQueue, Packet
from wotemu_gateways.userspace.port import Path

_NOWHERE = cast(Path, None)
"""What leaves the hop goes no further."""


class SimulatedHop(HopQueue):
    """A hop that notes when each packet left it: `left` has instants and the packets' numbers."""

    __slots__ = ("counter", "left", "numbers", "simulation")

    direction = "up"

    def __init__(self, simulation: Simulation, conditions: NetworkConditions, seed: int) -> None:
        super().__init__(conditions, Random(seed), simulation.timers, simulation.memory)
        self.simulation = simulation
        self.counter = FlowCounter(FlowId("udp", b"", b"", 0, 0), "a", "b")
        self.numbers = 0
        self.left: list[tuple[float, int]] = []

    def send(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> None:
        """Have packets come at those instants; time passes up to the last one."""
        self.simulation.advance_to(arrivals_s[-1])
        packets: list[Packet] = []
        for size in sizes:
            frame = self.numbers.to_bytes(8, "big") + bytes(60)
            packets.append((frame, size, _NOWHERE, self.counter))
            self.numbers += 1
        self.enter(arrivals_s, packets, self.simulation.now_s)

    def send_one(self, arrival_s: float, size: int) -> None:
        """As `send` for a packet alone, which passes the hop without a batch."""
        self.simulation.advance_to(arrival_s)
        frame = self.numbers.to_bytes(8, "big") + bytes(60)
        self.numbers += 1
        self.enter_one(arrival_s, (frame, size, _NOWHERE, self.counter), self.simulation.now_s)

    def admit(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """When each of these packets leaves, if nothing changes any more; `NEVER` for a lost one."""
        first = self.numbers
        self.send(arrivals_s, sizes)
        return self.fates()[first:]

    def fates(self) -> list[float]:
        """When each packet left, after all that is due has; `NEVER` for one that did not."""
        self.simulation.finish()
        instants = {number: at_s for at_s, number in self.left}
        return [instants.get(number, NEVER) for number in range(self.numbers)]

    def set(self, **conditions: Any) -> None:
        """Impose other conditions now."""
        self.simulation.timers.release(self.simulation.now_s)
        self.change(NetworkConditions(**conditions), self.simulation.now_s)

    def pass_on(
        self,
        dues_s: Sequence[float],
        packets: Sequence[Packet],
        now_s: float,
    ) -> None:
        """Note what leaves."""
        self.sent += len(packets)
        self.left += [
            (due_s, int.from_bytes(packet[0][:8], "big"))
            for due_s, packet in zip(dues_s, packets, strict=True)
        ]


class Simulation:
    """The time and what all hops of a gateway have in common."""

    def __init__(self, *, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.now_s = 0.0
        self.timers = Timers()
        self.memory = MemoryBudget(max_held_bytes)
        self._sharing: dict[int, list[SimulatedHop]] = {}

    def hop(self, conditions: NetworkConditions | None = None, *, seed: int = 7) -> SimulatedHop:
        """A hop under conditions."""
        return SimulatedHop(self, conditions or NetworkConditions(), seed)

    def shared(self, hops: Iterable[SimulatedHop], **conditions: Any) -> RateLimiter[Packet]:
        """A bucket that hops share."""
        channel = NetworkConditions(**conditions)
        bucket: RateLimiter[Packet] = RateLimiter(self.timers, self.memory, channel)
        self._sharing[id(bucket)] = list(hops)
        for hop in self._sharing[id(bucket)]:
            hop.shaper.share(bucket)
            hop.set_channel(channel, self.now_s)
        return bucket

    def change(self, bucket: RateLimiter[Packet], **conditions: Any) -> None:
        """Change a shared bucket now."""
        self.timers.release(self.now_s)
        channel = NetworkConditions(**conditions)
        bucket.change(channel, self.now_s)
        for hop in self._sharing[id(bucket)]:
            hop.set_channel(channel, self.now_s)

    def advance_to(self, until_s: float) -> None:
        """Let time pass, waking what is due."""
        while (next_s := self.timers.next_s) is not None and next_s <= until_s:
            self.now_s = max(self.now_s, next_s)
            self.timers.release(self.now_s)
        self.now_s = max(self.now_s, until_s)

    def finish(self) -> None:
        """Let time pass until nothing is due any more."""
        while (next_s := self.timers.next_s) is not None:
            self.advance_to(next_s)


def hop(**conditions: Any) -> SimulatedHop:
    """A hop by itself."""
    return Simulation().hop(NetworkConditions(**conditions))
