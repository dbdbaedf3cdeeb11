"""From packets' arrivals and sizes, and a hop's conditions, to the packets' fates. Pure: no I/O, no clock.

A hop is a row of stages in the order of a link: random loss at its entrance, a bounded queue that is
serialised at the rate, then propagation with delay and jitter, which may let one packet overtake another as
in NetEm. Each stage turns a batch's instants into later ones; a packet that is dropped leaves at `NEVER`.
Batches, not packets, because in CPython a call costs more than a stage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from random import Random
from statistics import NormalDist

from wotemu.topology.conditions import NetworkConditions

NEVER = math.inf
"""The departure of a dropped packet."""

_TABLE_BITS = 12
_ROUNDING_S = 1e-9


@cache
def _normal_table() -> tuple[float, ...]:
    """Quantiles of the standard normal distribution at the midpoints of 4096 equal shares (NetEm's size)."""
    shares = 1 << _TABLE_BITS
    quantile = NormalDist().inv_cdf
    return tuple(quantile((i + 0.5) / shares) for i in range(shares))


class Bucket:
    """Sends one packet after another at a rate; hops that share one share its rate.

    `busy_until_s` is when what it was given so far has been sent. A change leaves that alone: what is queued
    keeps its departure, and what comes later queues behind it.
    """

    __slots__ = ("busy_until_s", "limit_s", "seconds_per_byte")

    def __init__(self, conditions: NetworkConditions | None = None) -> None:
        self.busy_until_s = -math.inf
        self.change(conditions)

    def __repr__(self) -> str:
        return f"<Bucket {self.seconds_per_byte * 1e6:g} us/byte, at most {self.limit_s:g} s>"

    def change(self, conditions: NetworkConditions | None) -> None:
        """Send at the rate of `conditions`, with their queue, from now on; at once if they have none."""
        rate = conditions.rate if conditions is not None else None
        self.seconds_per_byte = 0.0 if rate is None else 8 / rate
        self.limit_s = math.inf
        if rate is not None and conditions is not None:
            self.limit_s = conditions.queue_bytes * 8 / rate + _ROUNDING_S

    @property
    def unused(self) -> bool:
        """Whether it never delayed anything and wouldn't now."""
        return self.busy_until_s == -math.inf and not self.seconds_per_byte

    def send(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """When each packet has been sent; never, if the queue had no room for it.

        The room is time: a packet that would take longer than the queue's length is refused. One that
        finds nothing before it is always taken, however short the queue.
        """
        busy_until_s, limit_s, seconds_per_byte = self.busy_until_s, self.limit_s, self.seconds_per_byte
        sent = []
        for now_s, size in zip(arrivals_s, sizes, strict=True):
            if busy_until_s <= now_s:
                sent_s = now_s + size * seconds_per_byte
            elif (sent_s := busy_until_s + size * seconds_per_byte) - now_s > limit_s:
                sent.append(NEVER)
                continue
            if sent_s != NEVER:
                busy_until_s = sent_s
            sent.append(sent_s)
        self.busy_until_s = busy_until_s
        return sent


class HopShaper:
    """One hop: gives each packet its fate by the conditions that hold when it comes.

    `admit` answers when packets leave; drops are counted by their reason. `clear` says that every packet
    leaves when it comes, so that nobody needs to ask.
    """

    __slots__ = (
        "_bucket", "_jitter_s", "_latency_s", "_loss", "_rng", "_shared",
        "clear", "conditions", "dropped_loss", "dropped_queue",
    )  # fmt: skip

    def __init__(self, conditions: NetworkConditions, rng: Random) -> None:
        self._rng = rng
        self._bucket = Bucket()
        self._shared: Bucket | None = None
        self.dropped_loss = 0
        self.dropped_queue = 0
        self.change(conditions)

    def __repr__(self) -> str:
        return f"<HopShaper {self.conditions}>"

    def change(self, conditions: NetworkConditions) -> None:
        """Impose other conditions on what comes from now on; what was admitted keeps its fate."""
        self.conditions = conditions
        self._bucket.change(conditions)
        self._loss = float(conditions.loss)
        self._latency_s = float(conditions.latency)
        self._jitter_s = float(conditions.jitter)
        harmless = not (self._latency_s or self._jitter_s or self._loss)
        self.clear = harmless and self._bucket.unused and self._shared is None

    def share(self, bucket: Bucket) -> None:
        """Send through a bucket that other hops use as well, after the hop's own."""
        self._shared = bucket
        self.clear = False

    def admit(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """When each packet of a batch leaves, `NEVER` if it is dropped; arrivals are in order."""
        instants = self._lose(arrivals_s) if self._loss else arrivals_s
        if not self._bucket.unused:
            instants = self._queue(self._bucket, instants, sizes)
        if self._shared is not None:
            instants = self._queue(self._shared, instants, sizes)
        return self._propagate(instants)

    def _lose(self, instants: Sequence[float]) -> list[float]:
        loss, random = self._loss, self._rng.random
        kept = [NEVER if random() < loss else instant for instant in instants]
        self.dropped_loss += kept.count(NEVER)
        return kept

    def _queue(self, bucket: Bucket, instants: Sequence[float], sizes: Sequence[int]) -> list[float]:
        sent = bucket.send(instants, sizes)
        self.dropped_queue += sent.count(NEVER) - instants.count(NEVER)
        return sent

    def _propagate(self, instants: Sequence[float]) -> list[float]:
        latency_s, jitter_s = self._latency_s, self._jitter_s
        if not jitter_s:
            return [instant + latency_s for instant in instants]
        table, bits = _normal_table(), self._rng.getrandbits
        return [
            instant + delay_s if (delay_s := latency_s + jitter_s * table[bits(_TABLE_BITS)]) > 0 else instant
            for instant in instants
        ]
