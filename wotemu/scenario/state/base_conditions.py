"""The conditions of every hop before any change, as the topology gives them."""

from __future__ import annotations

import hashlib
import json

from wotemu.scenario.timeline import HopKey
from wotemu.topology.conditions import RATE_FIELDS, NetworkConditions
from wotemu.topology.topology import Topology


def base_conditions(topology: Topology) -> dict[HopKey, NetworkConditions]:
    """The conditions before any change.

    A network's delay, jitter and loss happen on the way up alone; its rate limits each way.
    """
    base: dict[HopKey, NetworkConditions] = {}
    for network in topology.networks:
        up = network.conditions
        base[network.name, None, "up"] = up
        limits = {name: getattr(up, name) for name in RATE_FIELDS}
        base[network.name, None, "down"] = NetworkConditions(**limits)
    for owner in topology.members:
        for link in owner.links:
            base[link.network.name, owner.name, "up"] = link.up
            base[link.network.name, owner.name, "down"] = link.down
    return base


def conditions_hash(topology: Topology) -> str:
    """The same for topologies whose hops impose the same conditions before any change."""
    hops = [[*map(str, key), conditions.to_dict()] for key, conditions in base_conditions(topology).items()]
    shared = [network.name for network in topology.networks if network.shared]
    return hashlib.sha256(json.dumps([hops, shared], sort_keys=True).encode()).hexdigest()[:16]
