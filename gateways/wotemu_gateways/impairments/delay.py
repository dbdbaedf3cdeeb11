"""The way through a hop's medium: latency, jitter of any distribution, packets that overtake. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from statistics import NormalDist

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.distributions import SHARES, SHARES_BITS, table
from wotemu_gateways.impairments.loss import Chance

_STANDARD = NormalDist()
_FIELDS = (
    "latency", "jitter", "jitter_correlation", "distribution",
    "reorder", "reorder_correlation", "reorder_gap",
)  # fmt: skip


class DelayStage:
    """Delays packets; a delay is never negative, so jitter beyond the latency ends at zero.

    `apply` turns the instants at which packets set out into those at which they arrive. `delays` says
    whether it does anything, `keeps_order` whether no packet overtakes another under constant conditions.
    What ties a packet to the one before (correlated jitter, the packets since the last one that overtook)
    outlives changes.
    """

    __slots__ = (
        "_conditions", "_delays_s", "_drawn", "_gap", "_jitter_s", "_latency_s", "_level", "_overtakes",
        "_quantile", "_rng", "_since_gap", "_values", "apply", "delays", "keeps_order",
    )  # fmt: skip

    apply: Callable[[Sequence[float]], list[float]]

    def __init__(self, conditions: NetworkConditions, rng: Random) -> None:
        self._rng = rng
        self._conditions: tuple[object, ...] = ()
        self._level: float | None = None
        self._overtakes = Chance(0.0, 0.0, rng)
        self._since_gap = 0
        self.change(conditions)

    def change(self, conditions: NetworkConditions) -> None:
        """Delay as `conditions` say from now on."""
        wanted = tuple(getattr(conditions, name) for name in _FIELDS)
        if wanted == self._conditions:
            return
        self._conditions = wanted
        self._latency_s = float(conditions.latency)
        self._jitter_s = float(conditions.jitter)
        self._values = values = table(conditions.distribution)
        self._drawn = 0
        self._delays_s: tuple[float, ...] = ()
        self._quantile = self._draws(float(conditions.jitter_correlation))
        self._gap = conditions.reorder_gap
        if not self._overtakes.is_like(conditions.reorder, conditions.reorder_correlation):
            self._overtakes = Chance(conditions.reorder, conditions.reorder_correlation, self._rng)
        self.delays = bool(self._latency_s or self._jitter_s)
        reorders = bool(conditions.reorder) and self.delays
        self.keeps_order = not (self._jitter_s or reorders)
        plain = len(values) == SHARES and not conditions.jitter_correlation
        jittered = self._jittered if plain else self._jittered_any
        self.apply = jittered if self._jitter_s else self._constant if self._latency_s else list
        if reorders:
            self.apply = partial(self._reordered, self.apply)

    def _constant(self, instants: Sequence[float]) -> list[float]:
        latency_s = self._latency_s
        return [instant + latency_s for instant in instants]

    def _jittered(self, instants: Sequence[float]) -> list[float]:
        """The usual jitter, without a call of our own for each packet."""
        bits, delays_s = self._rng.getrandbits, self._delays_s
        if delays_s:
            return [instant + delays_s[bits(SHARES_BITS)] for instant in instants]
        latency_s, jitter_s, values = self._latency_s, self._jitter_s, self._values
        self._drawn += len(instants)
        if self._drawn > SHARES:  # a table of delays, costlier than a change may be, has paid for itself
            self._delays_s = tuple(max(latency_s + jitter_s * value, 0.0) for value in values)
        return [instant + max(latency_s + jitter_s * values[bits(SHARES_BITS)], 0.0) for instant in instants]

    def _jittered_any(self, instants: Sequence[float]) -> list[float]:
        latency_s, jitter_s, quantile = self._latency_s, self._jitter_s, self._quantile
        return [instant + max(latency_s + jitter_s * quantile(), 0.0) for instant in instants]

    def _reordered(
        self, apply: Callable[[Sequence[float]], list[float]], instants: Sequence[float]
    ) -> list[float]:
        """Some packets take no time: each with its chance, once enough others have been delayed."""
        overtakes = [self._next_overtakes() for _ in instants]
        arrivals = apply(instants)
        return [
            instant if first else arrival
            for instant, arrival, first in zip(instants, arrivals, overtakes, strict=True)
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
