"""What the conditions of one network were at any time of a run. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from wotemu.scenario.timeline import Change, Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.crossing import hop_conditions

Value = TypeVar("Value")

HopKey = tuple[str | None, Direction]
"""A node (None: the network's own conditions) and a direction."""


@attrs.frozen(kw_only=True)
class Place:
    """A network at T0: `nodes` names each replica's node, `hops` has the conditions by node and direction."""

    name: str
    shared: bool
    nodes: Mapping[str, str]
    hops: Mapping[HopKey, NetworkConditions]

    @classmethod
    def of(
        cls, name: str, *, shared: bool, nodes: Mapping[str, str], hops: Iterable[dict[str, Any]]
    ) -> Place:
        """From hops as an assignment holds them."""
        return cls(
            name=name,
            shared=shared,
            nodes=nodes,
            hops={
                (hop["node"], hop["direction"]): NetworkConditions.from_dict(hop["conditions"])
                for hop in hops
            },
        )


class Track(Generic[Value]):
    """One value over time."""

    __slots__ = ("_since", "_values")

    def __init__(self, first: Value) -> None:
        self._since = [-math.inf]
        self._values = [first]

    def set(self, t: float, value: Value) -> None:
        """It is `value` from `t` on."""
        at = bisect_right(self._since, t)
        self._since.insert(at, t)
        self._values.insert(at, value)

    def at(self, t: float) -> Value:
        """Its value at `t`."""
        return self._values[bisect_right(self._since, t) - 1]

    def between(self, start: float, end: float) -> Sequence[float]:
        """When it changed within a time."""
        return self._since[bisect_right(self._since, start) : bisect_right(self._since, end)]


class History:
    """Conditions, partitions and cuts of one network from T0 on, as its gateway says that they changed."""

    def __init__(self, place: Place) -> None:
        self._shared = place.shared
        self._nodes = dict(place.nodes)
        self._hops = {key: Track(conditions) for key, conditions in place.hops.items()}
        self._groups: Track[tuple[frozenset[str], ...]] = Track(())
        self._cuts = {replica: Track(False) for replica in place.nodes}

    def apply(self, t: float, change: Change) -> None:
        """A change took hold at `t`. What is no change of this network's packets is passed over."""
        match change.action:
            case "conditions" if (key := (change.node, change.direction or "up")) in self._hops:
                self._hops[key].set(t, NetworkConditions.from_dict(change.after))
            case "partition":
                self._groups.set(t, groups(self._nodes, change.after))
            case "cut" if change.node in self._cuts:
                self._cuts[change.node].set(t, bool(change.after))

    def conditions(
        self, replica: str, direction: Direction, start: float, end: float
    ) -> list[NetworkConditions]:
        """All that a replica's hop imposed within a time, at least one, in order."""
        node = self._nodes[replica]
        tracks = [self._hops[None, "up"], self._hops[None, direction], self._hops[node, direction]]
        return [self._composed(replica, direction, t) for t in _instants(tracks, start, end)]

    def _composed(self, replica: str, direction: Direction, t: float) -> NetworkConditions:
        return hop_conditions(
            self._hops[None, "up"].at(t),
            self._hops[None, direction].at(t),
            self._hops[self._nodes[replica], direction].at(t),
            direction,
            shared=self._shared,
        )

    def bucket(self, t: float) -> NetworkConditions | None:
        """What all nodes of a shared network send through; None where it is not shared."""
        return self._hops[None, "up"].at(t) if self._shared else None

    def ways(self, sender: str, receiver: str, start: float, end: float) -> set[bool]:
        """Whether packets could pass within a time: always, never, or (both) now and then."""
        tracks: list[Track[Any]] = [self._groups, self._cuts[sender], self._cuts[receiver]]
        return {self._is_open(sender, receiver, t) for t in _instants(tracks, start, end)}

    def _is_open(self, sender: str, receiver: str, t: float) -> bool:
        cut = self._cuts[sender].at(t) or self._cuts[receiver].at(t)
        return not cut and reaches(self._groups.at(t), sender, receiver)


def groups(replicas: Collection[str], named: Iterable[Iterable[str]]) -> tuple[frozenset[str], ...]:
    """A partition's sets of the replicas that are here; a single one is kept from all others."""
    present = frozenset(replicas)
    sets = tuple(present.intersection(group) for group in named)
    return (*sets, present - sets[0]) if len(sets) == 1 else sets


def reaches(sets: Iterable[Collection[str]], sender: str, receiver: str) -> bool:
    """Whether a partition lets packets from one replica to the other; replicas in no set reach all."""
    inside = [
        next((i for i, names in enumerate(sets) if replica in names), None) for replica in (sender, receiver)
    ]
    return None in inside or inside[0] == inside[1]


def _instants(tracks: Iterable[Track[Any]], start: float, end: float) -> Iterator[float]:
    yield start
    yield from sorted({t for track in tracks for t in track.between(start, end)})
