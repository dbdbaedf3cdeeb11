"""Delay distributions as tables of quantiles, in units of the jitter. Pure.

The shapes are those of iproute2's generators (netem/normal.c, pareto.c, paretonormal.c, after NISTnet), so
both shapers draw from the same distributions.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist, fmean

from wotemu.topology.distributions import Distribution, DistributionTable

SHARES_BITS = 12
SHARES = 1 << SHARES_BITS
"""Quantiles of a table made here: NetEm's size."""

_STANDARD = NormalDist()
_PARETO_EXPONENT = 3.0
_LARGEST = 32767 / DistributionTable.SCALE
"""The furthest that a table of NetEm reaches."""


def _normal(share: float) -> float:
    return _STANDARD.inv_cdf(share)


def _uniform(share: float) -> float:
    return 2 * share - 1


def _pareto(share: float) -> float:
    """Pareto with exponent 3, moved by its mean of 1.5 and scaled to a deviation near 1."""
    return min((math.pow(1 - share, -1 / _PARETO_EXPONENT) - 1.5) * 4 / 3, _LARGEST)


def _paretonormal(share: float) -> float:
    return (_normal(share) + 3 * _pareto(share)) / 4


_SHAPES = {"normal": _normal, "uniform": _uniform, "pareto": _pareto, "paretonormal": _paretonormal}


@cache
def table(distribution: Distribution) -> tuple[float, ...]:
    """Quantiles at equal shares, ascending: a delay is latency + jitter * one of them."""
    if isinstance(distribution, DistributionTable):
        return tuple(value / DistributionTable.SCALE for value in distribution.values)
    shape = _SHAPES[distribution]
    return tuple(shape((i + 0.5) / SHARES) for i in range(SHARES))


@cache
def mean(distribution: Distribution) -> float:
    """By how many jitters the mean delay is beyond the latency; not zero for the skewed shapes."""
    return fmean(table(distribution))
