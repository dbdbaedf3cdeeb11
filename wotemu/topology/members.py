"""Finds what is attached to the networks of a topology, by name or by the name of a replica."""

from __future__ import annotations

from collections.abc import Mapping

from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink

Member = Node | Broker | Service | Uplink

_last: tuple[Topology, dict[str, Member]] | None = None
"""Of the topology that was asked for last: a scenario asks once for each of its actions."""


def members_by_name(topology: Topology) -> Mapping[str, Member]:
    """Everything on a network by its name, and by each replica's."""
    global _last
    last = _last
    if last is None or last[0] is not topology:  # the same object: to compare topologies takes as long
        found = {name: owner for owner in topology.members for name in (owner.name, *replicas_of(owner))}
        _last = last = topology, found
    return last[1]


def replicas_of(owner: Member) -> tuple[str, ...]:
    """The replicas of a node; a broker, service or uplink is its only one."""
    return owner.replicas if isinstance(owner, Node) else (owner.name,)


def networks_of(topology: Topology, replica: str) -> list[str]:
    """The networks that a replica is attached to."""
    return [link.network.name for link in members_by_name(topology)[replica].links]


def replicas_on(topology: Topology, network: str) -> list[str]:
    """The replicas that are on a network."""
    owners = (each for each in topology.members if any(link.network.name == network for link in each.links))
    return [replica for owner in owners for replica in replicas_of(owner)]
