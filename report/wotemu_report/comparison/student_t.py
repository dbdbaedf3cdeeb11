"""Student's t distribution for whole degrees of freedom.

Its finite series are those of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
from functools import cache

_LARGEST = 1e9


def within(t: float, freedom: int) -> float:
    """The probability that a variate is between -`t` and `t`."""
    if not math.isfinite(t):
        return 1.0
    angle = math.atan2(abs(t), math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2
    term = cosine if is_odd else 1.0
    total = term if freedom > 1 else 0.0
    for number in range(3 if is_odd else 2, freedom - 1, 2):
        term *= cosine**2 * ((number - 1) / number)
        total += term
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


@cache
def quantile(confidence: float, freedom: int) -> float:
    """The t with `within(t)` of `confidence`, such as 2.086 of 0.95 with 20 degrees of freedom."""
    low, high = 0.0, _LARGEST
    while high - low > 1e-9 * max(1.0, low):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, freedom) < confidence else (low, middle)
    return (low + high) / 2
