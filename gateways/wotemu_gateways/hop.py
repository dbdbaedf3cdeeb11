"""What each hop imposes: the conditions of a network and of a link, composed. Pure.

A network's delay, jitter and loss happen once per packet, on the sender's `up` hop; its rate limits each
node's `up` and each node's `down` separately, or one bucket for all where the network is shared.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Bytes, Fraction, Rate, Seconds

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


def up_conditions(
    network: NetworkConditions, link: NetworkConditions, *, shared: bool = False
) -> NetworkConditions:
    """Conditions of a node's `up` hop: all of the network's (not its rate where shared) and the link's."""
    return compose(attrs.evolve(network, rate=None, queue=None) if shared else network, link)


def down_conditions(
    network: NetworkConditions, link: NetworkConditions, *, shared: bool = False
) -> NetworkConditions:
    """Conditions of a node's `down` hop: the network's rate (none where shared) and the link's."""
    return link if shared else compose(_rate_alone(network), link)


def _rate_alone(network: NetworkConditions) -> NetworkConditions:
    """The network's rate with its queue, which the delay that happens on the other hop has sized."""
    if network.rate is None:
        return CLEAR
    return NetworkConditions(rate=network.rate, queue=Bytes(network.queue_bytes))


def _narrowness(conditions: NetworkConditions) -> tuple[float, float]:
    rate = math.inf if conditions.rate is None else float(conditions.rate)
    return rate, math.inf if conditions.queue is None else _queue_s(conditions.queue, rate)


def _queue_s(queue: Seconds | Bytes, rate: Rate | float) -> float:
    return float(queue) if isinstance(queue, Seconds) else float(queue) * 8 / rate
