"""Warnings about scenarios that can be run but may not do what they were meant to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from wotemu.scenario.lint.conditions import Place, suspects
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state import base_conditions
from wotemu.scenario.state.observations import Observed, Overlap
from wotemu.scenario.timeline import HopKey, Timeline
from wotemu.scenario.vocabulary.actions import microseconds, seconds
from wotemu.scenario.vocabulary.targets import Tag, tags_in
from wotemu.scenario.vocabulary.when import GuardedActions, MetricCondition
from wotemu.suggestions import did_you_mean
from wotemu.topology.builtin_apps import BUILTIN_METRICS
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.members import members_by_name
from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology
from wotemu.units import Seconds

MIN_SPACING_US = 50_000
"""Changes of one thing that follow each other faster than this can't be relied on to be told apart."""

MAX_OVERLAPS = 10
"""More overlaps than this are one mistake: the others are only counted."""

MAX_NAMES = 5
"""More names than this are counted in one sentence."""


def lint(
    topology: Topology,
    scenario: Scenario,
    timeline: Timeline,
    observed: Observed,
    late: Mapping[int, int],
) -> list[str]:
    """Warnings, each a sentence.

    Args:
        topology: What the scenario is about.
        scenario: As it is written.
        timeline: What it comes to.
        observed: Which events did something, and which met.
        late: How many changes of which event, by its place, come after the end.
    """
    return [
        *_shadowed(topology, scenario),
        *_conditions(topology, timeline),
        *_one_sided(topology),
        *_services(topology),
        *_overlaps(scenario, observed),
        *_too_fast(timeline),
        *_late(scenario, late),
        *_notes(scenario),
        *_unknown_partitions(scenario, observed),
        *_unreported(topology, scenario),
        *_idle(scenario, observed),
    ]


def folded(names: Sequence[str]) -> str:
    """Names in one sentence: the first few of many, and how many more."""
    if len(names) <= MAX_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:MAX_NAMES])} and {len(names) - MAX_NAMES} more"


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
    for at_s, key, conditions, place in _all_conditions(topology, timeline):
        name = f"{key[1]}@{key[0]}" if key[1] else key[0]
        for kind, text in suspects(conditions, place):
            if (name, kind) not in told:
                told.add((name, kind))
                places.setdefault(text, []).append(name + (f" from {Seconds(at_s)} on" if at_s else ""))
    for text, wheres in places.items():
        yield f"{folded(wheres)}: {text}"


def _all_conditions(
    topology: Topology, timeline: Timeline
) -> Iterator[tuple[float, HopKey, NetworkConditions, Place]]:
    """When, where and what conditions hold."""
    current = base_conditions(topology)
    shared = {network.name for network in topology.networks if network.shared}

    def place(key: HopKey, fall_s: float = 0.0) -> Place:
        network, node, way = key
        own_s, whole = float(current[key].latency), current[network, None, way]
        up_s = float(current[network, None, "up"].latency)
        return Place(
            delay_s=own_s + (up_s if node is not None or way == "down" else 0.0),
            latency_s=own_s + (up_s if node is not None and way == "up" else 0.0),
            network=whole if node is not None and network not in shared else None,
            fall_s=fall_s,
        )

    for key, conditions in list(current.items()):
        yield 0.0, key, conditions, place(key)
    for change in timeline.changes:
        if change.action == "conditions" and change.network and change.direction:
            key = change.network, change.node, change.direction
            current[key] = NetworkConditions.from_dict(change.after)
            fall_s = change.before["latency_s"] - change.after["latency_s"]
            yield change.at_s, key, current[key], place(key, fall_s)


def _one_sided(topology: Topology) -> Iterator[str]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for owner in topology.members:
        for link in owner.links:
            for name in ("latency", "loss"):
                up, down = (bool(getattr(way, name)) for way in (link.up, link.down))
                if up != down:
                    way, other = ("up", "down") if up else ("down", "up")
                    found.setdefault((name, way, other), []).append(f"{owner.name}@{link.network.name}")
    for (name, way, other), links in found.items():
        text = "its link has" if len(links) == 1 else "their links have"
        yield f"{folded(links)}: {text} {name} on the way {way} and none on the way {other}"


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


# Events against each other and against the end


_MEETINGS: dict[Overlap, str] = {
    "hidden": "{second}: it sets {what} below {first}, and shows only once that has ended",
    "covered": "{first} and {second} both set {what}, from {at} on: the one that began later holds",
    "same moment": "{first} and {second} both set {what} at {at}: the one that is written later holds",
    "restored": "{first}: {second} goes on over {what}, as restore ends no period",
    "stacked": "{second}: it adds to {first}, which still holds: heal first, or give both one name",
}


def _overlaps(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Pairs of events that meet."""
    for (first, second, how), (what, at_us) in list(observed.overlaps.items())[:MAX_OVERLAPS]:
        one, two = scenario.events[first].where, scenario.events[second].where
        yield _MEETINGS[how].format(first=one, second=two, what=what, at=seconds(at_us))
    if len(observed.overlaps) > MAX_OVERLAPS:
        yield f"{len(observed.overlaps) - MAX_OVERLAPS} more pairs of events meet so"


def _too_fast(timeline: Timeline) -> Iterator[str]:
    """What changes again before the change before has surely been applied."""
    times: dict[tuple[str, str], list[int]] = {}
    for change in timeline.changes:
        times.setdefault((change.action, change.target), []).append(microseconds(change.at_s))
    found: dict[tuple[str, int], list[str]] = {}
    for (action, target), instants in times.items():
        gaps = (later - earlier for earlier, later in pairwise(instants) if later > earlier)
        spacing_us = min(gaps, default=MIN_SPACING_US)
        if spacing_us < MIN_SPACING_US:
            found.setdefault((action, spacing_us), []).append(target)
    for (action, spacing_us), targets in found.items():
        yield (
            f"{folded(targets)} {_AGAIN[action][len(targets) > 1]} again after {seconds(spacing_us)}: faster "
            f"than every {seconds(MIN_SPACING_US)} can't be relied on"
        )


_AGAIN = {
    "conditions": ("changes", "change"),
    "partition": ("changes", "change"),
    "cut": ("is cut off or let back", "are cut off or let back"),
    "app": ("starts or ends", "start or end"),
}


def _late(scenario: Scenario, late: Mapping[int, int]) -> Iterator[str]:
    """Events, guards and phases that begin or go on after the end."""
    end = seconds(scenario.duration_us)
    for place, event in enumerate(scenario.events):
        if event.start_us >= scenario.duration_us:
            yield f"{event.where}: nothing of it happens, as the end is at {end}"
        elif count := late.get(place):
            yield f"{event.where}: {_counted(count)} left out, as the end is at {end}"
        deadline_us = event.deadline_us if isinstance(event, GuardedActions) else None
        if deadline_us is not None and deadline_us > scenario.duration_us:
            yield f"{event.where}: it never waits until {seconds(deadline_us)}, as the end is at {end}"
    for phase in scenario.phases:
        if phase.start_us >= scenario.duration_us:
            yield f"phase {phase.name!r} is left out, as the end is at {end}"


def _counted(changes: int) -> str:
    return "one of its changes is" if changes == 1 else f"{changes} of its changes are"


def _idle(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Events before the end that change nothing."""
    for place, event in enumerate(scenario.events):
        is_guard = isinstance(event, GuardedActions)
        if place not in observed.busy and not is_guard and event.start_us < scenario.duration_us:
            yield f"{event.where}: it changes nothing, as it is so already"


def _notes(scenario: Scenario) -> Iterator[str]:
    """What events say of themselves."""
    for event in scenario.events:
        yield from event.notes


def _unknown_partitions(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Names that `heal` is given, and no partition has; partitions that guards begin are not known here."""
    if any(isinstance(event, GuardedActions) for event in scenario.events):
        return
    for name, place in observed.healed.items():
        if name not in observed.named:
            hint = did_you_mean(name, sorted(observed.named)) or "none has a name"
            yield f"{scenario.events[place].where}: no partition is called {name!r}: {hint}"


def _unreported(topology: Topology, scenario: Scenario) -> Iterator[str]:
    """Guards that wait for metrics of what reports none."""
    for event in scenario.events:
        condition = event.when.condition if isinstance(event, GuardedActions) else None
        if isinstance(condition, MetricCondition) and (hint := _no_metric(topology, condition)):
            yield f"{event.where}: {hint}"


def _no_metric(topology: Topology, condition: MetricCondition) -> str:
    """Why a metric is surely never reported; "" where it may be."""
    owner = members_by_name(topology).get(condition.node)
    if isinstance(owner, Broker | Service):
        return f"{type(owner).__name__} {owner.name!r} reports no metrics"
    app = owner.app if isinstance(owner, Node) else None
    if app is None or app.path not in BUILTIN_METRICS or condition.key in BUILTIN_METRICS[app.path]:
        return ""
    keys = BUILTIN_METRICS[app.path]
    known = f"it reports {', '.join(keys)}" if keys else "it reports none"
    return f"the built-in app {app.path!r} never reports {condition.key!r}: {known}"
