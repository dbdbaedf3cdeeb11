"""What the conditions of one network were at any time of a run. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from wotemu.scenario.timeline import Change, Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.hop_conditions import hop_conditions
from wotemu_runtime.fidelity.rates import RateCourse

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
    """One value over time; `since` is when each of `values` began to hold."""

    __slots__ = ("since", "values")

    def __init__(self, first: Value) -> None:
        self.since = [-math.inf]
        self.values = [first]

    def set(self, t: float, value: Value) -> None:
        """It is `value` from `t` on."""
        at = bisect_right(self.since, t)
        self.since.insert(at, t)
        self.values.insert(at, value)

    def at(self, t: float) -> Value:
        """Its value at `t`."""
        return self.values[bisect_right(self.since, t) - 1]

    def between(self, start: float, end: float) -> Sequence[float]:
        """When it changed within a time."""
        return self.since[bisect_right(self.since, start) : bisect_right(self.since, end)]


class History:
    """Conditions, partitions and cuts of one network from T0 on, as its gateway says that they changed."""

    def __init__(self, place: Place) -> None:
        self._shared = place.shared
        self._nodes = dict(place.nodes)
        self._known: dict[NetworkConditions, NetworkConditions] = {}
        self._composed: dict[tuple[int, int, int, Direction], NetworkConditions] = {}
        self._courses: dict[tuple[Direction, int], RateCourse] = {}
        self._hops = {key: Track(self._one(conditions)) for key, conditions in place.hops.items()}
        self._groups: Track[tuple[frozenset[str], ...]] = Track(())
        self._cuts = {replica: Track(False) for replica in place.nodes}

    def apply(self, t: float, change: Change) -> None:
        """A change took hold at `t`. What is no change of this network's packets is passed over."""
        self._courses.clear()
        match change.action:
            case "conditions" if (key := (change.node, change.direction or "up")) in self._hops:
                self._hops[key].set(t, self._one(NetworkConditions.from_dict(change.after)))
            case "partition":
                self._groups.set(t, groups(self._nodes, change.after))
            case "cut" if change.node in self._cuts:
                self._cuts[change.node].set(t, bool(change.after))

    def conditions(
        self, replica: str, direction: Direction, start: float, end: float
    ) -> list[NetworkConditions]:
        """All that a replica's hop imposed within a time, at least one, in order."""
        tracks = self._tracks(replica, direction)
        return [
            self._compose(*(track.at(t) for track in tracks), direction=direction)
            for t in _instants(tracks, start, end)
        ]

    def course(self, replica: str, direction: Direction) -> RateCourse:
        """A replica's hop's rate over the run."""
        tracks = self._tracks(replica, direction)
        own = tracks[-1]
        key = (direction, id(own.values[0] if len(own.values) == 1 else own))
        if key not in self._courses:
            self._courses[key] = RateCourse(list(self._spans(tracks, direction)))
        return self._courses[key]

    def shared_course(self) -> RateCourse:
        """A shared network's own rate over the run."""
        track = self._hops[None, "up"]
        return RateCourse(list(zip(track.since, track.values, strict=True)))

    def _spans(
        self, tracks: Sequence[Track[NetworkConditions]], direction: Direction
    ) -> Iterator[tuple[float, NetworkConditions]]:
        """Since when a hop had which conditions, in order; the first ones since ever."""
        before = None
        for start in sorted({t for track in tracks for t in track.since}):
            network_up, network, link = (track.at(start) for track in tracks)
            now = self._compose(network_up, network, link, direction=direction)
            if now is not before:
                yield start, now
            before = now

    def _tracks(self, replica: str, direction: Direction) -> tuple[Track[NetworkConditions], ...]:
        """What a hop's conditions are composed of."""
        return (
            self._hops[None, "up"],
            self._hops[None, direction],
            self._hops[self._nodes[replica], direction],
        )

    def _compose(
        self,
        network_up: NetworkConditions,
        network: NetworkConditions,
        link: NetworkConditions,
        *,
        direction: Direction,
    ) -> NetworkConditions:
        """`hop_conditions`, once for the same ones: composing takes 50 us, and hops are alike.

        All conditions here are kept by `_known`, so that an id stands for a value as long as this lives.
        """
        key = id(network_up), id(network), id(link), direction
        found = self._composed.get(key)
        if found is None:
            found = hop_conditions(network_up, network, link, direction, shared=self._shared)
            self._composed[key] = found = self._one(found)
        return found

    def _one(self, conditions: NetworkConditions) -> NetworkConditions:
        """The same object for equal conditions."""
        return self._known.setdefault(conditions, conditions)

    def buckets(self, start: float, end: float) -> list[NetworkConditions | None]:
        """All that a shared network's nodes sent through within a time; one None where it is not shared."""
        track = self._hops[None, "up"]
        return [track.at(t) for t in _instants([track], start, end)] if self._shared else [None]

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
