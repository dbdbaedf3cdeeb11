"""Targets of actions: objects, names and tags, resolved to the links and replicas of a topology."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.suggestions import did_you_mean
from wotemu.topology.members import Member, members_by_name, replicas_of
from wotemu.topology.network import Link, Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink

OneTarget = Network | Link | Node | Broker | Service | Uplink | str
"""A Network, a Link (of every node that has it), a Node, Broker, Service or Uplink (all its links), or
a name.

Names are ``"field"`` for a network or a node, ``"reader@field"`` for one link. Where a network and a node are
called the same, ``"network:field"`` and ``"node:field"`` say which one is meant.
"""

KINDS = ("network", "node")
"""Prefixes of names: brokers, services and uplinks count as nodes."""

Place = tuple[str, str | None]
"""The names of a network and of a node on it; None stands for the network's own conditions."""


@attrs.frozen
class Tag:
    """A group of targets with a name."""

    name: str
    targets: tuple[OneTarget, ...]

    def __iter__(self) -> Iterator[OneTarget]:
        return iter(self.targets)

    def __str__(self) -> str:
        return self.name


HopTarget = OneTarget | Tag | Iterable[OneTarget]
"""One target whose conditions change, a tag, or several."""

NodeTarget = Node | Broker | Service | Uplink | str | Tag | Iterable[Node | Broker | Service | Uplink | str]
"""A Node, a Broker, a Service that is on a network, an Uplink, a tag, the name of one or of one replica
(``"reader-2"``), or several of them."""


def tag(name: str, *targets: OneTarget | Tag) -> Tag:
    """Give a group of targets a name: ``mobiles = tag("mobiles", phone_link, "pager@field")``.

    Args:
        name: The name, for messages and phases.
        targets: Networks, Links, Nodes, names or other tags.

    Raises:
        ScenarioError: The name is empty, or there is no target.
    """
    if not isinstance(name, str) or not name.strip():
        raise ScenarioError(f"{name!r} is not a name", where=source_location("tag"))
    if not targets:
        raise ScenarioError(
            "it names nothing", where=source_location(f"tag {name!r}"), hint='write tag("mobiles", link, ...)'
        )
    return Tag(name, tuple(each for target in targets for each in _several(target)))


def target_label(target: Any) -> str:
    """The name of a target, for phases and messages."""
    if isinstance(target, str):
        return _kind_and_name(target)[1]
    if isinstance(target, Tag):
        return target.name
    if isinstance(target, Link):
        return f"link to {target.network.name}"
    if isinstance(target, Network | Member):
        return target.name
    return " and ".join(map(target_label, _several(target))) if isinstance(target, Iterable) else repr(target)


def _kind_and_name(target: str) -> tuple[str, str]:
    """What a text says it names, "" where it does not say it, and the name."""
    kind, colon, name = target.partition(":")
    return (kind, name) if colon and kind in KINDS else ("", target)


def ambiguous_names(topology: Topology) -> frozenset[str]:
    """The names of both a network and a node, broker, service or uplink."""
    return frozenset({each.name for each in topology.networks} & {each.name for each in topology.members})


def unambiguous_name(obj: Network | Member, ambiguous: frozenset[str]) -> str:
    """The name of an object as a target, with its kind where another object has the same name."""
    kind = "network" if isinstance(obj, Network) else "node"
    return f"{kind}:{obj.name}" if obj.name in ambiguous else obj.name


def _several(target: Any) -> tuple[Any, ...]:
    """The single targets that a target consists of."""
    if isinstance(target, str) or not isinstance(target, Iterable):
        return (target,)
    return tuple(each for item in target for each in _several(item))


def target_names(target: HopTarget | NodeTarget, topology: Topology, where: str) -> tuple[str, ...]:
    """A target as names that mean the same; names that are given stay as they are.

    Raises:
        ScenarioError: No node has the link, or it is no target.
    """
    return tuple(
        dict.fromkeys(name for each in _several(target) for name in _names_of(each, topology, where))
    )


def _names_of(target: Any, topology: Topology, where: str) -> list[str]:
    if isinstance(target, str):
        return [target]
    if isinstance(target, Link):
        return [f"{node}@{network}" for network, node in _link_places(target, topology, where)]
    if isinstance(target, Network | Member):
        return [unambiguous_name(target, ambiguous_names(topology))]
    raise ScenarioError(
        f"{target!r:.80} is no target", where=where, hint="give a Network, Link, Node or a name"
    )


def tags_in(target: Any) -> list[Tag]:
    """The tags in a target."""
    if isinstance(target, Tag):
        return [target]
    return [tag for item in target for tag in tags_in(item)] if isinstance(target, tuple) else []


def reusable(target: Any) -> Any:
    """The target as a tuple where it is an iterable: a generator could be read only once."""
    return tuple(target) if isinstance(target, Iterable) and not isinstance(target, str | Tag) else target


def places(target: HopTarget, topology: Topology, where: str) -> list[Place]:
    """The places whose conditions `target` names, each once.

    Raises:
        ScenarioError: The topology does not have it, or it names nothing.
    """
    found = [place for each in _several(target) for place in _places(each, topology, where)]
    if not found:
        raise ScenarioError("it is aimed at nothing", where=where)
    return list(dict.fromkeys(found))


def _places(target: OneTarget, topology: Topology, where: str) -> list[Place]:
    if isinstance(target, Network):
        return [(_network(target.name, topology, where), None)]
    if isinstance(target, Link):
        return _link_places(target, topology, where)
    if isinstance(target, Member):
        return _node_places(target.name, topology, where)
    if not isinstance(target, str):
        raise ScenarioError(f"{target!r} is no Network, Link, Node or name", where=where)
    if "@" in target:
        return [_named_link(target, topology, where)]
    if target in ambiguous_names(topology):
        hint = f"write 'network:{target}' or 'node:{target}'; in Python, the object itself may be given, too"
        raise ScenarioError(f"{target!r} is both a network and a node", where=where, hint=hint)
    kind, name = _kind_and_name(target)
    if kind == "network" or (not kind and name in {network.name for network in topology.networks}):
        return [(_network(name, topology, where), None)]
    return _node_places(name, topology, where)


def _named_link(target: str, topology: Topology, where: str) -> Place:
    node, _, network = target.partition("@")
    attached = _attachments(topology)
    if (network, node) not in attached:
        _refuse_replica(node, topology, where)
        raise ScenarioError(
            f"{target!r}: no node {node!r} is attached to a network {network!r}",
            where=where,
            hint=did_you_mean(target, [f"{node}@{network}" for network, node in attached]),
        )
    return network, node


def _refuse_replica(name: str, topology: Topology, where: str) -> None:
    """Refuse the name of one replica: all replicas of a node have the same conditions."""
    owner = members_by_name(topology).get(name)
    if owner is not None and owner.name != name:
        raise ScenarioError(
            f"{name!r} is one replica of Node {owner.name!r}, and conditions are those of all its replicas",
            where=where,
            hint=f"say {owner.name!r}, or make it a Node of its own; one replica can be cut off or crash",
        )


def replicas(target: NodeTarget, topology: Topology, where: str) -> list[str]:
    """The replicas that `target` names, each once.

    Raises:
        ScenarioError: The topology does not have it, or it names nothing.
    """
    known = members_by_name(topology)
    found = [name for each in _several(target) for name in _replicas(each, known, where)]
    if not found:
        raise ScenarioError("it is aimed at nothing", where=where)
    return list(dict.fromkeys(found))


def _replicas(target: Any, known: Mapping[str, Member], where: str) -> list[str]:
    name = target.name if isinstance(target, Member) else target
    if isinstance(name, str):
        name = name.removeprefix("node:")
    if not isinstance(name, str) or name not in known:
        what = f"there is no node {name!r}" if isinstance(name, str) else f"{target_label(target)} is no node"
        raise ScenarioError(what, where=where, hint=did_you_mean(name, known))
    owner = known[name]
    return list(replicas_of(owner)) if name == owner.name else [name]


def replica_networks(target: HopTarget, topology: Topology, where: str) -> list[tuple[str, str]]:
    """Pairs of a replica and a network that `target` names; a network stands for all replicas on it.

    Unlike in `places`, a single replica is a target, too: ``"reader-2"``, ``"reader-2@field"``.
    """
    found: dict[tuple[str, str], None] = {}
    known = members_by_name(topology)
    for each in _several(target):
        of_one = _of_one_replica(each, known)
        found.update(dict.fromkeys(of_one or _of_places(each, topology, where)))
    if not found:
        raise ScenarioError("it is aimed at nothing", where=where)
    return list(found)


def _of_one_replica(target: Any, known: Mapping[str, Member]) -> list[tuple[str, str]]:
    """The named replica with its networks, or with the named one; none where the target is something else."""
    name, _, wanted = target.removeprefix("node:").partition("@") if isinstance(target, str) else ("", "", "")
    owner = known.get(name)
    if owner is None or owner.name == name:
        return []
    networks = [link.network.name for link in owner.links]
    return [(name, network) for network in networks if wanted in ("", network)]


def _of_places(target: OneTarget, topology: Topology, where: str) -> Iterator[tuple[str, str]]:
    for network, node in _places(target, topology, where):
        for owner in topology.members:
            if node in (None, owner.name) and any(link.network.name == network for link in owner.links):
                yield from ((replica, network) for replica in replicas_of(owner))


def _attachments(topology: Topology) -> dict[Place, Link]:
    return {(link.network.name, owner.name): link for owner in topology.members for link in owner.links}


def _network(name: str, topology: Topology, where: str) -> str:
    names = [network.name for network in topology.networks]
    if name not in names:
        raise ScenarioError(f"no node is on a network {name!r}", where=where, hint=did_you_mean(name, names))
    return name


def network_name(target: Network | str, topology: Topology, where: str) -> str:
    """The name of a network of the topology.

    Raises:
        ScenarioError: The topology does not have it.
    """
    if not isinstance(target, Network | str):
        raise ScenarioError(f"{target!r} is no Network or name", where=where)
    name = target.name if isinstance(target, Network) else target.removeprefix("network:")
    return _network(name, topology, where)


def _link_places(target: Link, topology: Topology, where: str) -> list[Place]:
    """The places with this very Link object; if there is none, with an equal one."""
    attached = _attachments(topology).items()
    found: list[Place] = [place for place, link in attached if link is target]
    found = found or [place for place, link in attached if link == target]
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
        _refuse_replica(name, topology, where)
        known = [network.name for network in topology.networks] + [owner.name for owner in topology.members]
        raise ScenarioError(
            f"there is no network or attached node {name!r}", where=where, hint=did_you_mean(name, known)
        )
    return found
