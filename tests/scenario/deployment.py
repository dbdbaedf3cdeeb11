"""A small deployment that scenarios are tried on, and what became of them in short."""

from __future__ import annotations

from typing import Any

from wotemu.scenario import Scenario, resolve
from wotemu.scenario.timeline import Change, Timeline
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Topology

FIELD = Network("field", conditions=NetworkConditions.of(latency="40ms", rate="15mbit"))
HOME = Network("home")
RADIO = Link(FIELD, up=NetworkConditions.of(loss="1%"))
READER = Node("reader", command=["sleep", "1"], networks=[RADIO, HOME])
SENSOR = Node("sensor", command=["sleep", "1"], networks=[FIELD], scale=2)
TOPOLOGY = Topology([READER, SENSOR])


def timeline_of(*events: Action, duration: Any = "60s", seed: int = 0) -> Timeline:
    """What these events come to on `TOPOLOGY`."""
    return resolve(TOPOLOGY, Scenario(duration=duration, seed=seed, events=events))[0]


def told(change: Change) -> tuple[float, str, Any]:
    """When, what and to what it changes: of conditions, those that change."""
    after = change.after
    if isinstance(after, dict):
        after = {name: value for name, value in after.items() if change.before.get(name) != value}
    return change.at_s, change.target, after


def story(*events: Action, **options: Any) -> list[tuple[float, str, Any]]:
    """All that happens, in short."""
    return [told(change) for change in timeline_of(*events, **options).changes]
