"""Propagation delay: latency, jitter of any distribution, and reordering. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import add, attrgetter
from random import Random
from statistics import NormalDist

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.distributions import SHARES, SHARES_BITS, table
from wotemu_gateways.impairments.latest import remember_latest
from wotemu_gateways.impairments.loss import Chance

_STANDARD = NormalDist()
_fields: Callable[[NetworkConditions], tuple[object, ...]] = remember_latest(attrgetter(
    "latency", "jitter", "jitter_correlation", "distribution",
    "reorder", "reorder_correlation", "reorder_gap",
))  # fmt: skip


class DelayStage:
    """Delays packets; a delay is never negative, so jitter beyond the latency ends at zero.

    What ties a packet to the one before (correlated jitter, the packets since the last one that overtook)
    survives changes.

    Attributes:
        delays: Whether it delays anything at all.
        keeps_order: Whether no packet overtakes another under constant conditions.
    """

    __slots__ = (
        "_conditions", "_delays_s", "_drawn", "_gap", "_jitter_s", "_latency_s", "_level", "_overtakes",
        "_quantile", "_reorders", "_rng", "_since_gap", "_values", "delays", "keeps_order",
    )  # fmt: skip

    def __init__(self, conditions: NetworkConditions, rng: Random) -> None:
        self._rng = rng
        self._conditions: tuple[object, ...] = ()
        self._level: float | None = None
        self._overtakes = Chance(0.0, 0.0, rng)
        self._since_gap = 0
        self.change(conditions)

    def change(self, conditions: NetworkConditions) -> None:
        """Delay as `conditions` say from now on."""
        wanted = _fields(conditions)
        if wanted == self._conditions:  # a change of the rate alone draws the same jitter as without it
            return
        self._conditions = wanted
        self._latency_s = float(conditions.latency)
        self._jitter_s = float(conditions.jitter)
        self._values = values = table(conditions.distribution)
        self._drawn = 0
        self._delays_s: tuple[float, ...] = ()
        self._quantile: Callable[[], float] | None = None
        if len(values) != SHARES or conditions.jitter_correlation:
            self._quantile = self._draws(float(conditions.jitter_correlation))
        self._gap = conditions.reorder_gap
        if not self._overtakes.is_like(conditions.reorder, conditions.reorder_correlation):
            self._overtakes = Chance(conditions.reorder, conditions.reorder_correlation, self._rng)
        self.delays = bool(self._latency_s or self._jitter_s)
        self._reorders = bool(conditions.reorder) and self.delays
        self.keeps_order = not (self._jitter_s or self._reorders)

    def arrivals(self, departures_s: Sequence[float]) -> list[float]:
        """When packets arrive that set out at these instants, in the same order."""
        if self._reorders:
            return self._reordered(departures_s)
        return self._delayed(departures_s)

    def arrival(self, departure_s: float) -> float:
        """As `arrivals` for a packet alone."""
        if self.keeps_order:
            return departure_s + self._latency_s
        if self._delays_s and not self._reorders:
            return departure_s + self._delays_s[self._rng.getrandbits(SHARES_BITS)]
        return self.arrivals((departure_s,))[0]

    def _delayed(self, instants: Sequence[float]) -> list[float]:
        if not self._jitter_s:
            latency_s = self._latency_s
            return [instant + latency_s for instant in instants] if latency_s else list(instants)
        if self._quantile is None:
            return self._jittered(instants)
        latency_s, jitter_s, quantile = self._latency_s, self._jitter_s, self._quantile
        return [instant + max(latency_s + jitter_s * quantile(), 0.0) for instant in instants]

    def _jittered(self, instants: Sequence[float]) -> list[float]:
        """Uncorrelated jitter of a table whose size is a power of two: no Python call for each packet."""
        bits, delays_s = self._rng.getrandbits, self._delays_s
        if delays_s:
            drawn = map(bits, repeat(SHARES_BITS, len(instants)))
            return list(map(add, instants, map(delays_s.__getitem__, drawn)))
        latency_s, jitter_s, values = self._latency_s, self._jitter_s, self._values
        self._drawn += len(instants)
        if self._drawn > SHARES:  # only now has a table of delays paid for the milliseconds that it takes
            self._delays_s = tuple(max(latency_s + jitter_s * value, 0.0) for value in values)
        return [instant + max(latency_s + jitter_s * values[bits(SHARES_BITS)], 0.0) for instant in instants]

    def _reordered(self, instants: Sequence[float]) -> list[float]:
        """Some packets take no time: each with its chance, once enough others have been delayed."""
        # Drawn before the delays, so that the same seed gives the same packets however long they take.
        overtakes = [self._next_overtakes() for _ in instants]
        return [
            instant if first else arrival
            for instant, arrival, first in zip(instants, self._delayed(instants), overtakes, strict=True)
        ]

    def _next_overtakes(self) -> bool:
        if self._since_gap >= self._gap - 1 and self._overtakes():
            self._since_gap = 0
            return True
        self._since_gap += 1
        return False

    def _draws(self, correlation: float) -> Callable[[], float]:
        """Draws from the distribution."""
        random, values = self._rng.random, self._values
        count = len(values)
        if not correlation:
            return lambda: values[int(random() * count)]
        return partial(self._next_tied, correlation, math.sqrt(1 - correlation**2))

    def _next_tied(self, correlation: float, fresh: float) -> float:
        """A draw near the one before: a Gaussian copula over an AR(1) process."""
        gauss, values = self._rng.gauss, self._values
        level = gauss(0, 1) if self._level is None else self._level
        self._level = level = correlation * level + fresh * gauss(0, 1)
        return values[min(int(_STANDARD.cdf(level) * len(values)), len(values) - 1)]
