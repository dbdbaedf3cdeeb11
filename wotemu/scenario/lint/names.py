"""Warnings about names that mean two things, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state.observations import Observed
from wotemu.scenario.vocabulary.targets import Tag, tags_in
from wotemu.scenario.vocabulary.when import GuardedActions, MetricCondition
from wotemu.suggestions import did_you_mean
from wotemu.topology.builtin_apps import BUILTIN_METRICS
from wotemu.topology.members import members_by_name
from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink


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


def unreported_metrics(topology: Topology, scenario: Scenario) -> Iterator[str]:
    """Guards and objectives about a metric that surely never is reported."""
    for event in scenario.events:
        condition = event.when.condition if isinstance(event, GuardedActions) else None
        if isinstance(condition, MetricCondition) and (
            hint := _no_metric(topology, condition.node, condition.key)
        ):
            yield f"{event.where}: {hint}"
    for objective in scenario.expect:
        select = objective.figure.select
        if select.key and (hint := _no_metric(topology, str(select.node), select.key)):
            yield f"{objective.where}: {hint}"


def _no_metric(topology: Topology, node: str, key: str) -> str:
    """Why a metric is surely never reported; "" where it may be."""
    members = members_by_name(topology)
    replicas = {name: each for each in topology.nodes for name in each.replicas}
    owner = members.get(node) or replicas.get(node)
    if isinstance(owner, Broker | Service | Uplink):
        return f"{type(owner).__name__} {owner.name!r} reports no metrics"
    app = owner.app if isinstance(owner, Node) else None
    if app is None or app.target not in BUILTIN_METRICS or key in BUILTIN_METRICS[app.target]:
        return ""
    keys = BUILTIN_METRICS[app.target]
    known = f"it reports {', '.join(keys)}" if keys else "it reports none"
    return f"the built-in app {app.target!r} never reports {key!r}: {known}"
