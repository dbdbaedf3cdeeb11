"""What holds at one moment of a scenario, and the atomic changes that lead from one moment to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from wotemu.scenario.timeline import DIRECTIONS, Action, Change, Direction
from wotemu.topology.conditions import RATE_FIELDS, NetworkConditions
from wotemu.topology.models import Broker, Node, Service, Topology

HopKey = tuple[str, str | None, Direction]
"""Network, node (None: the network's own conditions) and direction."""

Groups = tuple[tuple[str, ...], ...]


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


@attrs.define
class State:
    """Everything that a scenario can change. Steps call its methods, which return the atomic changes."""

    topology: Topology
    conditions: dict[HopKey, NetworkConditions]
    base: Mapping[HopKey, NetworkConditions]
    partition: Groups = ()
    cut: dict[tuple[str, str], set[str]] = attrs.field(factory=dict)
    """Why a replica is cut off a network: its traffic flows again once no reason is left."""
    app: dict[str, str] = attrs.field(factory=dict)
    """What runs where, by replica. A plain service's program is not WoTemu's to start or end."""
    _json: dict[HopKey, dict[str, Any]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, topology: Topology) -> State:
        """The state at T0."""
        replicas = {replica: "running" for node in topology.nodes for replica in node.replicas}
        replicas |= {broker.name: "running" for broker in topology.brokers}
        base = base_conditions(topology)
        return cls(topology, dict(base), base, app=replicas)

    def set_conditions(self, at_s: float, key: HopKey, after: NetworkConditions) -> Iterator[Change]:
        """Replace one hop's (or one network's) conditions; the same ones are no change."""
        before = self.conditions[key]
        if after == before:
            return
        network, node, direction = key
        was = self._json.get(key) or before.to_dict()
        self.conditions[key], self._json[key] = after, after.to_dict()
        yield _change(at_s, "conditions", network, node, direction, was, self._json[key])

    def set_partition(self, at_s: float, groups: Groups) -> Iterator[Change]:
        """Replace the partition, on every network; the same one is no change."""
        before, self.partition = self.partition, groups
        if before == groups:
            return
        for network in self.topology.networks:
            yield _change(at_s, "partition", network.name, None, None, _lists(before), _lists(groups))

    def set_cut(
        self, at_s: float, replica: str, networks: Iterable[str], reason: str, cut: bool
    ) -> Iterator[Change]:
        """Cut one replica off networks for a reason, or take that reason back."""
        for network in networks:
            reasons = self.cut.setdefault((replica, network), set())
            before = bool(reasons)
            (reasons.add if cut else reasons.discard)(reason)
            if before != bool(reasons):
                yield _change(at_s, "cut", network, replica, None, before, not before)

    def set_app(self, at_s: float, replica: str, state: str) -> Iterator[Change]:
        """Crash, stop or start one replica's app."""
        before, self.app[replica] = self.app[replica], state
        yield _change(at_s, "app", None, replica, None, before, state)


def _change(
    at_s: float,
    action: Action,
    network: str | None,
    node: str | None,
    direction: Direction | None,
    before: Any,
    after: Any,
) -> Change:
    """A change without its number, which the resolver gives once all are in order."""
    return Change(-1, round(at_s, 6), action, network, node, direction, before, after)


def _lists(groups: Groups) -> list[list[str]]:
    return [list(group) for group in groups]


def owners(topology: Topology) -> dict[str, Node | Broker | Service]:
    """Everything on a network by its name, and by each replica's."""
    return {name: owner for owner in topology.members for name in (owner.name, *replicas_of(owner))}


def replicas_of(owner: Node | Broker | Service) -> tuple[str, ...]:
    """The replicas of a node; a broker or service is its only one."""
    return owner.replicas if isinstance(owner, Node) else (owner.name,)


def networks_of(topology: Topology, replica: str) -> list[str]:
    """The networks that a replica is attached to."""
    return [link.network.name for link in owners(topology)[replica].links]


__all__ = [
    "DIRECTIONS",
    "Groups",
    "HopKey",
    "State",
    "base_conditions",
    "networks_of",
    "owners",
    "replicas_of",
]
