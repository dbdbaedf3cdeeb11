"""Percentiles by nearest rank: exact ones of values, approximate ones of histograms that can be merged."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

RELATIVE_ERROR = 0.02
"""Relative error of a percentile of a `Histogram`, at most."""

FLOOR_S = 1e-6
"""Upper bound of the first bin: shorter durations count as 0."""

_CEILING_S = 1e4
"""The last bin's bound, at least; longer durations share one bin more. No packet waits for hours."""
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)

BOUNDS_S: tuple[float, ...] = tuple(
    FLOOR_S * _GROWTH**power for power in range(math.ceil(math.log(_CEILING_S / FLOOR_S, _GROWTH)) + 1)
)
"""Upper bounds of the bins, each growing by the same factor: ``bisect_left(BOUNDS_S, x)`` is the bin of `x`.

As in DDSketch (Masson et al., VLDB 2019): the middle of a bin that spans a factor of (1 + e) / (1 - e) is off
by at most e.
"""


def nearest_rank(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least a `share` (0 to 1) of all are at or below; None for no values."""
    ordered = sorted(values)
    return ordered[_rank(share, len(ordered)) - 1] if ordered else None


def _rank(share: float, count: int) -> int:
    """Position, from 1 on, in sorted values of the percentile `share` of `count` values."""
    return max(1, math.ceil(share * count))


class Histogram:
    """Durations in seconds, in bins of a bounded relative error. Merging histograms loses no precision.

    `percentile` is off the exact nearest-rank one by at most `RELATIVE_ERROR` of it, or `FLOOR_S`.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        """Begin empty."""
        self._counts: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Histogram of {self.count}>"

    @property
    def count(self) -> int:
        """Number of durations."""
        return sum(self._counts.values())

    def add(self, durations_s: Iterable[float]) -> None:
        """Count durations; negative ones, by a clock that was set back, count as 0."""
        counts = self._counts
        for duration_s in durations_s:
            number = bisect_left(BOUNDS_S, duration_s)
            counts[number] = counts.get(number, 0) + 1

    def add_since(self, now_s: float, instants_s: Iterable[float]) -> None:
        """Count how long before `now_s` each instant was: as `add` of the differences, at less cost."""
        counts, get, bounds = self._counts, self._counts.get, BOUNDS_S
        for instant_s in instants_s:
            number = bisect_left(bounds, now_s - instant_s)
            counts[number] = get(number, 0) + 1

    def add_to_bin(self, number: int, count: int) -> None:
        """Count so many durations of one bin."""
        self._counts[number] = self._counts.get(number, 0) + count

    def merge(self, bins: Iterable[int], counts: Iterable[int]) -> None:
        """Add another histogram's bins, as `bins` and `counts` give them."""
        own = self._counts
        for number, count in zip(bins, counts, strict=True):
            own[number] = own.get(number, 0) + count

    @property
    def bins(self) -> list[int]:
        """Numbers of the bins that are not empty, ascending."""
        return sorted(self._counts)

    @property
    def counts(self) -> list[int]:
        """Durations in each of `bins`."""
        return [count for _, count in sorted(self._counts.items())]

    def clear(self) -> None:
        """Empty all bins."""
        self._counts.clear()

    def percentile(self, share: float) -> float | None:
        """The duration in seconds that a `share` (0 to 1) of all are at or below; None where it is empty."""
        return percentile(self.bins, self.counts, share)


def percentile(bins: Sequence[int], counts: Sequence[int], share: float) -> float | None:
    """Percentile of a histogram, given as its ascending bins and the count of each.

    Returns:
        Seconds; None for an empty histogram.
    """
    rank = _rank(share, sum(counts))
    for number, count in zip(bins, counts, strict=True):
        rank -= count
        if rank <= 0:
            return middle_s(number)
    return None


def middle_s(number: int) -> float:
    """Seconds that represent all durations in a bin: 0 in the first, the last bound beyond that."""
    if number == 0:
        return 0.0
    if number >= len(BOUNDS_S):
        return BOUNDS_S[-1]
    # The point at the same relative distance from both bounds of the bin, not their arithmetic mean.
    return BOUNDS_S[number] * 2 / (1 + _GROWTH)
