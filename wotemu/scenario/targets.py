"""What a scenario's event is aimed at: objects or names to the hops and replicas of a topology."""

from __future__ import annotations

from collections.abc import Iterable

from wotemu.errors import ScenarioError
from wotemu.scenario.state import owners, replicas_of
from wotemu.topology.models import Broker, Link, Network, Node, Topology

HopTarget = Network | Link | Node | Broker | str
"""A Network, a Link (of every node that has it), a Node (all its links), or a name.

Names are ``"field"`` for a network or a node, ``"reader@field"`` for one link.
"""

NodeTarget = Node | Broker | str
"""A Node, a Broker, or the name of one, or of one replica: ``"reader-2"``."""

Place = tuple[str, str | None]
"""A network and a node of it; no node means the network's own conditions."""


def places(target: HopTarget, topology: Topology, where: str) -> list[Place]:
    """The places whose conditions `target` names."""
    if isinstance(target, Network):
        return [(_network(target.name, topology, where), None)]
    if isinstance(target, Link):
        return _link_places(target, topology, where)
    if isinstance(target, Node | Broker):
        return _node_places(target.name, topology, where)
    if not isinstance(target, str):
        raise ScenarioError(f"{target!r} is no Network, Link, Node or name", where=where)
    if "@" in target:
        node, _, network = target.partition("@")
        if (network, node) not in _attachments(topology):
            raise ScenarioError(
                f"{target!r}: no node {node!r} is attached to a network {network!r}", where=where
            )
        return [(network, node)]
    if target in {network.name for network in topology.networks}:
        if target in {owner.name for owner in topology.members}:
            raise ScenarioError(
                f"{target!r} is both a network and a node", where=where, hint="pass the object itself"
            )
        return [(target, None)]
    return _node_places(target, topology, where)


def replicas(target: NodeTarget, topology: Topology, where: str) -> list[str]:
    """The replicas that `target` names."""
    name = target.name if isinstance(target, Node | Broker) else target
    known = owners(topology)
    if not isinstance(name, str) or name not in known:
        raise ScenarioError(
            f"there is no node {name!r}",
            where=where,
            hint=f"the nodes are {', '.join(sorted(known)) or 'none'}",
        )
    owner = known[name]
    return list(replicas_of(owner)) if name == owner.name else [name]


def group(targets: NodeTarget | Iterable[NodeTarget], topology: Topology, where: str) -> tuple[str, ...]:
    """One side of a partition as replica names."""
    items = [targets] if isinstance(targets, str | Node | Broker) else list(targets)
    return tuple(dict.fromkeys(name for item in items for name in replicas(item, topology, where)))


def _attachments(topology: Topology) -> dict[Place, Link]:
    return {(link.network.name, owner.name): link for owner in topology.members for link in owner.links}


def _network(name: str, topology: Topology, where: str) -> str:
    names = [network.name for network in topology.networks]
    if name not in names:
        raise ScenarioError(
            f"no node is on a network {name!r}", where=where, hint=f"the networks are {', '.join(names)}"
        )
    return name


def _link_places(target: Link, topology: Topology, where: str) -> list[Place]:
    found: list[Place] = [place for place, link in _attachments(topology).items() if link == target]
    if not found:
        raise ScenarioError(
            f"no node has this link to Network {target.network.name!r}",
            where=where,
            hint="pass the Link that the node was given, or a name such as 'reader@field'",
        )
    return found


def _node_places(name: str, topology: Topology, where: str) -> list[Place]:
    found: list[Place] = [(network, node) for network, node in _attachments(topology) if node == name]
    if not found:
        names = [network.name for network in topology.networks] + [node.name for node in topology.nodes]
        raise ScenarioError(
            f"there is no network or attached node {name!r}",
            where=where,
            hint=f"known are {', '.join(names)}",
        )
    return found
