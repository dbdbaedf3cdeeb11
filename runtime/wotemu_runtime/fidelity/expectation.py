"""How long a probe should take and how likely it is to be lost, from the conditions of its two hops. Pure.

A probe that finds no other packets queued takes both hops' serialisation, latency and jitter. With jitter
the median is expected: unlike the mean it stands one late packet among ten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from statistics import fmean, median_low, pstdev

import attrs

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.distributions import Distribution
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss
from wotemu_gateways.impairments.distributions import table

_QUANTILES = 64
"""Of each hop's jitter, where two hops' are added."""


@attrs.frozen
class Delay:
    """A delay: its least, its median, and its standard deviation, all in seconds."""

    least_s: float
    median_s: float
    spread_s: float


@attrs.frozen(kw_only=True)
class Expectation:
    """What should become of a probe; ranges where the conditions changed while it was on its way.

    `spread_s` is how much the delay scatters by itself; `loss` the chance of its loss; `memory` how much
    that of one probe says about the next one's (0: nothing, 1: all).
    """

    least_s: float
    low_s: float
    high_s: float
    spread_s: float
    loss: float
    loss_range: float
    memory: float

    @property
    def median_s(self) -> float:
        """The middle of what is expected."""
        return (self.low_s + self.high_s) / 2

    @property
    def longest_s(self) -> float:
        """By when it should have come, if at all; 0 where a rate is 0, so that nothing can be expected."""
        return 0.0 if self.high_s == math.inf else self.high_s + 4 * self.spread_s

    def error_s(self, measured_s: float) -> float:
        """How much longer (or, below zero, shorter) it took than expected."""
        return measured_s - self.nearest_s(measured_s)

    def nearest_s(self, measured_s: float) -> float:
        """The delay nearest to the measured one among all that are expected."""
        return min(max(measured_s, self.low_s), self.high_s)


def expect(
    ups: Iterable[NetworkConditions],
    downs: Iterable[NetworkConditions],
    buckets: Iterable[NetworkConditions | None],
    size: int,
) -> Expectation:
    """For a probe of `size` bytes, from all conditions that its hops had while it was on its way.

    A rate that changes while it is sent serves it in a time between those that either rate alone would take.
    """
    ways = list(product(ups, downs))
    delays = [delay(up, down, bucket, size) for (up, down), bucket in product(ways, buckets)]
    losses = [1 - (1 - loss(up)) * (1 - loss(down)) for up, down in ways]
    return Expectation(
        least_s=min(each.least_s for each in delays),
        low_s=min(each.median_s for each in delays),
        high_s=max(each.median_s for each in delays),
        spread_s=max(each.spread_s for each in delays),
        loss=losses[0],
        loss_range=max(losses) - min(losses),
        memory=max(max(memory(up), memory(down)) for up, down in ways),
    )


def delay(
    up: NetworkConditions, down: NetworkConditions, bucket: NetworkConditions | None, size: int
) -> Delay:
    """Of a packet that waits for no other one."""
    sent_s = sum(serialisation_s(each, size) for each in (up, down, bucket) if each is not None)
    flown = _propagation(_shape(up), _shape(down))
    # Correlated jitter scatters less within a few packets and more between them.
    tied = max(float(up.jitter_correlation), float(down.jitter_correlation))
    spread_s = flown.spread_s * math.sqrt((1 + tied) / max(1 - tied, 1e-3))
    return Delay(sent_s + flown.least_s, sent_s + flown.median_s, spread_s)


def serialisation_s(conditions: NetworkConditions, size: int) -> float:
    """How long a packet takes to be sent at the rate: for ever at none, no time where the burst covers it."""
    if conditions.rate is None:
        return 0.0
    if not conditions.rate:
        return math.inf
    size = max(size + conditions.overhead, 0)
    if conditions.cell_size:
        cells = -(-size // conditions.cell_size)
        size = cells * (conditions.cell_size + conditions.cell_overhead)
    return float(max(size - (conditions.burst or 0), 0) * 8 / conditions.rate)


def loss(conditions: NetworkConditions) -> float:
    """The chance that nothing usable of a packet comes: of its copies, each is lost or corrupted."""
    one = 1 - (1 - conditions.mean_loss) * (1 - float(conditions.corrupt))
    twice = float(conditions.duplicate)
    return (1 - twice) * one + twice * one**2


def memory(conditions: NetworkConditions) -> float:
    """How strongly the loss of one packet is tied to that of the one before."""
    tied = max(float(conditions.loss_correlation), float(conditions.corrupt_correlation))
    match conditions.loss_model:
        case GilbertElliott(p=p, r=r):
            return max(tied, 1 - float(p) - float(r))
        case MarkovLoss(p13=p13, p31=p31):
            return max(tied, 1 - float(p13) - float(p31))
    return tied


Shape = tuple[float, float, Distribution, float]
"""Latency, jitter (both in seconds), the jitter's distribution, and the share that overtakes."""


def _shape(conditions: NetworkConditions) -> Shape:
    overtaking = float(conditions.reorder) / conditions.reorder_gap
    return float(conditions.latency), float(conditions.jitter), conditions.distribution, overtaking


@lru_cache(maxsize=2048)
def _propagation(up: Shape, down: Shape) -> Delay:
    """The sum of two hops' propagation, with every quantile of the one at every quantile of the other."""
    sums = [first + second for first in _delays(up) for second in _delays(down)]
    if len(sums) == 1:
        return Delay(sums[0], sums[0], 0.0)
    least_s = _least(up) + _least(down)
    return Delay(least_s, median_low(sums), pstdev(sums, fmean(sums)))


def _delays(shape: Shape) -> list[float]:
    """One hop's delays at equal shares; the single one where there is no choice."""
    latency, jitter, distribution, overtaking = shape
    if not jitter and not overtaking:
        return [latency]
    first = round(overtaking * _QUANTILES)
    rest = _QUANTILES - first
    if not jitter:
        return [0.0] * first + [latency] * rest
    values = table(distribution)
    chosen = (values[int((i + 0.5) / rest * len(values))] for i in range(rest))
    return [0.0] * first + [max(latency + jitter * value, 0.0) for value in chosen]


def _least(shape: Shape) -> float:
    latency, jitter, distribution, overtaking = shape
    if overtaking:
        return 0.0
    return max(latency + jitter * table(distribution)[0], 0.0) if jitter else latency
