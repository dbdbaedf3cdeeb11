"""The state at a moment of a timeline: conditions, partitions, blocks, and the state of each node. Pure."""

from __future__ import annotations

from wotemu.scenario.change_text import describe_change
from wotemu.scenario.state.node_settings import NOTHING
from wotemu.scenario.timeline import DIRECTIONS, Change, Timeline
from wotemu_gateways.conditions.network_state import NetworkState
from wotemu_runtime.control.requests import ConditionsNow, HopNow
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.probe_schedule import places_of


def conditions_at(plan: Plan, timeline: Timeline, at_s: float) -> ConditionsNow:
    """What holds on every hop at a moment of a timeline, in seconds after T0."""
    states = {setup.name: NetworkState(setup) for setup in places_of(plan)}
    apps = {replica.name: "running" for replica in plan.replicas if replica.kind not in ("service", "uplink")}
    groups: list[list[str]] = []
    paused: set[str] = set()
    held: dict[tuple[str, str], Change] = {}
    for change in timeline.changes:
        if change.at_s > at_s:
            break
        if change.action == "app":
            apps[str(change.node)] = change.after
        elif change.action == "pause":
            (paused.add if change.after else paused.discard)(str(change.node))
        elif change.action in NOTHING or change.action == "disconnect":
            held[change.action, change.target] = change
        if change.network in states:
            states[change.network].apply(change)
        if change.action == "partition":
            groups = change.after
    hops = (
        HopNow(name, replica, way, state.hop(replica, way).to_dict(), state.is_cut(replica))
        for name, state in states.items()
        for replica in state.setup.nodes
        for way in DIRECTIONS
    )
    apps |= {name: "paused" for name in paused if apps[name] == "running"}
    blocks = {name: [each.to_dict() for each in state.blocks] for name, state in states.items()}
    return ConditionsNow(
        at_s,
        tuple(hops),
        tuple(map(tuple, groups)),
        apps,
        {name: each for name, each in blocks.items() if each},
        tuple(describe_change(change) for change in held.values() if _holds(change)),
    )


def _holds(change: Change) -> bool:
    """Whether something is set on a node, or it is unplugged, from this change on."""
    if change.action == "disconnect":
        return bool(change.after)
    return any(value is not None for value in change.after.values())
