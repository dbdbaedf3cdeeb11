"""How improbable a number of losses is. Pure."""

from __future__ import annotations

import math


def improbability(lost: int, probes: int, share: float, memory: float = 0.0) -> float:
    """The chance that so many of `probes` are lost, or still more extreme numbers, where `share` is expected.

    Twice the smaller tail of the binomial distribution, at most 1. Where losses have a `memory`, they weigh
    as much as fewer independent ones: probes * (1 - memory) / (1 + memory), the effective number of samples
    of an AR(1) process, rounded towards the expected number.
    """
    if probes <= 0:
        return 1.0
    independent = max(1, round(probes * (1 - memory) / (1 + memory))) if memory > 0 else probes
    observed = lost / probes * independent
    mean = share * independent
    if observed > mean:
        return min(1.0, 2 * _at_least(_down(observed), independent, share))
    return min(1.0, 2 * _at_least(independent - _up(observed), independent, 1 - share))


_ROUNDING = 1e-9


def _down(count: float) -> int:
    return math.floor(count + _ROUNDING)


def _up(count: float) -> int:
    return math.ceil(count - _ROUNDING)


def _at_least(count: int, trials: int, share: float) -> float:
    """The binomial distribution's upper tail."""
    if count <= 0:
        return 1.0
    if share <= 0 or count > trials:
        return 0.0
    if share >= 1:
        return 1.0
    log_share, log_rest = math.log(share), math.log1p(-share)
    log_all = math.lgamma(trials + 1)
    logs = (
        log_all
        - math.lgamma(lost + 1)
        - math.lgamma(trials - lost + 1)
        + lost * log_share
        + (trials - lost) * log_rest
        for lost in range(count, trials + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))
