"""Finds what is attached to the networks of a topology, by name or by the name of a replica."""

from __future__ import annotations

from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology


def members_by_name(topology: Topology) -> dict[str, Node | Broker | Service]:
    """Everything on a network by its name, and by each replica's."""
    return {name: owner for owner in topology.members for name in (owner.name, *replicas_of(owner))}


def replicas_of(owner: Node | Broker | Service) -> tuple[str, ...]:
    """The replicas of a node; a broker or service is its only one."""
    return owner.replicas if isinstance(owner, Node) else (owner.name,)


def networks_of(topology: Topology, replica: str) -> list[str]:
    """The networks that a replica is attached to."""
    return [link.network.name for link in members_by_name(topology)[replica].links]
