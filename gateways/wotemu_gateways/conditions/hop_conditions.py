"""The conditions of one replica's hop: its network's and its link's, composed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from wotemu.scenario.timeline import Direction, HopKey
from wotemu.topology.conditions import RATE_FIELDS, NetworkConditions
from wotemu.units import Seconds
from wotemu_gateways.conditions.compose import CLEAR, compose

_NO_RATE: dict[str, Any] = {name: getattr(CLEAR, name) for name in RATE_FIELDS}
_RATE_ALONE = RATE_FIELDS - {"duty_cycle"}


@lru_cache(maxsize=1024)
def hop_conditions(
    network_up: NetworkConditions,
    network: NetworkConditions,
    link: NetworkConditions,
    direction: Direction,
    *,
    shared: bool,
) -> NetworkConditions:
    """The conditions of a hop: its network's and its link's, composed.

    Cached: a change of a network composes the same for each of its nodes, between packets.

    Args:
        network_up: The network's conditions on the way up.
        network: The network's conditions in `direction`.
        link: The link's conditions in `direction`.
        shared: Whether the network has one bucket for all; its rate is then the bucket's and no hop's, but
            its duty cycle is each sender's.
    """
    if shared:
        network = _without_bucket(network, direction)
    elif direction == "down" and network.queue is None:  # sized by the delay, which happens on the way up
        wait_s = max(2 * network_up.latency, NetworkConditions.MIN_QUEUE_S)
        network = network.replaced({"queue": Seconds(wait_s)})
    composed = compose(network, link)
    if composed.duty_cycle < 1 and composed.burst:  # what it saved up would be sent without any air time
        return composed.replaced({"burst": None})
    return composed


def described_hop(
    conditions: Mapping[HopKey, NetworkConditions], key: HopKey, *, shared: bool
) -> NetworkConditions:
    """The conditions of a node's hop to show to people: without a queue that was not given.

    Args:
        conditions: Those that hold, of networks and of links, as `base_conditions` has those of T0.
        key: Network, node and direction.
        shared: Whether the network has one bucket for all; its rate is then none of the hop's.
    """
    network, _, direction = key
    whole = conditions[network, None, direction]
    return compose(_without_bucket(whole, direction) if shared else whole, conditions[key])


def _without_bucket(network: NetworkConditions, direction: Direction) -> NetworkConditions:
    """A shared network's conditions on a hop: its rate is its bucket's, its duty cycle each sender's."""
    duty_cycle = network.duty_cycle if direction == "up" else CLEAR.duty_cycle
    return network.replaced({**_NO_RATE, "duty_cycle": duty_cycle})


def air_time_conditions(hop: NetworkConditions, bucket: NetworkConditions | None) -> NetworkConditions:
    """The conditions of a hop with the rate, overhead, cells and queue that a packet's air time follows from.

    Args:
        hop: As `hop_conditions` composes them.
        bucket: Those whose rate a shared network's nodes send through, which holds where it is lower; None
            where it is not shared.
    """
    if bucket is None or bucket.rate is None or (hop.rate is not None and hop.rate <= bucket.rate):
        return hop
    return hop.replaced({name: getattr(bucket, name) for name in _RATE_ALONE})
