"""Warnings about scenarios that can be run but may not do what they were meant to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import attrs

from wotemu.scenario.conditions_lint import suspects
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state import HopKey, base_conditions
from wotemu.scenario.targets import Tag, tags_in
from wotemu.scenario.timeline import Change, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.models import Topology
from wotemu.units import Seconds

MIN_SPACING_S = 0.05
"""Changes of one thing that follow each other faster than this can't be relied on to be told apart."""

MAX_OVERLAPS = 10
"""More overlaps than this are one mistake: the others are only counted."""


def lint(topology: Topology, scenario: Scenario, timeline: Timeline, sources: Mapping[int, int]) -> list[str]:
    """Warnings, each a sentence. `sources` says which event (its place) each change (its id) comes from."""
    return [
        *_shadowed(topology, scenario),
        *_conditions(topology, timeline),
        *_one_sided(topology),
        *_services(topology),
        *_overlaps(scenario, timeline, sources),
        *_too_fast(timeline),
        *_idle(scenario, timeline, sources),
    ]


# Names


def _shadowed(topology: Topology, scenario: Scenario) -> Iterator[str]:
    nodes = {owner.name for owner in topology.members}
    networks = {network.name for network in topology.networks}
    for name in sorted(nodes & networks):
        yield f"{name!r} is the name of a network and of a node: a scenario can't say {name!r} for either"
    tags: dict[str, Tag] = {}
    for event in scenario.events:
        for tag in tags_in(getattr(event, "target", None)):
            other = tags.setdefault(tag.name, tag)
            if other != tag:
                yield f"two different tags are called {tag.name!r}"
    for name in sorted(tags.keys() & (nodes | networks)):
        kind = "node" if name in nodes else "network"
        yield f"tag {name!r} has the name of a {kind}: the text {name!r} means the {kind}"


# Conditions, those at the start and all that come


def _conditions(topology: Topology, timeline: Timeline) -> Iterator[str]:
    """What is suspect of each hop's conditions: each kind of suspicion once for a place."""
    told: set[tuple[str, str]] = set()
    places: dict[str, list[str]] = {}
    overtaking: dict[str, list[str]] = {}
    for at_s, key, conditions, delay_s in _all_conditions(topology, timeline):
        place = f"{key[1]}@{key[0]}" if key[1] else key[0]
        for kind, text in suspects(conditions, delay_s):
            if (place, kind) in told:
                continue
            told.add((place, kind))
            where = place + (f" from {Seconds(at_s)} on" if at_s else "")
            (overtaking if kind == "jitter" else places).setdefault(text, []).append(where)
    if overtaking:  # as on most links with jitter: one sentence for all of them
        which = "; ".join(f"{', '.join(wheres)} ({text})" for text, wheres in overtaking.items())
        yield f"packets in a row will overtake each other, for jitter: {which}"
    for text, wheres in places.items():
        yield f"{', '.join(wheres)}: {text}"


def _all_conditions(
    topology: Topology, timeline: Timeline
) -> Iterator[tuple[float, HopKey, NetworkConditions, float]]:
    """When, where and what conditions hold, with the delay of the whole way that they are a part of."""
    current = base_conditions(topology)

    def delay_s(key: HopKey) -> float:
        network, node, way = key
        before = current[network, None, "up"].latency if node is not None or way == "down" else 0.0
        return before + current[key].latency

    for key, conditions in list(current.items()):
        yield 0.0, key, conditions, delay_s(key)
    for change in timeline.changes:
        if change.action == "conditions" and change.network and change.direction:
            key = change.network, change.node, change.direction
            current[key] = NetworkConditions.from_dict(change.after)
            yield change.at_s, key, current[key], delay_s(key)


def _one_sided(topology: Topology) -> Iterator[str]:
    for owner in topology.members:
        for link in owner.links:
            for name in ("latency", "loss"):
                up, down = (bool(getattr(way, name)) for way in (link.up, link.down))
                if up != down:
                    way, other = ("up", "down") if up else ("down", "up")
                    yield (
                        f"{owner.name}@{link.network.name}: its link has {name} on the way {way} and none on "
                        f"the way {other}"
                    )


def _services(topology: Topology) -> Iterator[str]:
    """Services that are on no network, where their nodes are on one; and what shaping others takes."""
    for service in topology.services:
        users = [node.name for node in topology.nodes if service in node.services and node.links]
        if users and not service.links:
            yield (
                f"{service.name} is on no network: what goes between it and {', '.join(users)} is not "
                "shaped; give Service(networks=[...]) to shape it"
            )
        if service.links and service.image is not None:
            yield (
                f"{service.name} runs from an image: on a cluster it sees all its clients at one address, "
                "and connections that it opens itself reach nobody"
            )


# Events against each other


@attrs.frozen
class _Touch:
    """An event's changes of one condition of one hop: from the first to the last, and how many."""

    first_s: float
    last_s: float


def _overlaps(scenario: Scenario, timeline: Timeline, sources: Mapping[int, int]) -> Iterator[str]:
    """Pairs of events that set the same condition of the same hop in turns, or at the same time."""
    pairs: dict[tuple[int, int], tuple[str, float]] = {}
    for (place, name), touched in _touches(timeline, sources).items():
        spans = _spans(touched)
        for first, second in _interleaved(spans):
            pairs.setdefault((first, second), (f"{name} of {place}", spans[second].first_s))
    for (first, second), (what, at_s) in list(pairs.items())[:MAX_OVERLAPS]:
        one, two = scenario.events[first].where, scenario.events[second].where
        same = one == two
        yield (
            f"{one} and {'another such event' if same else two} both set {what}, from {Seconds(at_s)} on: "
            "whichever set it last wins, at the same moment the one that is written later"
        )
    if len(pairs) > MAX_OVERLAPS:
        yield f"{len(pairs) - MAX_OVERLAPS} more pairs of events overlap so"


def _touches(
    timeline: Timeline, sources: Mapping[int, int]
) -> dict[tuple[str, str], list[tuple[float, int]]]:
    """By place and condition: when which event changed it, in order."""
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for change in timeline.changes:
        for name in _names(change):
            found.setdefault((change.target, name), []).append((change.at_s, sources[change.id]))
    return found


def _names(change: Change) -> list[str]:
    """What a change is a change of."""
    before, after = change.before, change.after
    if change.action != "conditions":
        return [] if change.action in ("cut", "app") else [change.action]  # those compose, or take turns
    return [_plain(name) for name in {**before, **after} if before.get(name) != after.get(name)]


def _plain(name: str) -> str:
    for unit in ("_s", "_bps", "_bytes"):
        name = name.removesuffix(unit)
    return name


def _spans(touched: list[tuple[float, int]]) -> dict[int, _Touch]:
    spans: dict[int, _Touch] = {}
    for at_s, event in touched:
        first_s = spans[event].first_s if event in spans else at_s
        spans[event] = _Touch(first_s, at_s)
    return spans


def _interleaved(spans: Mapping[int, _Touch]) -> Iterator[tuple[int, int]]:
    """Pairs of events of which the second begins before the first has done its last."""
    ordered: list[tuple[int, _Touch]] = sorted(spans.items(), key=lambda item: (item[1].first_s, item[0]))
    for place, (first, one) in enumerate(ordered):
        for second, two in ordered[place + 1 :]:
            if two.first_s > one.last_s:
                break
            if two.first_s < one.last_s or one.first_s == two.first_s == one.last_s == two.last_s:
                yield first, second


def _too_fast(timeline: Timeline) -> Iterator[str]:
    """What changes again before the change before has surely been applied."""
    times: dict[tuple[str, str], list[float]] = {}
    for change in timeline.changes:
        times.setdefault((change.target, change.action), []).append(change.at_s)
    for (target, action), instants in times.items():
        spacing_s = min(
            (later - earlier for earlier, later in pairwise(instants) if later > earlier), default=1
        )
        if spacing_s < MIN_SPACING_S:
            what = {"cut": "is cut off or let back", "app": "starts or ends"}.get(action, "changes")
            yield (
                f"{target} {what} again after {Seconds(round(spacing_s, 6))}: faster than every "
                f"{Seconds(MIN_SPACING_S)} can't be relied on"
            )


def _idle(scenario: Scenario, timeline: Timeline, sources: Mapping[int, int]) -> Iterator[str]:
    """Events before the end that change nothing."""
    busy = {sources[change.id] for change in timeline.changes}
    for place, event in enumerate(scenario.events):
        guarded = hasattr(event, "when")
        if place not in busy and not guarded and event.start_s < scenario.duration_s:
            yield f"{event.where} changes nothing: it is so already"
