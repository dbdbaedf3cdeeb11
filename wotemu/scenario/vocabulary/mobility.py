"""Nodes that move: hand-overs between networks, and signal by distance along positions."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import State
from wotemu.scenario.state.layers import AddingLayer
from wotemu.scenario.timeline import DIRECTIONS, Change, HopKey
from wotemu.scenario.vocabulary.actions import Ending, Step, TimedStep, parse_offset, seconds
from wotemu.scenario.vocabulary.faults import Occurrence
from wotemu.scenario.vocabulary.radio import PathLoss
from wotemu.scenario.vocabulary.targets import network_name, replicas
from wotemu.topology.members import members_by_name, networks_of
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker

Position = tuple[float, float]
Stop = tuple[int, Network | str]
Waypoint = tuple[int, Position]
"""Microseconds from the begin, and where it is then."""


def stops(path: Any, gap_us: int, where: str) -> tuple[Stop, ...]:
    """A path of networks, checked; between two of them lies more time than a hand-over takes."""
    found = _timed(path, where)
    for _, network in found:
        if not isinstance(network, Network | str):
            raise ScenarioError(f"{network!r} is no Network", where=where, hint='path=[("0s", home), ...]')
    if found[0][0]:
        raise ScenarioError(
            "nothing says where the node is at first", where=where, hint='begin the path with "0s"'
        )
    for (before_us, _), (after_us, _) in pairwise(found):
        if after_us - before_us <= gap_us:
            raise ScenarioError(
                f"the stay from {seconds(before_us)} on is shorter than the gap of {seconds(gap_us)}",
                where=where,
            )
    return found


def route(path: Any, where: str) -> tuple[Waypoint, ...]:
    """A path of positions, checked."""
    return tuple((t_us, _position(place, where)) for t_us, place in _timed(path, where))


def sites(stations: Any, where: str) -> tuple[tuple[Network | str, Position], ...]:
    """Where each network's station is, checked."""
    pairs = list(stations.items()) if isinstance(stations, Mapping) else []
    if not pairs:
        raise ScenarioError(
            "there is no station", where=where, field="stations", hint="stations={network: (x, y)}"
        )
    for network, _ in pairs:
        if not isinstance(network, Network | str):
            raise ScenarioError(f"{network!r} is no Network", where=where, hint="stations={network: (x, y)}")
    return tuple((network, _position(place, where)) for network, place in pairs)


def _timed(path: Any, where: str) -> tuple[tuple[int, Any], ...]:
    good = isinstance(path, Iterable) and not isinstance(path, str)
    items = tuple(path) if good else ()
    if not items or not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        raise ScenarioError(
            f"{path!r} is no path", where=where, field="path", hint='path=[("0s", ...), ("20s", ...)]'
        )
    timed = tuple((parse_offset(t, where, "path"), what) for t, what in items)
    for (before_us, _), (after_us, _) in pairwise(timed):
        if after_us <= before_us:
            raise ScenarioError(
                f"{seconds(after_us)} does not come after {seconds(before_us)}", where=where, field="path"
            )
    return timed


def _position(place: Any, where: str) -> Position:
    try:
        x, y = place
        position = float(x), float(y)
    except (TypeError, ValueError, OverflowError):
        position = (math.nan, math.nan)
    if not all(map(math.isfinite, position)):
        raise ScenarioError(f"{place!r} is no position", where=where, hint="write (x, y) in metres")
    return position


def _is_attached(state: State, names: list[str], network: str, where: str) -> None:
    for replica in names:
        if network not in networks_of(state.topology, replica):
            name = members_by_name(state.topology)[replica].name
            raise ScenarioError(
                f"Node {name!r} is not attached to Network {network!r}",
                where=where,
                hint="give it all networks that it visits",
            )


@attrs.frozen
class Whereabouts:
    """A node that is on one of several networks at a time, as far as one period goes."""

    where: str
    node: Node | Broker | str
    networks: tuple[Network | str, ...]
    away: Occurrence

    def begin(self, first: int) -> Step:
        """On the first network, and off all others."""
        return lambda state, at_us: self._cut_off(state, at_us, lambda network, here: network != here, first)

    def leave(self, place: int) -> Step:
        """Off one network."""
        return lambda state, at_us: self._cut(state, at_us, place, True)

    def arrive(self, place: int) -> Step:
        """Back on one network."""
        return lambda state, at_us: self._cut(state, at_us, place, False)

    @property
    def end(self) -> Ending:
        """On all networks again."""
        return Ending(lambda state, at_us: self._cut_off(state, at_us, lambda _network, _here: False, 0))

    def _cut_off(
        self, state: State, at_us: int, is_cut: Callable[[str, str], bool], here: int
    ) -> Iterator[Change]:
        names = [network_name(network, state.topology, self.where) for network in self.networks]
        visitors = replicas(self.node, state.topology, self.where)
        for network in dict.fromkeys(names):
            _is_attached(state, visitors, network, self.where)
            for replica in visitors:
                yield from state.set_cut(at_us, replica, [network], self.away, is_cut(network, names[here]))

    def _cut(self, state: State, at_us: int, place: int, cut: bool) -> Iterator[Change]:
        network = network_name(self.networks[place], state.topology, self.where)
        for replica in replicas(self.node, state.topology, self.where):
            yield from state.set_cut(at_us, replica, [network], self.away, cut)


@attrs.frozen
class Move:
    """A node that goes from network to network at given times."""

    where: str
    node: Node | Broker | str
    start_us: int
    end_us: int
    stops: tuple[Stop, ...]
    gap_us: int

    def steps(self, _rng: Random, _span_us: int) -> Iterator[TimedStep]:
        """At first it is off all but one; each hand-over is a leave and an arrival; at last it is on all."""
        networks = tuple(network for _, network in self.stops)
        places = Whereabouts(self.where, self.node, networks, Occurrence(self.where))
        yield self.start_us, places.begin(0)
        for number, (t_us, _) in enumerate(self.stops[1:], 1):
            at_us = self.start_us + t_us
            if at_us < self.end_us:
                yield at_us, places.leave(number - 1)
                yield min(at_us + self.gap_us, self.end_us), places.arrive(number)
        yield self.end_us, places.end


@attrs.frozen(kw_only=True)
class Travel:
    """A node that goes along positions, among the stations of networks."""

    where: str
    node: Node | Broker | str
    start_us: int
    end_us: int
    times: tuple[int, ...]
    route: tuple[Waypoint, ...]
    sites: tuple[tuple[Network | str, Position], ...]
    model: PathLoss
    gap_us: int
    hysteresis_db: float

    def position(self, t_us: int) -> Position:
        """Where it is, in a straight line between two waypoints; it stays at the last."""
        index = bisect_right(self.route, t_us, key=lambda point: point[0])
        if index == 0 or index == len(self.route):
            return self.route[max(0, index - 1)][1]
        (first_us, first), (last_us, last) = self.route[index - 1 : index + 1]
        share = (t_us - first_us) / (last_us - first_us)
        return first[0] + (last[0] - first[0]) * share, first[1] + (last[1] - first[1]) * share

    def steps(self, rng: Random, _span_us: int) -> Iterator[TimedStep]:
        """The conditions at each place, and a hand-over wherever another network is heard better."""
        networks = tuple(network for network, _ in self.sites)
        places = Whereabouts(self.where, self.node, networks, Occurrence(self.where))
        radio = _Radio(self.where, self.node, networks, self.model)
        now: int | None = None
        settled_us = 0
        for at_us in self.times:
            if at_us >= self.end_us:
                break
            place = self.position(at_us - self.start_us)
            heard = [self.model.signal_dbm(math.dist(place, site), rng) for _, site in self.sites]
            loudest = max(range(len(heard)), key=heard.__getitem__)
            yield at_us, radio.hear(heard)
            if now is None:
                now = loudest
                yield at_us, places.begin(now)
            elif heard[loudest] > heard[now] + self.hysteresis_db and at_us >= settled_us:
                yield at_us, places.leave(now)
                now, settled_us = loudest, at_us + self.gap_us
                yield min(settled_us, self.end_us), places.arrive(now)
        yield self.end_us, places.end
        yield self.end_us, Ending(radio.end)


class _Radio:
    """What distance does to a node's links, beside their own conditions."""

    def __init__(
        self, where: str, node: Node | Broker | str, networks: tuple[Network | str, ...], model: PathLoss
    ) -> None:
        self._where = where
        self._node = node
        self._networks = networks
        self._model = model
        self._layer = AddingLayer(where)

    def hear(self, heard: Sequence[float]) -> Step:
        """A step to these signals, one of each network."""

        def step(state: State, at_us: int) -> Iterator[Change]:
            self._layer.event = state.event
            for keys, signal_dbm in zip(self._keys(state), heard, strict=True):
                values = self._model.conditions(signal_dbm)
                for key in keys:
                    yield from state.lay(at_us, key, self._layer, values)

        return step

    def end(self, state: State, at_us: int) -> Iterator[Change]:
        """The links are as they were without it."""
        for keys in self._keys(state):
            for key in keys:
                yield from state.lift(at_us, key, self._layer)

    def _keys(self, state: State) -> Iterator[list[HopKey]]:
        """The hops of the node's links, for each network."""
        names = replicas(self._node, state.topology, self._where)
        nodes = dict.fromkeys(members_by_name(state.topology)[name].name for name in names)
        for site in self._networks:
            network = network_name(site, state.topology, self._where)
            _is_attached(state, names, network, self._where)
            yield [(network, node, way) for node in nodes for way in DIRECTIONS]
