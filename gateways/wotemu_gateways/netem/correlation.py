"""The threshold that gives an event its probability under NetEm's correlation. Pure.

NetEm's correlated random numbers are not uniform. With correlation c they are x = (1 - c) u + c x', of a
uniform u and the number x' before it (sch_netem.c, get_crandom). They crowd around the middle, so that an
event with the threshold p is rarer than p where p < 1/2. The `tun` shaper keeps the probability; NetEm does,
too, with the threshold that has it.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

_STEPS = 2048
_MAX_ROUNDS = 400
_CLOSE = 1e-7


def threshold_for(share: float, correlation: float) -> float:
    """The threshold below which NetEm's correlated numbers are with a probability of `share`."""
    if not 0 < share < 1 or not 0 < correlation < 1:
        return share
    distribution = _distribution(round(correlation, 4))
    above = next((i for i, value in enumerate(distribution) if value >= share), _STEPS)
    below_value, above_value = distribution[above - 1], distribution[above]
    return (above - 1 + (share - below_value) / (above_value - below_value)) / _STEPS


@cache
def _distribution(correlation: float) -> list[float]:
    """The numbers' distribution function at equal steps from 0 to 1.

    It is the fixed point of F(x) = E F((x - (1 - c) u) / c), found by iteration from the uniform
    distribution; the mean over u is a difference of F's integral.
    """
    values = [i / _STEPS for i in range(_STEPS + 1)]
    for _ in range(_MAX_ROUNDS):
        integral = _integral(values)
        factor = correlation / (1 - correlation) / _STEPS
        after = [
            factor
            * (_at(integral, i / correlation) - _at(integral, (i - (1 - correlation) * _STEPS) / correlation))
            for i in range(_STEPS + 1)
        ]
        settled = max(abs(one - other) for one, other in zip(values, after, strict=True)) < _CLOSE
        values = after
        if settled:
            break
    return values


def _integral(values: list[float]) -> list[float]:
    total = 0.0
    sums = [0.0]
    for left, right in pairwise(values):
        total += (left + right) / 2
        sums.append(total)
    return sums


def _at(integral: list[float], position: float) -> float:
    """The integral at a position between steps; F is 0 before the first and 1 after the last."""
    if position <= 0:
        return 0.0
    if position >= _STEPS:
        return integral[-1] + position - _STEPS
    step = int(position)
    return integral[step] + (position - step) * (integral[step + 1] - integral[step])
