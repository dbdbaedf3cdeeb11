"""How long a change of a whole network's conditions keeps the `tun` shaper from its packets.

    python -m benchmarks.change_blocks [--nodes 100] [--changes 300] [--check] [--slack 1] [--json FILE]

A gateway takes changes of all conditions of a network, each to other values: the time of one is how long no
packet is moved. Beside it, the time of a change of one node's hop, and of a network of four times the nodes.
`--check` exits with 1 where p99 of the network's changes is above 1 ms, or the median of four times the nodes
above five times the median.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

from wotemu.percentiles import nearest_rank
from wotemu.scenario.timeline import DIRECTIONS, Change, HopKey
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Rate, Seconds
from wotemu_gateways.conditions.network_state import NetworkSetup, NetworkState
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member, Shaper
from wotemu_gateways.userspace.scheduling import request_low_latency
from wotemu_gateways.userspace.switch import Switch
from wotemu_runtime.gateway.role import Gateway
from wotemu_runtime.roles.role import Role

NETWORK = "field"
GOAL_MS = 1.0
MORE = 4
"""How many times the nodes the larger network has."""
GOAL_GROWTH = 5.0
"""Median of the larger network over that of the smaller, at most: in proportion, and room for caches."""
SHARES = (0.5, 0.95, 0.99, 1.0)


def conditions(number: int) -> NetworkConditions:
    """Conditions number `number`: none has a value of the one before."""
    return NetworkConditions(
        latency=Seconds(0.01 + number % 50 / 1000),
        jitter=Seconds(0.001 + number % 7 / 1000),
        loss=Fraction((1 + number % 9) / 1000),
        rate=Rate(1e6 + 1e4 * number),
    )


def change(number: int, node: str | None) -> Change:
    """A change of the network's conditions, or of a node's."""
    return Change(number, 0.0, "conditions", NETWORK, node, "up", None, conditions(number).to_dict())


def gateway_of(nodes: int) -> Gateway:
    """A gateway without a role, for which applying changes has no use."""
    names = [f"n{number}" for number in range(nodes)]
    hops: dict[HopKey, NetworkConditions] = {
        (NETWORK, node, way): NetworkConditions() for node in (None, *names) for way in DIRECTIONS
    }
    state = NetworkState(
        NetworkSetup(name=NETWORK, shared=False, nodes={name: name for name in names}, hops=hops)
    )
    addresses = [f"10.64.{number // 250}.{2 + number % 250}" for number in range(nodes)]
    members = [Member(name, address, mac_of(address)) for name, address in zip(names, addresses, strict=True)]
    return Gateway(cast(Role, None), cast(Shaper, Switch(NETWORK, members)), state)


def blocked_ms(gateway: Gateway, changes: int, node: str | None) -> list[float]:
    """How long each change takes, in milliseconds."""
    took_ms = []
    for number in range(changes):
        planned = change(number, node)
        begun_s = time.perf_counter()
        gateway.apply(planned)
        took_ms.append((time.perf_counter() - begun_s) * 1e3)
    return took_ms


def main() -> None:
    """Print the table; with ``--check`` also whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0, help="multiplies what is allowed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    request_low_latency()  # as a gateway does
    gateway, larger = gateway_of(given.nodes), gateway_of(MORE * given.nodes)
    gateway.impose_all()
    larger.impose_all()
    took: dict[str, Any] = {}
    print(f"{given.nodes} nodes; milliseconds\n{'':<24} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}")
    for name, each, node in (
        ("one node's hop", gateway, "n0"),
        ("the whole network", gateway, None),
        (f"{MORE} times the nodes", larger, None),
    ):
        all_ms = blocked_ms(each, given.changes, node)
        took[name] = [nearest_rank(all_ms, share) or 0.0 for share in SHARES]
        print(f"{name:<24} " + " ".join(f"{one_ms:>8.3f}" for one_ms in took[name]))
    growth = took[f"{MORE} times the nodes"][0] / took["the whole network"][0]
    print(f"{MORE} times the nodes take {growth:.2f} times as long (median)")
    if given.json:
        given.json.write_text(json.dumps({"nodes": given.nodes, "ms": took, "growth": growth}))
    if given.check and took["the whole network"][2] > GOAL_MS * given.slack:
        sys.exit(f"goal missed: p99 of the network's changes {GOAL_MS:g} ms")
    if given.check and growth > GOAL_GROWTH * given.slack:
        sys.exit(f"goal missed: {MORE} times the nodes take {GOAL_GROWTH:g} times as long")


if __name__ == "__main__":
    main()
