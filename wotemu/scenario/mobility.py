"""Nodes that move: hand-overs between networks, and signal by distance along positions."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.events import Step, TimedStep, moment
from wotemu.scenario.hops import impose_on
from wotemu.scenario.radio import PathLoss
from wotemu.scenario.state import State, networks_of, owners
from wotemu.scenario.targets import network_name, replicas
from wotemu.scenario.timeline import DIRECTIONS, Change
from wotemu.topology.models import Broker, Network, Node
from wotemu.units import Seconds

Position = tuple[float, float]
Stop = tuple[float, Network | str]
Waypoint = tuple[float, Position]


def stops(path: Any, gap_s: float, where: str) -> tuple[Stop, ...]:
    """A path of networks, checked; between two of them lies more time than a hand-over takes."""
    found = _timed(path, where)
    for _, network in found:
        if not isinstance(network, Network | str):
            raise ScenarioError(f"{network!r} is no Network", where=where, hint='path=[("0s", home), ...]')
    if found[0][0]:
        raise ScenarioError(
            "nothing says where the node is at first", where=where, hint='begin the path with "0s"'
        )
    for (before_s, _), (after_s, _) in pairwise(found):
        if after_s - before_s <= gap_s:
            raise ScenarioError(
                f"the stay from {Seconds(before_s)} on is shorter than the gap of {Seconds(gap_s)}",
                where=where,
            )
    return found


def route(path: Any, where: str) -> tuple[Waypoint, ...]:
    """A path of positions, checked."""
    return tuple((t_s, _position(place, where)) for t_s, place in _timed(path, where))


def sites(stations: Any, where: str) -> tuple[tuple[Network | str, Position], ...]:
    """Where each network's station is, checked."""
    pairs = list(stations.items()) if isinstance(stations, Mapping) else []
    if not pairs:
        raise ScenarioError("there is no station", where=where, hint="stations={network: (x, y)}")
    return tuple((network, _position(place, where)) for network, place in pairs)


def _timed(path: Any, where: str) -> tuple[tuple[float, Any], ...]:
    good = isinstance(path, Iterable) and not isinstance(path, str)
    items = tuple(path) if good else ()
    if not items or not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        raise ScenarioError(f"{path!r} is no path", where=where, hint='path=[("0s", ...), ("20s", ...)]')
    timed = tuple((moment(t, f"{where}, path"), what) for t, what in items)
    for (before_s, _), (after_s, _) in pairwise(timed):
        if after_s <= before_s:
            raise ScenarioError(f"{Seconds(after_s)} does not come after {Seconds(before_s)}", where=where)
    return timed


def _position(place: Any, where: str) -> Position:
    try:
        x, y = place
        position = float(x), float(y)
    except (TypeError, ValueError):
        position = (math.nan, math.nan)
    if not all(map(math.isfinite, position)):
        raise ScenarioError(f"{place!r} is no position", where=where, hint="write (x, y) in metres")
    return position


def _cut(state: State, at_s: float, names: Iterable[str], network: str, cut: bool) -> Iterator[Change]:
    for replica in names:
        yield from state.set_cut(at_s, replica, [network], "away", cut)


def _is_attached(state: State, names: list[str], network: str, where: str) -> None:
    for replica in names:
        if network not in networks_of(state.topology, replica):
            name = owners(state.topology)[replica].name
            raise ScenarioError(
                f"Node {name!r} is not attached to Network {network!r}",
                where=where,
                hint="give it all networks that it visits",
            )


@attrs.frozen
class Move:
    """A node that goes from network to network at given times."""

    where: str
    node: Node | Broker | str
    start_s: float
    end_s: float
    stops: tuple[Stop, ...]
    gap_s: float

    def steps(self, _rng: Random, _duration_s: float) -> Iterator[TimedStep]:
        """At first it is off all but one; then each hand-over is a leave and an arrival."""
        yield self.start_s, self._begin
        for (_, before), (t_s, after) in pairwise(self.stops):
            at_s = self.start_s + t_s
            if at_s > self.end_s:
                return
            yield at_s, self._step(before, True)
            yield at_s + self.gap_s, self._step(after, False)

    def _begin(self, state: State, at_s: float) -> Iterator[Change]:
        visited = [network_name(network, state.topology, self.where) for _, network in self.stops]
        names = replicas(self.node, state.topology, self.where)
        for network in dict.fromkeys(visited):
            _is_attached(state, names, network, self.where)
            yield from _cut(state, at_s, names, network, network != visited[0])

    def _step(self, target: Network | str, cut: bool) -> Step:
        def step(state: State, at_s: float) -> Iterator[Change]:
            network = network_name(target, state.topology, self.where)
            return _cut(state, at_s, replicas(self.node, state.topology, self.where), network, cut)

        return step


@attrs.frozen(kw_only=True)
class Travel:
    """A node that goes along positions, among the stations of networks."""

    where: str
    node: Node | Broker | str
    start_s: float
    times: tuple[float, ...]
    route: tuple[Waypoint, ...]
    sites: tuple[tuple[Network | str, Position], ...]
    model: PathLoss
    gap_s: float
    hysteresis_db: float

    def position(self, t_s: float) -> Position:
        """Where it is, in a straight line between two waypoints; it stays at the last."""
        index = bisect_right(self.route, t_s, key=lambda point: point[0])
        if index == 0 or index == len(self.route):
            return self.route[max(0, index - 1)][1]
        (first_s, first), (last_s, last) = self.route[index - 1 : index + 1]
        share = (t_s - first_s) / (last_s - first_s)
        return first[0] + (last[0] - first[0]) * share, first[1] + (last[1] - first[1]) * share

    def steps(self, rng: Random, _duration_s: float) -> Iterator[TimedStep]:
        """The conditions at each place, and a hand-over wherever another network is heard better."""
        now: int | None = None
        settled_s = 0.0
        for at_s in self.times:
            place = self.position(at_s - self.start_s)
            heard = [self.model.signal_dbm(math.dist(place, site), rng) for _, site in self.sites]
            loudest = max(range(len(heard)), key=heard.__getitem__)
            yield at_s, self._conditions(heard)
            if now is None:
                now = loudest
                yield at_s, self._begin(now)
            elif heard[loudest] > heard[now] + self.hysteresis_db and at_s >= settled_s:
                yield at_s, self._step(now, True)
                now, settled_s = loudest, at_s + self.gap_s
                yield at_s + self.gap_s, self._step(now, False)

    def _name(self, state: State, site: int) -> str:
        return network_name(self.sites[site][0], state.topology, self.where)

    def _conditions(self, heard: Sequence[float]) -> Step:
        def step(state: State, at_s: float) -> Iterator[Change]:
            names = replicas(self.node, state.topology, self.where)
            nodes = dict.fromkeys(owners(state.topology)[name].name for name in names)
            for site, signal_dbm in enumerate(heard):
                network = self._name(state, site)
                _is_attached(state, names, network, self.where)
                values = self.model.conditions(signal_dbm)
                for node in nodes:
                    for way in DIRECTIONS:
                        key = (network, node, way)
                        yield from impose_on(state, at_s, key, None, values)

        return step

    def _begin(self, first: int) -> Step:
        def step(state: State, at_s: float) -> Iterator[Change]:
            names = replicas(self.node, state.topology, self.where)
            for site in range(len(self.sites)):
                yield from _cut(state, at_s, names, self._name(state, site), site != first)

        return step

    def _step(self, site: int, cut: bool) -> Step:
        def step(state: State, at_s: float) -> Iterator[Change]:
            names = replicas(self.node, state.topology, self.where)
            return _cut(state, at_s, names, self._name(state, site), cut)

        return step
