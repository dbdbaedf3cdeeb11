"""Composes two conditions to those of both in a row. Pure.

A network's delay, jitter and loss happen once per packet, on the sender's `up` hop; its rate limits each
node's `up` and each node's `down` separately, or one bucket for all where the network is shared.
"""

from __future__ import annotations

import math

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import LossModel
from wotemu.units import Fraction, Seconds

_ALMOST_CERTAIN = 1 - 1e-12
"""Chances are taken as at most this, so that their logarithms are finite."""

CLEAR = NetworkConditions()
"""Conditions of a hop that does nothing to a packet; the neutral element of `compose`."""


def compose(first: NetworkConditions, second: NetworkConditions) -> NetworkConditions:
    """The conditions of one hop that does what crossing both in a row does.

    Delays add, the lower rate holds with its burst, overhead, cells and queue, and so does the lower duty
    cycle, whichever rate it came with. Jitters are taken as independent: their variances add, with their
    correlations in that proportion, which is the sum's; the sum of two normal ones is normal, and of other
    shapes the wider one's shape is kept. Losses, duplication, corruption and reordering combine as
    independent chances, with their correlations in proportion to those. Of two loss models the heavier is
    kept; the other one's mean loss is lost independently. Sums may exceed what conditions can be given as.
    """
    narrow = min(first, second, key=_narrowness)
    model, spread = _heavier(first.loss_model, second.loss_model)
    return narrow.replaced(
        {
            "latency": Seconds(first.latency + second.latency),
            "jitter": Seconds(math.hypot(first.jitter, second.jitter)),
            "jitter_correlation": _mixed(
                (first.jitter**2, first.jitter_correlation), (second.jitter**2, second.jitter_correlation)
            ),
            "distribution": max(first, second, key=lambda each: each.jitter).distribution,
            "loss": either(either(first.loss, second.loss), spread),
            "loss_model": model,
            "loss_correlation": _correlation(
                (first.loss, first.loss_correlation),
                (second.loss, second.loss_correlation),
                (spread, Fraction(0)),
            ),
            "ecn": first.ecn or second.ecn,
            "duty_cycle": min(first.duty_cycle, second.duty_cycle),
            "reorder_gap": min((each.reorder_gap for each in (first, second) if each.reorder), default=1),
            "duplicate": either(first.duplicate, second.duplicate),
            "duplicate_correlation": _correlation(
                (first.duplicate, first.duplicate_correlation),
                (second.duplicate, second.duplicate_correlation),
            ),
            "corrupt": either(first.corrupt, second.corrupt),
            "corrupt_correlation": _correlation(
                (first.corrupt, first.corrupt_correlation), (second.corrupt, second.corrupt_correlation)
            ),
            "reorder": either(first.reorder, second.reorder),
            "reorder_correlation": _correlation(
                (first.reorder, first.reorder_correlation), (second.reorder, second.reorder_correlation)
            ),
        }
    )


def either(one: float, other: float) -> Fraction:
    """The probability of at least one of two independent events."""
    return Fraction(1 - (1 - one) * (1 - other))


def _heavier(one: LossModel | None, other: LossModel | None) -> tuple[LossModel | None, Fraction]:
    """The loss model that loses more, and the mean loss of the other one."""
    if one is None or other is None:
        return one or other, Fraction(0)
    light, heavy = (one, other) if one.mean_loss <= other.mean_loss else (other, one)
    return heavy, Fraction(light.mean_loss)


def _correlation(*parts: tuple[Fraction, Fraction]) -> Fraction:
    """The correlation of combined events, of each event's probability and correlation.

    Weighted by -log(1 - p), as these add where independent probabilities combine.
    """
    return _mixed(*((-math.log1p(-min(chance, _ALMOST_CERTAIN)), of_it) for chance, of_it in parts))


def _mixed(*parts: tuple[float, float]) -> Fraction:
    """The mean of values, each after its weight; 0 where all weights are 0."""
    total = math.fsum(weight for weight, _ in parts)
    if not total:
        return Fraction(0)
    return Fraction(min(math.fsum(weight * value for weight, value in parts) / total, 1.0))


def _narrowness(conditions: NetworkConditions) -> tuple[float, float]:
    if conditions.rate is None:
        return math.inf, math.inf
    queue_s = conditions.queue_bytes * 8 / (conditions.rate or 1)
    return conditions.rate, math.inf if conditions.queue is None else queue_s
