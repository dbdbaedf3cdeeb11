"""The stages of one hop, in the order of a link. Pure: no I/O, no clock.

A packet waits in a bounded queue until it has been sent at the rate (and on a shared network in the shared
queue after that). Then it may be lost, duplicated or corrupted: a frame that is lost on the air took its air
time. Then it is delayed, and may overtake another. Stages take batches, because in CPython a call costs more
than what it does to a packet.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from random import Random
from typing import Generic

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.alteration import Alteration
from wotemu_gateways.impairments.delay import DelayStage
from wotemu_gateways.impairments.delay_queue import Timers
from wotemu_gateways.impairments.latest import remember_latest
from wotemu_gateways.impairments.loss import Loss, loss_processes
from wotemu_gateways.impairments.memory_budget import MemoryBudget
from wotemu_gateways.impairments.rate_limiter import Packet, RateLimiter

_randomness: Callable[[NetworkConditions], tuple[object, ...]] = remember_latest(attrgetter(
    "loss", "loss_correlation", "loss_model", "ecn",
    "duplicate", "duplicate_correlation", "corrupt", "corrupt_correlation",
))  # fmt: skip
"""The fields of random processes with a memory, which changes of other fields must not restart."""
_is_altered = remember_latest(Alteration.is_needed)


class HopShaper(Generic[Packet]):
    """The stages of one hop under the conditions that hold now.

    Attributes:
        rate_limiter: The hop's own queue and rate.
        shared: The queue and rate that it shares with other hops, behind its own; None without.
        losses: What loses packets on the air.
        alteration: Duplicates, corrupts, marks and loses packets in place of `losses`, where the conditions
            ask for more than loss.
        delay: Delay, jitter and reordering.
        clear: Whether every packet leaves when it comes, so that no stage needs to be asked.
        needs_batches: Whether a packet alone passes as a batch of one, as it passes alterations, a shared
            queue or a duty cycle.
    """

    __slots__ = (
        "_random_fields",
        "_rng",
        "alteration",
        "clear",
        "conditions",
        "delay",
        "losses",
        "needs_batches",
        "rate_limiter",
        "shared",
    )  # fmt: skip

    def __init__(
        self, conditions: NetworkConditions, rng: Random, timers: Timers, memory: MemoryBudget
    ) -> None:
        self._rng = rng
        self.rate_limiter: RateLimiter[Packet] = RateLimiter(timers, memory)
        self.shared: RateLimiter[Packet] | None = None
        self.losses: tuple[Loss, ...] = ()
        self.alteration: Alteration | None = None
        self.conditions = NetworkConditions()
        self._random_fields = _randomness(self.conditions)
        self.delay = DelayStage(self.conditions, rng)
        self.clear, self.needs_batches = True, False
        self.change(conditions, 0.0)

    def __repr__(self) -> str:
        return f"<HopShaper {self.conditions}>"

    def change(self, conditions: NetworkConditions, now_s: float) -> None:
        """Impose other conditions on what waits for the rate and on what comes.

        What has been sent keeps its departure. The caller has released what was due before.
        """
        self.conditions = conditions
        random_fields = _randomness(conditions)
        if random_fields != self._random_fields:
            self._random_fields = random_fields
            losses = loss_processes(conditions, self._rng)
            needed = _is_altered(conditions)
            self.losses = () if needed else losses
            self.alteration = Alteration(conditions, losses, self._rng) if needed else None
        self.delay.change(conditions)
        self.rate_limiter.change(
            conditions, now_s
        )  # last: a rate that is lifted lets go what waits, under all this
        harmless = not (self.delay.delays or self.losses or self.alteration)
        self.clear = harmless and not self.rate_limiter.limits and self.shared is None
        self.needs_batches = self.alteration is not None or self.shared is not None

    def share(self, rate_limiter: RateLimiter[Packet]) -> None:
        """Send through a rate limiter that other hops use as well, after the hop's own."""
        self.shared = rate_limiter
        self.clear, self.needs_batches = False, True
