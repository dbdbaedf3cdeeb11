"""What each hop imposes: the conditions of a network and of a link, composed. Pure.

A network's delay, jitter and loss happen once per packet, on the sender's `up` hop; its rate limits each
node's `up` and each node's `down` separately, or one bucket for all where the network is shared.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Seconds

Direction = Literal["up", "down"]

CLEAR = NetworkConditions()
"""Conditions of a hop that does nothing to a packet; the neutral element of `compose`."""


def compose(first: NetworkConditions, second: NetworkConditions) -> NetworkConditions:
    """What crossing both in a row does.

    Delays add, the lower rate holds with its queue, a packet survives only both losses. Jitters are taken
    as independent, so their variances add; the sum of two normal ones is normal, and for other shapes the
    wider one's shape is kept.
    """
    narrow = min(first, second, key=_narrowness)
    return attrs.evolve(
        narrow,
        latency=Seconds(first.latency + second.latency),
        jitter=Seconds(math.hypot(first.jitter, second.jitter)),
        distribution=max(first, second, key=lambda each: each.jitter).distribution,
        loss=Fraction(1 - (1 - first.loss) * (1 - second.loss)),
    )


def _narrowness(conditions: NetworkConditions) -> tuple[float, float]:
    if conditions.rate is None:
        return math.inf, math.inf
    queue_s = conditions.queue_bytes * 8 / conditions.rate
    return conditions.rate, math.inf if conditions.queue is None else queue_s
