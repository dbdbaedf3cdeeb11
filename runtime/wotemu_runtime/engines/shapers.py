"""What a plan asks for that a shaper can't do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.netem_options import unsupported
from wotemu_runtime.plan import Plan


def beyond_netem(plan: Plan) -> list[str]:
    """What NetEm can't do of what the topology or the scenario ask for: a sentence each, with its target."""
    found = [
        f"{where}: {what}" for where, conditions in _conditions(plan) for what in unsupported(conditions)
    ]
    return list(dict.fromkeys(found))


def _conditions(plan: Plan) -> Iterator[tuple[str, NetworkConditions]]:
    for network in plan.networks:
        for hop in network.hops:
            where = f"{hop['node']}@{network.name}" if hop["node"] else network.name
            yield f"{where} {hop['direction']}", NetworkConditions.from_dict(hop["conditions"])
    for change in plan.timeline.changes:
        if change.action == "conditions":
            yield change.target, NetworkConditions.from_dict(change.after)
