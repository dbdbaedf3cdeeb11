"""Differences between figures of two designs: how large, how sure, and what could not have been seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import attrs

from wotemu_report.comparison.figures import PERCENTILES, BlockFigure
from wotemu_report.comparison.student_t import quantile, within

CONFIDENCE = 0.95
FALSE_ALARMS = 0.05
"""The chance that a comparison calls any figure different that is the same."""
POWER = 0.8
SAME = 0.05
"""Designs that differ by less are as good as the same."""
LEAST_BLOCKS = 5
LEAST_RUNS_AS_BLOCKS = 3

Verdict = Literal["better", "worse", "same", "not seen", "too few"]
"""`same`: surely within `SAME`; `not seen`: none was seen; `too few`: nothing can be said."""


@attrs.frozen
class Difference:
    """One figure of a baseline and of another design.

    Attributes:
        name: Of the figure: ``p50``, ``p95``, ``p99`` (ms), ``errors``, ``availability`` (shares),
            ``throughput`` (answered requests a second).
        subject: Phase, node group, affordance, operation, binding.
        before, after: Its values; None where there is none.
        samples: Requests of each.
        change: The other design's excess: a share of the baseline's (0.1 is 10 % more), or of ``errors`` and
            ``availability`` the difference. None where it can't be said.
        low, high: The interval that holds the change with `CONFIDENCE`.
        surely: The least change for the worse, counted for all figures of the comparison together: with
            `FALSE_ALARMS` no figure of it became worse by less. None where it can't be said.
        sees: The smallest change that these samples would have shown (with a chance of `POWER`).
        probability: Of such a difference by chance alone, before (`alone`) and after it was counted that many
            figures are compared (Holm, Scandinavian Journal of Statistics 6, 1979).
        cliffs_delta: Of durations, failed requests longest: 1 where the other design's are all longer.
        verdict: What follows.
    """

    name: str
    subject: tuple[str, ...]
    before: float | None
    after: float | None
    samples: tuple[int, int]
    change: float | None = None
    low: float | None = None
    high: float | None = None
    surely: float | None = None
    sees: float | None = None
    alone: float | None = None
    probability: float | None = None
    cliffs_delta: float | None = None
    verdict: Verdict = "too few"


@attrs.frozen
class _Estimated:
    """A difference on the scale on which it is symmetric: of logarithms, or of shares."""

    distance: float
    error: float
    freedom: int
    is_ratio: bool
    more_is_better: bool

    def shown(self, distance: float) -> float:
        return math.expm1(min(distance, 700.0)) if self.is_ratio else distance

    def interval(self) -> tuple[float, float]:
        half = quantile(CONFIDENCE, self.freedom) * self.error
        return self.shown(self.distance - half), self.shown(self.distance + half)

    def chance(self) -> float:
        if not self.error:
            return 0.0 if self.distance else 1.0
        return 1.0 - within(self.distance / self.error, self.freedom)

    def surely(self, figures: int) -> float:
        """The least change for the worse, at a chance of `FALSE_ALARMS` for all figures together."""
        t = quantile(1 - 2 * FALSE_ALARMS / figures, self.freedom)
        worse = -self.distance if self.more_is_better else self.distance
        return self.shown(worse - t * self.error)

    def sees(self) -> float:
        t = quantile(CONFIDENCE, self.freedom) + quantile(2 * POWER - 1, self.freedom)
        return self.shown(t * self.error)


def differences(
    before: Iterable[BlockFigure],
    after: Iterable[BlockFigure],
    *,
    by_runs: bool,
    deltas: Mapping[tuple[str, ...], float | None] | None = None,
) -> list[Difference]:
    """Every figure that two designs have, in order of phase and subject.

    Args:
        before: The baseline's.
        after: The other design's.
        by_runs: Whether their blocks are runs.
        deltas: Cliff's delta of each subject's durations.
    """
    others = {(each.name, each.subject): each for each in after}
    pairs = [(one, others[one.name, one.subject]) for one in before if (one.name, one.subject) in others]
    least = LEAST_RUNS_AS_BLOCKS if by_runs else LEAST_BLOCKS
    estimated = [_estimated(one, other, least) for one, other in pairs]
    chances = [each.chance() for each in estimated if each is not None]
    adjusted = iter(holm(chances))
    sizes = deltas or {}
    return [
        _difference(
            one, other, sizes.get(one.subject), each, len(chances), None if each is None else next(adjusted)
        )
        for (one, other), each in zip(pairs, estimated, strict=True)
    ]


def _estimated(one: BlockFigure, other: BlockFigure, least: int) -> _Estimated | None:
    blocks = min(one.blocks, other.blocks)
    if blocks < least or not (one.has_enough and other.has_enough):
        return None
    is_ratio = one.scale == "ratio"
    before, after = (_on_scale(each.value, is_ratio) for each in (one, other))
    if before is None or after is None or one.error is None or other.error is None:
        return None
    error = math.hypot(one.error, other.error)
    return _Estimated(after - before, error, blocks - 1, is_ratio, one.is_better_if_more)


def _on_scale(value: float | None, is_ratio: bool) -> float | None:
    if value is None or not is_ratio:
        return value
    return math.log(value) if value > 0 else None


def _difference(
    one: BlockFigure,
    other: BlockFigure,
    delta: float | None,
    estimated: _Estimated | None,
    figures: int,
    probability: float | None,
) -> Difference:
    known = Difference(
        one.name,
        one.subject,
        one.value,
        other.value,
        (one.samples, other.samples),
        cliffs_delta=delta if one.name in PERCENTILES else None,
    )
    if estimated is None or probability is None:
        return known
    low, high = estimated.interval()
    return attrs.evolve(
        known,
        change=estimated.shown(estimated.distance),
        low=low,
        high=high,
        surely=estimated.surely(figures),
        sees=estimated.sees(),
        alone=estimated.chance(),
        probability=probability,
        verdict=_verdict(estimated, probability, low, high),
    )


def _verdict(estimated: _Estimated, probability: float, low: float, high: float) -> Verdict:
    if probability <= FALSE_ALARMS:
        return "better" if (estimated.distance > 0) == estimated.more_is_better else "worse"
    return "same" if low >= -SAME and high <= SAME else "not seen"


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities of several tests, adjusted so that the chance of any false alarm is what one has."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    adjusted, largest = [0.0] * len(chances), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, chances[index] * (len(chances) - place)))
        adjusted[index] = largest
    return adjusted


def exceeding(found: Iterable[Difference], limit: float) -> list[Difference]:
    """Differences that are surely worse than a limit, such as 0.1 for 10 % (or 10 points of a share)."""
    return [each for each in found if each.surely is not None and each.surely > limit]
