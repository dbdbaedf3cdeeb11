"""A packet's size, a hop's conditions and the time, to the packet's fate. Pure: no I/O, no clock.

The order is that of a link: random loss at its entrance, a bounded queue, serialisation at the rate, then
propagation with delay and jitter. Jitter may let a packet overtake another, as in NetEm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from random import Random
from statistics import NormalDist

from wotemu.topology.conditions import NetworkConditions

Departures = tuple[float, ...]
"""When copies of one packet leave the hop, in seconds on the caller's clock; empty where it was dropped."""

Admit = Callable[[float, int], Departures]

_DROPPED: Departures = ()
_TABLE_BITS = 12


@cache
def _normal_table() -> tuple[float, ...]:
    """Quantiles of the standard normal distribution at the midpoints of 4096 equal shares (NetEm's size)."""
    shares = 1 << _TABLE_BITS
    quantile = NormalDist().inv_cdf
    return tuple(quantile((i + 0.5) / shares) for i in range(shares))


class Bucket:
    """What sends one packet after another at a rate; hops that share one share its rate.

    `busy_until` is when what it was given so far has been sent. A change of rate leaves that alone: what
    is queued keeps its departure, and what comes later queues behind it.
    """

    __slots__ = ("busy_until", "limit_s", "seconds_per_byte")

    def __init__(self, rate_bps: float | None = None, limit_s: float = math.inf) -> None:
        self.busy_until = -math.inf
        self.change(rate_bps, limit_s)

    def __repr__(self) -> str:
        return f"<Bucket {self.seconds_per_byte and 8 / self.seconds_per_byte:.0f} bit/s>"

    def change(self, rate_bps: float | None, limit_s: float = math.inf) -> None:
        """Send at `rate_bps` (None: at once) from now on; refuse what would take longer than `limit_s`."""
        self.seconds_per_byte = 0.0 if rate_bps is None else 8 / rate_bps
        self.limit_s = limit_s

    def take(self, now_s: float, size_bytes: int) -> float | None:
        """When a packet of that size has been sent; None if the queue has no room for it.

        A packet that finds nothing before it is always taken, however small the queue.
        """
        start_s = self.busy_until
        if start_s > now_s:
            sent_s = start_s + size_bytes * self.seconds_per_byte
            if sent_s - now_s > self.limit_s:
                return None
        else:
            sent_s = now_s + size_bytes * self.seconds_per_byte
        self.busy_until = sent_s
        return sent_s


class HopShaper:
    """One hop: gives each packet its fate by the conditions that hold when it comes.

    `admit(now_s, size_bytes)` answers with the packet's departures; drops are counted by their reason.
    """

    __slots__ = ("_rng", "_shared", "admit", "bucket", "clear", "conditions", "dropped_loss", "dropped_queue")

    admit: Admit

    def __init__(self, conditions: NetworkConditions, rng: Random, shared: Bucket | None = None) -> None:
        self._rng = rng
        self._shared = shared
        self.bucket = Bucket()
        self.dropped_loss = 0
        self.dropped_queue = 0
        self.change(conditions)

    def __repr__(self) -> str:
        return f"<HopShaper {self.conditions}>"

    def change(self, conditions: NetworkConditions) -> None:
        """Impose other conditions on what comes from now on; what was admitted keeps its fate."""
        rate = conditions.rate
        self.conditions = conditions
        self.bucket.change(rate, conditions.queue_bytes * 8 / rate if rate else math.inf)
        idle = self.bucket.busy_until == -math.inf and rate is None and self._shared is None
        self.clear = idle and not (conditions.latency or conditions.jitter or conditions.loss)
        self.admit = self._delaying() if idle else self._queueing()

    def share(self, bucket: Bucket | None) -> None:
        """Send through a bucket that other hops use as well, besides the hop's own; None: no longer."""
        self._shared = bucket
        self.change(self.conditions)

    def _delaying(self) -> Admit:
        """For a hop that has never had a rate."""
        latency_s, late_by, loss = self._propagation()
        random = self._rng.random

        def admit(now_s: float, size_bytes: int) -> Departures:  # noqa: ARG001
            if loss and random() < loss:
                self.dropped_loss += 1
                return _DROPPED
            if late_by is None:
                return (now_s + latency_s,)
            delay_s = latency_s + late_by()
            return (now_s + delay_s,) if delay_s > 0 else (now_s,)

        return admit

    def _queueing(self) -> Admit:
        latency_s, late_by, loss = self._propagation()
        random = self._rng.random
        take = self._take()

        def admit(now_s: float, size_bytes: int) -> Departures:
            if loss and random() < loss:
                self.dropped_loss += 1
                return _DROPPED
            sent_s = take(now_s, size_bytes)
            if sent_s is None:
                self.dropped_queue += 1
                return _DROPPED
            if late_by is None:
                return (sent_s + latency_s,)
            delay_s = latency_s + late_by()
            return (sent_s + delay_s,) if delay_s > 0 else (sent_s,)

        return admit

    def _take(self) -> Callable[[float, int], float | None]:
        own, shared = self.bucket, self._shared
        if shared is None:
            return own.take

        def take(now_s: float, size_bytes: int) -> float | None:
            sent_s = own.take(now_s, size_bytes)
            shared_s = None if sent_s is None else shared.take(now_s, size_bytes)
            return None if sent_s is None or shared_s is None else max(sent_s, shared_s)

        return take

    def _propagation(self) -> tuple[float, Callable[[], float] | None, float]:
        conditions = self.conditions
        jitter_s = float(conditions.jitter)
        latency_s, loss = float(conditions.latency), float(conditions.loss)
        if not jitter_s:
            return latency_s, None, loss
        table = tuple(jitter_s * deviate for deviate in _normal_table())
        bits = self._rng.getrandbits
        return latency_s, lambda: table[bits(_TABLE_BITS)], loss
