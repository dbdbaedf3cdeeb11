"""Percentiles: exact ones of values that are at hand, and of histograms that merge without loss."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

RELATIVE_ERROR = 0.02
"""By how much a percentile of a `Histogram` may differ from the exact one."""

FLOOR_S = 1e-6
"""Durations up to this one share the first bin."""

_CEILING_S = 1e4
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)

BOUNDS_S: tuple[float, ...] = tuple(
    FLOOR_S * _GROWTH**power for power in range(math.ceil(math.log(_CEILING_S / FLOOR_S, _GROWTH)) + 1)
)
"""Upper bounds of the bins, each growing by the same factor: ``bisect_left(BOUNDS_S, x)`` is the bin of `x`.

As in DDSketch (Masson et al., VLDB 2019): the middle of a bin that spans a factor of (1 + e) / (1 - e) is off
by at most e.
"""


def nearest_rank(values: Iterable[float], share: float) -> float | None:
    """The smallest value that a share of all values does not exceed; None where there is no value."""
    ordered = sorted(values)
    return ordered[_rank(share, len(ordered)) - 1] if ordered else None


def _rank(share: float, count: int) -> int:
    """The number, from 1 on, of the value that a share of so many does not exceed."""
    return max(1, math.ceil(share * count))


class Histogram:
    """Durations in bins of a bounded relative error. Merging histograms loses nothing.

    `percentile` is off the exact nearest-rank one by at most `RELATIVE_ERROR` of it, or `FLOOR_S`.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Histogram of {self.count}>"

    @property
    def count(self) -> int:
        """How many durations it holds."""
        return sum(self._counts.values())

    def add(self, durations_s: Iterable[float]) -> None:
        """Count durations; negative ones count as 0."""
        counts = self._counts
        for duration_s in durations_s:
            number = bisect_left(BOUNDS_S, duration_s)
            counts[number] = counts.get(number, 0) + 1

    def merge(self, bins: Iterable[int], counts: Iterable[int]) -> None:
        """Add another histogram's bins, as `bins` and `counts` give them."""
        own = self._counts
        for number, count in zip(bins, counts, strict=True):
            own[number] = own.get(number, 0) + count

    @property
    def bins(self) -> list[int]:
        """The numbers of the bins that hold something, in order."""
        return sorted(self._counts)

    @property
    def counts(self) -> list[int]:
        """How many durations each of `bins` holds."""
        return [count for _, count in sorted(self._counts.items())]

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()

    def percentile(self, share: float) -> float | None:
        """The duration that a share of all does not exceed; None where there is none."""
        return percentile(self.bins, self.counts, share)


def percentile(bins: Sequence[int], counts: Sequence[int], share: float) -> float | None:
    """A histogram's duration that a share of all does not exceed; `bins` are in order."""
    rank = _rank(share, sum(counts))
    for number, count in zip(bins, counts, strict=True):
        rank -= count
        if rank <= 0:
            return middle_s(number)
    return None


def middle_s(number: int) -> float:
    """The duration that stands for all in a bin: 0 in the first, the ceiling beyond the last."""
    if number == 0:
        return 0.0
    if number >= len(BOUNDS_S):
        return BOUNDS_S[-1]
    return BOUNDS_S[number] * 2 / (1 + _GROWTH)
