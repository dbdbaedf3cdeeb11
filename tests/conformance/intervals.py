"""What a sample says about what it was drawn from: intervals, and the Kolmogorov-Smirnov test.

Every interval holds in all but one of a million cases, so what is outside of it is a fault and needs no
second try; the more packets, the smaller the fault that shows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import quantiles

FALSE_ALARM = 1e-6
"""The probability that a correct shaper fails one check by chance."""

Z = 4.8916
"""How many standard deviations a normal variable exceeds, to either side, with that probability."""

Interval = tuple[float, float]


def share_interval(expected: float, count: int) -> Interval:
    """Where an observed share of `count` independent trials is in all but one of a million cases."""
    half = Z * math.sqrt(expected * (1 - expected) / count) + 0.5 / count
    return max(expected - half, 0.0), min(expected + half, 1.0)


def mean_interval(expected: float, deviation: float, count: int) -> Interval:
    """Where the mean of `count` independent values is in all but one of a million cases."""
    half = Z * deviation / math.sqrt(count)
    return expected - half, expected + half


def tied_share_interval(expected: float, correlation: float, count: int) -> Interval:
    """As `share_interval`, of trials each of which repeats the one before with a chance of `correlation`."""
    return share_interval(expected, int(count * (1 - correlation) / (1 + correlation)))


def ks_distance(sample: Sequence[float], cdf: Callable[[float], float], late: float = 0.0) -> float:
    """How far a sample's distribution function is from another at most.

    Values may be too large by up to `late` each: what a busy machine adds to a delay.
    """
    count = len(sample)
    return max(
        max((i + 1) / count - cdf(value), cdf(value - late) - i / count)
        for i, value in enumerate(sorted(sample))
    )


def ks_p_value(distance: float, count: int) -> float:
    """How often a sample of `count` is that far off by chance: Kolmogorov's series, as of Stephens (1970)."""
    root = math.sqrt(count)
    scaled = (root + 0.12 + 0.11 / root) * distance
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(max(math.fsum(terms), 0.0), 1.0) if scaled > 0.2 else 1.0


def table_cdf(table: Sequence[float], latency_s: float, jitter_s: float) -> Callable[[float], float]:
    """The distribution function of delays that are drawn from a table of quantiles."""
    delays = [max(latency_s + jitter_s * value, 0.0) for value in table]
    return lambda value: bisect_right(delays, value) / len(delays)


def middle_deviation(values: Sequence[float]) -> float:
    """The standard deviation of what is normally distributed, by its quartiles: outliers don't matter."""
    first, _, third = quantiles(values, n=4)
    return (third - first) / 1.349


def lag_one(values: Sequence[float]) -> float:
    """The correlation of values with the ones before them."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values)
    return math.fsum((a - mean) * (b - mean) for a, b in pairwise(values)) / variance
