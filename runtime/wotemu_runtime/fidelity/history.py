"""The conditions of one network over the time of a run. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Change, Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.conditions.hop_conditions import air_time_conditions, hop_conditions
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.conditions.partition import Partition, partition_of, reaches
from wotemu_gateways.packets.probe import PORT
from wotemu_runtime.fidelity.rates import RateCourse

Value = TypeVar("Value")


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

    def began(self, t: float) -> float:
        """When the value began to hold that holds at `t`."""
        return self.since[bisect_right(self.since, t) - 1]

    def began_before(self, t: float) -> float:
        """When the value began to hold that held until `t`; minus infinity for the first one."""
        return self.since[max(bisect_left(self.since, t) - 1, 0)]

    def between(self, start: float, end: float) -> Sequence[float]:
        """When it changed within a time."""
        return self.since[bisect_right(self.since, start) : bisect_right(self.since, end)]


class History:
    """Conditions, partitions, blocks and cuts of one network from T0 on, as its gateway changed them."""

    def __init__(self, setup: NetworkSetup) -> None:
        self._setup = setup
        self._known: dict[NetworkConditions, NetworkConditions] = {}
        self._composed: dict[tuple[int, int, int, Direction], NetworkConditions] = {}
        self._courses: dict[tuple[Direction, int], RateCourse] = {}
        """Courses over the time `_courses_of`: hops that are alike share them."""
        self._courses_of = (math.inf, math.inf)
        self._hops = {key: Track(self._one(conditions)) for key, conditions in setup.hops.items()}
        self._groups: Track[Partition] = Track(())
        self._blocks: Track[tuple[Block, ...]] = Track(())
        self._cuts = {replica: Track(False) for replica in setup.nodes}
        self._unplugged = {replica: Track(False) for replica in setup.nodes}

    def apply(self, t: float, change: Change) -> None:
        """A change took hold at `t`. What is no change of this network's packets is passed over."""
        self._courses_of = (math.inf, math.inf)
        match change.action:
            case "conditions" if (key := self._setup.key_of(change)) in self._hops:
                self._hops[key].set(t, self._one(NetworkConditions.from_dict(change.after)))
            case "partition":
                self._groups.set(t, partition_of(self._setup.nodes, change.after))
            case "block":
                self._blocks.set(t, tuple(map(Block.from_dict, change.after)))
            case "cut" if change.node in self._cuts:
                self._cuts[change.node].set(t, bool(change.after))
            case "disconnect" if change.node in self._unplugged:
                self._unplugged[change.node].set(t, bool(change.after))

    def conditions(
        self, replica: str, direction: Direction, start: float, end: float
    ) -> list[NetworkConditions]:
        """All that a replica's hop imposed within a time, at least one, in order."""
        tracks = self._tracks(replica, direction)
        return [
            self._compose(*(track.at(t) for track in tracks), direction=direction)
            for t in _instants(tracks, start, end)
        ]

    def course(
        self, replica: str, direction: Direction, start: float = -math.inf, end: float = math.inf
    ) -> RateCourse:
        """A replica's hop's rate over a time, with the span of conditions that came before it."""
        if (start, end) != self._courses_of:
            self._courses.clear()
            self._courses_of = (start, end)
        tracks = self._tracks(replica, direction)
        own = tracks[-1]
        key = (direction, id(own.values[0] if len(own.values) == 1 else own))
        if key not in self._courses:
            self._courses[key] = RateCourse(list(self._spans(tracks, direction, start, end)))
        return self._courses[key]

    def shared_course(self, start: float = -math.inf, end: float = math.inf) -> RateCourse:
        """A shared network's own rate over a time, with the span of conditions that came before it.

        Its duty cycle is each sender's, not the channel's.
        """
        track, always = self._hops[self._setup.rate_key], {"duty_cycle": CLEAR.duty_cycle}
        return RateCourse([(t, track.at(t).replaced(always)) for t in _starts([track], start, end)])

    def _spans(
        self, tracks: Sequence[Track[NetworkConditions]], direction: Direction, start: float, end: float
    ) -> Iterator[tuple[float, NetworkConditions]]:
        """Since when a hop had which conditions, in order."""
        before = None
        for since in _starts(tracks, start, end):
            network_up, network, link = (track.at(since) for track in tracks)
            now = self._compose(network_up, network, link, direction=direction)
            if self._setup.shared and now.duty_cycle < 1:
                now = self._one(air_time_conditions(now, network_up))
            if now is not before:
                yield since, now
            before = now

    def _tracks(self, replica: str, direction: Direction) -> tuple[Track[NetworkConditions], ...]:
        """What a hop's conditions are composed of."""
        return tuple(self._hops[key] for key in self._setup.sources(replica, direction))

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
            found = hop_conditions(network_up, network, link, direction, shared=self._setup.shared)
            self._composed[key] = found = self._one(found)
        return found

    def _one(self, conditions: NetworkConditions) -> NetworkConditions:
        """The same object for equal conditions."""
        return self._known.setdefault(conditions, conditions)

    def buckets(self, start: float, end: float) -> list[NetworkConditions | None]:
        """All that a shared network's nodes sent through within a time; one None where it is not shared."""
        track = self._hops[self._setup.rate_key]
        return [track.at(t) for t in _instants([track], start, end)] if self._setup.shared else [None]

    def ways(self, sender: str, receiver: str, start: float, end: float) -> set[bool]:
        """Whether probes could pass within a time: always, never, or (both) now and then."""
        ends = [each[replica] for each in (self._cuts, self._unplugged) for replica in (sender, receiver)]
        tracks: list[Track[Any]] = [self._groups, self._blocks, *ends]
        return {self._is_open(sender, receiver, t) for t in _instants(tracks, start, end)}

    def _is_open(self, sender: str, receiver: str, t: float) -> bool:
        ends = (each[replica] for each in (self._cuts, self._unplugged) for replica in (sender, receiver))
        cut = any(track.at(t) for track in ends)
        if cut or not reaches(self._groups.at(t), sender, receiver):
            return False
        return not any(
            block.concerns(sender, receiver) and block.matches("udp", PORT, PORT)
            for block in self._blocks.at(t)
        )


def _starts(tracks: Sequence[Track[Any]], start: float, end: float) -> list[float]:
    """When the conditions began that held within a time, and those before them."""
    first = max(track.began(start) for track in tracks)
    before = max(track.began_before(first) for track in tracks)
    return sorted({before, first, *(t for track in tracks for t in track.between(start, end))})


def _instants(tracks: Iterable[Track[Any]], start: float, end: float) -> Iterator[float]:
    yield start
    yield from sorted({t for track in tracks for t in track.between(start, end)})
