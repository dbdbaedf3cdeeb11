"""How far a figure would vary: its standard error, by resampling blocks of time, or whole runs.

Requests that follow each other share the state of queues and networks, so that single requests can't be
resampled: blocks of them can (Künsch, Annals of Statistics 17, 1989).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import mul
from typing import TypeVar

RESAMPLES = 400
"""The standard error's own error is then about 3.5 %."""

Weights = Sequence[int]
"""How often each block counts."""
Estimate = Callable[[Weights], float | None]
T = TypeVar("T")


def resamples(blocks: int, seed: int, count: int = RESAMPLES) -> Iterator[list[int]]:
    """Weights of blocks that are drawn with replacement, as many as there are."""
    dice = random.Random(seed)  # noqa: S311  # statistics, not secrets
    for _ in range(count):
        weights = [0] * blocks
        for drawn in dice.choices(range(blocks), k=blocks):
            weights[drawn] += 1
        yield weights


def standard_error(estimate: Estimate, blocks: int, seed: int, count: int = RESAMPLES) -> float | None:
    """The standard error of an estimate, without the bias of resampling so few blocks.

    Args:
        estimate: The figure, of blocks with weights; None where these give none.
        blocks: How many blocks there are.
        seed: Of the random numbers.
        count: How many resamples are drawn.

    Returns:
        None where most resamples, or fewer than two blocks, give no figure.
    """
    if blocks < 2:
        return None
    drawn = [value for weights in resamples(blocks, seed, count) if (value := estimate(weights)) is not None]
    if len(drawn) <= count // 2:
        return None
    mean = math.fsum(drawn) / len(drawn)
    variance = math.fsum((value - mean) ** 2 for value in drawn) / (len(drawn) - 1)
    return math.sqrt(variance * blocks / (blocks - 1))


def weighted(values: Sequence[float], weights: Weights) -> float:
    """The sum of values of blocks, each as often as its block counts."""
    return float(sum(map(mul, values, weights)))


class BlockHistogram:
    """Durations in bins, counted by block."""

    def __init__(self, counts: Sequence[tuple[float, Sequence[int]]], blocks: int) -> None:
        """Add the counts up.

        Args:
            counts: A value, and how often each block has it; in order of the values.
            blocks: How many blocks there are.
        """
        self.values = [value for value, _ in counts]
        self.totals = [sum(each) for _, each in counts]
        columns = [accumulate([each[block] for _, each in counts]) for block in range(blocks)]
        self._up_to: list[tuple[int, ...]] = list(zip(*columns, strict=True))

    def percentile(self, share: float, weights: Weights) -> float | None:
        """The nearest-rank percentile of blocks with weights; None without values."""
        total = weighted(self._up_to[-1], weights) if self._up_to else 0
        if not total:
            return None
        rank = max(1, math.ceil(share * total))
        place = bisect_left(self._up_to, float(rank), key=lambda counts: weighted(counts, weights))
        return self.values[place]


def cliffs_delta(before: Sequence[tuple[float, int]], after: Sequence[tuple[float, int]]) -> float | None:
    """How much more often a value of `after` is larger than one of `before` than it is smaller: -1 to 1.

    Args:
        before, after: Values with their counts, in order of the values.

    Returns:
        None where one has no value.
    """
    before_count, after_count = (sum(count for _, count in each) for each in (before, after))
    if not before_count or not after_count:
        return None
    larger = _pairs_below(before, after) - _pairs_below(after, before)
    return larger / (before_count * after_count)


def _pairs_below(low: Sequence[tuple[float, int]], high: Sequence[tuple[float, int]]) -> int:
    """Of all pairs, those whose first value, of `low`, is smaller than the second, of `high`."""
    below, place, pairs = 0, 0, 0
    for value, count in high:
        while place < len(low) and low[place][0] < value:
            below += low[place][1]
            place += 1
        pairs += below * count
    return pairs
