"""One network: its replicas and conditions at T0, and what a timeline's changes have made of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from wotemu.errors import EmulationError
from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Change, Direction, HopKey
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.hop_conditions import hop_conditions
from wotemu_gateways.conditions.partition import Partition, partition_of


@attrs.frozen(kw_only=True)
class NetworkSetup:
    """A network at T0.

    Attributes:
        nodes: Each replica's node.
        hops: The conditions of the network (node None) and of each node's link, either way.
    """

    name: str
    shared: bool
    nodes: Mapping[str, str]
    hops: Mapping[HopKey, NetworkConditions]

    @classmethod
    def of(cls, name: str, *, shared: bool, nodes: Mapping[str, str], hops: Iterable[dict[str, Any]]) -> Self:
        """From hops as plans and assignments hold them: `node`, `direction`, and `conditions` as JSON."""
        conditions = {
            (name, hop["node"], hop["direction"]): NetworkConditions.from_dict(hop["conditions"])
            for hop in hops
        }
        return cls(name=name, shared=shared, nodes=nodes, hops=conditions)

    @property
    def rate_key(self) -> HopKey:
        """The conditions whose rate the one bucket of a shared network has."""
        return self.name, None, "up"

    def sources(self, replica: str, direction: Direction) -> tuple[HopKey, HopKey, HopKey]:
        """The conditions that a replica's hop is composed of, in the order of `hop_conditions`."""
        return (
            (self.name, None, "up"),
            (self.name, None, direction),
            (self.name, self.nodes[replica], direction),
        )

    def key_of(self, change: Change) -> HopKey:
        """The conditions that a change sets."""
        return self.name, change.node, change.direction or "up"


class NetworkState:
    """What holds on a network after the changes that it was given: conditions, partition and cuts.

    Attributes:
        partition: The sets of replicas that are kept apart; empty where all reach all.
        blocks: The traffic between replicas that is dropped.
        cuts: The replicas that are cut off.
        unplugged: The replicas whose interface has no carrier.
    """

    def __init__(self, setup: NetworkSetup) -> None:
        self.setup = setup
        # Equal conditions are one object, so that what is composed of them can be found by their ids: hashing
        # and comparing conditions costs as much as imposing them.
        same: dict[NetworkConditions, NetworkConditions] = {}
        self._conditions = {key: same.setdefault(each, each) for key, each in setup.hops.items()}
        self._composed: dict[tuple[int, int, int, Direction], NetworkConditions] = {}
        self.partition: Partition = ()
        self.blocks: tuple[Block, ...] = ()
        self.cuts: set[str] = set()
        self.unplugged: set[str] = set()

    def __repr__(self) -> str:
        return f"<NetworkState {self.setup.name}, {len(self.partition)} groups, {len(self.cuts)} cut>"

    def apply(self, change: Change) -> list[str]:
        """Take a change as what holds from now on.

        Returns:
            The replicas whose hops have other conditions; none for a partition, a block or a cut.

        Raises:
            EmulationError: No gateway applies such a change, or the network has no such hop.
        """
        match change.action:
            case "conditions":
                return self._set(change)
            case "partition":
                self.partition = partition_of(self.setup.nodes, change.after)
            case "block":
                self.blocks = tuple(map(Block.from_dict, change.after))
            case "cut":
                (self.cuts.add if change.after else self.cuts.discard)(str(change.node))
            case "disconnect":
                (self.unplugged.add if change.after else self.unplugged.discard)(str(change.node))
            case other:
                raise EmulationError(f"a gateway can't apply {other!r}")
        return []

    def is_cut(self, replica: str) -> bool:
        """Whether no packet reaches or leaves a replica: it is cut off or unplugged."""
        return replica in self.cuts or replica in self.unplugged

    def _set(self, change: Change) -> list[str]:
        key = self.setup.key_of(change)
        if key not in self._conditions:
            raise EmulationError(f"there is no hop {change.node!r} {key[2]} on network {self.setup.name!r}")
        self._conditions[key] = NetworkConditions.from_dict(change.after)
        self._composed.clear()  # ids hold only as long as their objects
        return [replica for replica, node in self.setup.nodes.items() if change.node in (None, node)]

    def hop(self, replica: str, direction: Direction) -> NetworkConditions:
        """What a replica's hop imposes: the network's conditions and the link's, composed."""
        network_up, network, link = (self._conditions[key] for key in self.setup.sources(replica, direction))
        ids = (id(network_up), id(network), id(link), direction)
        composed = self._composed.get(ids)
        if composed is None:
            composed = hop_conditions(network_up, network, link, direction, shared=self.setup.shared)
            self._composed[ids] = composed
        return composed

    @property
    def bucket(self) -> NetworkConditions | None:
        """The conditions whose rate a shared network's nodes send through; None where it is not shared."""
        return self._conditions[self.setup.rate_key] if self.setup.shared else None
