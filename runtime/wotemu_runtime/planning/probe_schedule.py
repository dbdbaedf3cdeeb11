"""Plans which replicas probe each other, and how often; and the networks as the run's witness knows them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from wotemu.scenario.timeline import Change
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.planning.models import PROBE_EVERY_S, Plan, PlannedNetwork
from wotemu_runtime.planning.probe_rounds import Rounds

SHARE = 0.01
"""Of a hop's rate, probes take at most this: on slow links they are fewer."""

PATIENCE_S = 10.0
"""They are not fewer than this for the sake of a rate that holds only for a while."""

MAX_PEERS = 16


def rounds_of(plan: Plan, replicas: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The probes of replicas by their names, as an assignment holds them."""
    return {
        name: [
            _rounds(plan, network, network.members.index(name)).to_dict()
            for network in plan.emulated
            if name in network.members and len(network.members) > 1
        ]
        for name in replicas
    }


def _rounds(plan: Plan, network: PlannedNetwork, number: int) -> Rounds:
    members, every_s = network.members, network.probe_every_s
    steps = _steps(f"{plan.seed}/{network.name}/probes", len(members))
    return Rounds(
        network=network.name,
        number=number,
        peers=tuple(members[(number + step) % len(members)] for step in steps),
        every_s=every_s,
        phase_s=every_s * (number + 0.5) / len(members),
    )


@functools.lru_cache(maxsize=64)
def _steps(seed: str, members: int) -> Sequence[int]:
    """How far from itself, in the order of the members, each one's peers are."""
    steps = list(range(1, members))
    Random(seed).shuffle(steps)  # noqa: S311  # no secret
    return steps[:MAX_PEERS]


def interval_s(network: PlannedNetwork, changes: Iterable[Change]) -> float:
    """So long that probes take at most `SHARE` of every rate."""
    senders = len(network.members) if network.shared else 1
    bits_per_round = 8 * SIZE * senders / SHARE
    changed = (c.after for c in changes if c.network == network.name and c.action == "conditions")
    always_s = bits_per_round / _lowest_rate(hop["conditions"] for hop in network.hops)
    at_times_s = bits_per_round / _lowest_rate(changed)
    return max(PROBE_EVERY_S, always_s, min(at_times_s, PATIENCE_S))


def _lowest_rate(conditions: Iterable[dict[str, Any]]) -> float:
    """The lowest rate that lets anything through; infinite without one."""
    return min((each["rate_bps"] for each in conditions if each["rate_bps"]), default=math.inf)


def places_of(plan: Plan) -> list[NetworkSetup]:
    """The networks of a plan at T0."""
    nodes = {replica.name: replica.node for replica in plan.replicas}
    return [
        NetworkSetup.of(
            network.name,
            shared=network.shared,
            nodes={member: nodes[member] for member in network.members},
            hops=network.hops,
        )
        for network in plan.emulated
    ]
