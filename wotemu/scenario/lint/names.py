"""Warnings about names that mean two things, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state.observations import Observed
from wotemu.scenario.vocabulary.targets import Tag, tags_in
from wotemu.scenario.vocabulary.when import GuardedActions
from wotemu.suggestions import did_you_mean
from wotemu.topology.topology import Topology


def ambiguous_names(topology: Topology, scenario: Scenario) -> Iterator[str]:
    """Names of both a network and a node, and tags of the name of something else."""
    nodes = {member.name for member in topology.members}
    networks = {network.name for network in topology.networks}
    for name in sorted(nodes & networks):
        yield (
            f"{name!r} is the name of a network and of a node: a scenario that names it has to say "
            f"'network:{name}' or 'node:{name}'"
        )
    tags: dict[str, Tag] = {}
    for event in scenario.events:
        for tag in tags_in(getattr(event, "target", None)):
            other = tags.setdefault(tag.name, tag)
            if other != tag:
                yield f"two different tags are called {tag.name!r}"
    for name in sorted(tags.keys() & (nodes | networks)):
        kind = "node" if name in nodes else "network"
        yield f"tag {name!r} has the name of a {kind}: the text {name!r} means the {kind}"


def unknown_partitions(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Calls of `heal` with a name that no partition or block has; none where guards may begin some."""
    if any(isinstance(event, GuardedActions) for event in scenario.events):
        return
    for name, place in observed.healed.items():
        if name not in observed.named:
            hint = did_you_mean(name, sorted(observed.named)) or "none has a name"
            yield f"{scenario.events[place].where}: no partition or block is called {name!r}: {hint}"
