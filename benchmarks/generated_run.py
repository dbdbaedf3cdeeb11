"""A run of many nodes that nobody had to start: the records that its roles would publish, second by second.

A node publishes 20 records a second: its two hops' counters (by its network's gateway), 10 flows, 4
interactions, a sample of its app, a metric, and a probe that left and one that came. Networks have 100 nodes
each and a rate; some change its conditions all the time. Every tenth node is busy throughout, so that its
goodput is judged. A gateway also publishes its own load. Deterministic: the same arguments give the same
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random

import attrs

from wotemu.records import (
    App,
    Change,
    Event,
    Flow,
    GatewayLoad,
    Hop,
    Interaction,
    ProbeArrived,
    ProbeSent,
    Record,
    System,
)
from wotemu.scenario.timeline import Change as PlannedChange
from wotemu.scenario.timeline import Direction, HopKey, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate, Seconds
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.gateway.role import packets_taken

T0 = 1_750_000_000.0
NODES_A_NETWORK = 100
FLOWS = 10
OPERATIONS = ("readproperty", "writeproperty", "invokeaction", "readproperty")
DOWN_BPS = 2e6
LOSS = 0.01
PACKET_CPU_S = 6e-6
"""A tun gateway's CPU time for a packet when it is busy."""
WAYS: tuple[Direction, Direction] = ("up", "down")

Published = tuple[str, list[Record]]
"""A role's name, and what it publishes in one second."""


def conditions(number: int) -> NetworkConditions:
    """A network's conditions after its change number `number`; those of neighbouring numbers differ."""
    return NetworkConditions(
        latency=Seconds(0.02 + number % 10 / 1000), rate=Rate(1e6 + 1e4 * (number % 50)), loss=LOSS
    )


@attrs.frozen
class GeneratedRun:
    """A run of `nodes` nodes over `lasts_s` seconds; each network's conditions change `changes` times."""

    nodes: int = 1000
    lasts_s: int = 60
    changes: int = 6

    @property
    def networks(self) -> dict[str, list[str]]:
        """The names of each network's nodes."""
        names = [f"node-{number}" for number in range(self.nodes)]
        starts = range(0, self.nodes, NODES_A_NETWORK)
        return {f"field-{at // NODES_A_NETWORK}": names[at : at + NODES_A_NETWORK] for at in starts}

    @property
    def places(self) -> list[NetworkSetup]:
        """The networks at T0."""
        return [_place(network, names) for network, names in self.networks.items()]

    @property
    def timeline(self) -> Timeline:
        """The changes of all networks, evenly spread over the run."""
        networks = list(self.networks)
        every_s = self.lasts_s / max(self.changes, 1)
        changes = [
            PlannedChange(
                step * len(networks) + number,
                step * every_s,
                "conditions",
                network,
                None,
                "up",
                None,
                conditions(step).to_dict(),
            )
            for step in range(self.changes)
            for number, network in enumerate(networks)
        ]
        return Timeline(0, self.lasts_s, (), tuple(changes))

    def begin(self) -> Iterator[Published]:
        """What the roles publish before T0."""
        for role in self.roles:
            yield role, [Event(T0 - 1, "role.ready", role, f"{role} is ready", {"offset_error_s": 0.0})]

    @property
    def roles(self) -> list[str]:
        """Gateways and agents."""
        gateways = [f"gateway:{network}" for network in self.networks]
        return gateways + [f"agent:{name}" for names in self.networks.values() for name in names]

    def seconds(self) -> Iterator[list[Published]]:
        """What the roles publish in each second of the run."""
        networks, due = self.networks, list(self.timeline.changes)
        for second in range(1, self.lasts_s):
            t, published = T0 + second, list[Published]()
            now = [change for change in due if T0 + change.at_s < t]
            due = due[len(now) :]
            held = conditions(int((second - 0.5) * self.changes / self.lasts_s))
            for network, names in networks.items():
                answers = [_answer(change) for change in now if change.network == network]
                hops = list(_hops(t, network, names, held))
                load = _load(t, network, packets_taken(hops))
                published.append((f"gateway:{network}", [*answers, *hops, load]))
                published += _agents(t, second, network, names, held)
            yield published


def _place(network: str, names: Sequence[str]) -> NetworkSetup:
    hops: dict[HopKey, NetworkConditions] = {
        (network, None, "up"): conditions(0),
        (network, None, "down"): NetworkConditions(rate=Rate(DOWN_BPS)),
    }
    hops |= {(network, name, way): NetworkConditions() for name in names for way in WAYS}
    return NetworkSetup(name=network, shared=False, nodes={name: name for name in names}, hops=hops)


def _answer(change: PlannedChange) -> Change:
    due = T0 + change.at_s
    after = json.dumps(change.after)
    return Change(change.id, due, due + 0.0002, change.action, change.target, after, after, True, "")


def _hops(t: float, network: str, names: Sequence[str], held: NetworkConditions) -> Iterator[Hop]:
    for number, name in enumerate(names):
        busy = number % 10 == 0
        for way in WAYS:
            size = int((float(held.rate or 0) if way == "up" else DOWN_BPS) / 8) if busy else 9_000
            yield Hop(
                t, network, name, way, "tun", 80, size, 1 if way == "up" else 0, 0, 0, 0, 0.001,
                late_bins=[90, 100, 110], late_counts=[50, 20, 10],
                busy=1.0 if busy else 0.07, served_bytes=size,
            )  # fmt: skip


def _load(t: float, network: str, packets: int) -> GatewayLoad:
    return GatewayLoad(t, network, "tun", interval=1.0, cpu=packets * PACKET_CPU_S, packets=packets)


def _agents(
    t: float, second: int, network: str, names: Sequence[str], held: NetworkConditions
) -> Iterator[Published]:
    step = 1 + second % (len(names) - 1)
    flight_s = float(held.latency) + SIZE * 8 / float(held.rate or 1) + SIZE * 8 / DOWN_BPS
    chance = Random(f"{network} {second}")
    lost = [chance.random() < LOSS for _ in names]
    for number, name in enumerate(names):
        peer, before = names[(number + step) % len(names)], (number - step) % len(names)
        rows: list[Record] = [*_app(t, name, names[(number + 1) % len(names)], network, chance)]
        rows.append(ProbeSent(t - 0.5, network, name, peer, number << 32 | second, 2e-5))
        if not lost[before]:
            jitter_s = 1e-4 * chance.random()
            rows.append(ProbeArrived(t - 0.5 + flight_s + jitter_s, network, name, before << 32 | second))
        yield f"agent:{name}", rows


def _app(t: float, name: str, peer: str, network: str, chance: Random) -> Iterator[Record]:
    for number in range(FLOWS):
        way, ends = ("up", (name, peer)) if number % 2 else ("down", (peer, name))
        size = chance.randrange(80, 8000)
        yield Flow(t, name, network, way, "tcp", "http", *ends, 40_000 + number, 9393, 1 + size // 1400, size)
    for number, op in enumerate(OPERATIONS):
        kind = "action" if op == "invokeaction" else "property"
        took_s = chance.uniform(0.04, 0.09)
        yield Interaction(
            t - 0.2 * number, name, "consumer" if number else "producer", f"urn:{peer}", kind, "status", op,
            "request", "http", took_s, chance.randrange(10, 300), "ok", "",
        )  # fmt: skip
    yield System(t, name, chance.uniform(0, 9), None, 30_000_000 + chance.randrange(10**6), None, 2)
    yield App(t, name, "temperature", chance.uniform(10, 30))


def by_table(records: Sequence[Record]) -> Mapping[str, list[Record]]:
    """Records by the name of their table, in order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.TABLE, []).append(record)
    return found
