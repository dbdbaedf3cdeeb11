"""Warnings about the conditions of hops, at T0 and after each change.

That jitter lets packets overtake each other is nothing to warn of by itself. Each packet draws its own
delay, as in NetEm, with the presets too. To keep them in order would let each wait for the slowest before it,
and so raise the delay and lower the jitter that were asked for. TCP tells overtaken packets from lost ones
while they are late by less than a round trip (RACK's reordering window, RFC 8985, 6.2). So two things are
warned of: jitter of more than the latency, whose delays can't be as wide as asked for, and a delay that falls
by more than a round trip.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import attrs

from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import HopKey, Timeline
from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
from wotemu.topology.topology import Topology
from wotemu.units import Bytes, Rate, Seconds
from wotemu.wording import shortened

HopWarning = tuple[str, str]
"""The kind of a warning, and its text."""

LONG_S = 10.0
"""A longer delay is likely a slip of the unit: 3GPP TR 45.820 allows NB-IoT in the worst coverage 10 s."""
SLOW = Rate(100)
"""A lower rate is likely a slip of the unit: LoRaWAN's lowest is 250 bit/s (EU868, DR0)."""
LEAST_FALL_S = 1e-3
"""Changes are exact to a millisecond: a delay that falls by less overtakes nothing to speak of."""
LARGEST_DATAGRAM_BYTES = 65_515 + 45 * 34
"""65,507 bytes over UDP and its header, in 45 fragments with IPv4's and Ethernet's headers."""


@attrs.frozen(kw_only=True)
class HopContext:
    """What else shapes packets on a hop.

    Attributes:
        delay_s: The latency of the way up and of this hop.
        latency_s: The latency of this hop alone, network and link together.
        network: What the network imposes on the same hop; None where these conditions are the network's.
        fall_s: By how much the change to these conditions shortens the latency.
    """

    delay_s: float
    latency_s: float
    network: NetworkConditions | None = None
    fall_s: float = 0.0


def _warnings_of(conditions: NetworkConditions, place: HopContext) -> Iterator[HopWarning]:
    """Everything suspect about conditions on a hop."""
    yield from _implausible(conditions)
    yield from _queue(conditions, place.delay_s)
    yield from _other_queue(conditions, place.network)
    yield from _duty_cycle(conditions, place.network)
    yield from _jitter(conditions, place.latency_s)
    yield from _fall(conditions, place)
    yield from _idle(conditions)


def _implausible(conditions: NetworkConditions) -> Iterator[HopWarning]:
    if conditions.latency > LONG_S:
        meant = Seconds(conditions.latency / 1e3)
        yield "latency", f"latency {conditions.latency} is very long: is {meant} meant?"
    if conditions.rate and conditions.rate < SLOW:
        yield (
            "rate",
            f"rate {conditions.rate}/s is very slow: a full packet takes "
            f"{Seconds(FULL_PACKET_BYTES * 8 / conditions.rate)}",
        )


def _queue(conditions: NetworkConditions, delay_s: float) -> Iterator[HopWarning]:
    """A queue smaller than rate x delay leaves the link idle between a TCP flow's losses (RFC 3439, 2.2)."""
    if conditions.queue is None or not conditions.rate:
        return
    product = conditions.rate / 8 * delay_s
    if conditions.queue_bytes < product:
        yield (
            "queue",
            f"queue {conditions.queue} is smaller than the rate-delay product of {product / 1e3:.3g} kB "
            f"({conditions.rate} for {Seconds(delay_s)}): one TCP flow can't fill the link",
        )
    elif conditions.queue_bytes < FULL_PACKET_BYTES:
        yield "queue", f"queue {conditions.queue} has no room for a full packet"
    elif isinstance(conditions.queue, Bytes) and conditions.queue < LARGEST_DATAGRAM_BYTES:
        yield (
            "datagram",
            f"queue {conditions.queue} has no room for UDP's largest datagrams: of 64 KB, of which "
            f"{LARGEST_DATAGRAM_BYTES} bytes come at once, some fragments are always lost",
        )


def _other_queue(conditions: NetworkConditions, network: NetworkConditions | None) -> Iterator[HopWarning]:
    """Of a network and a link, the lower rate holds with its own queue."""
    if network is None or network.queue is None or network.rate is None or conditions.rate is None:
        return
    if conditions.rate < network.rate and conditions.queue is None:
        yield (
            "other queue",
            f"its link's rate {conditions.rate} holds, with the default queue: the queue {network.queue} is "
            f"that of the network's rate {network.rate}",
        )


def _duty_cycle(conditions: NetworkConditions, network: NetworkConditions | None) -> Iterator[HopWarning]:
    """Where it is not imposed, and what is not imposed beside it."""
    if conditions.duty_cycle < 1 and conditions.burst:
        yield (
            "duty cycle burst",
            "burst does nothing beside duty_cycle: after each packet its radio is silent",
        )
    if network is not None and network.duty_cycle < conditions.duty_cycle < 1:
        yield (
            "other duty cycle",
            f"its link's duty_cycle {conditions.duty_cycle} does nothing: the network's "
            f"{network.duty_cycle} is lower, and holds",
        )


def _jitter(conditions: NetworkConditions, latency_s: float) -> Iterator[HopWarning]:
    """Delays end at 0, so that jitter of more than the latency makes the mean longer."""
    jitter_s = float(conditions.jitter)
    if jitter_s <= latency_s:
        return
    mean = ""
    if conditions.distribution == "normal":
        standard, ratio = NormalDist(), latency_s / jitter_s
        mean_s = latency_s * standard.cdf(ratio) + jitter_s * standard.pdf(ratio)
        mean = f", and their mean is {_about(mean_s)}"
    elif conditions.distribution == "uniform":
        mean = f", and their mean is {_about((latency_s + jitter_s) ** 2 / (4 * jitter_s))}"
    yield (
        "jitter",
        f"jitter {conditions.jitter} is more than the latency {Seconds(latency_s)}: many delays are 0{mean}",
    )


def _fall(conditions: NetworkConditions, place: HopContext) -> Iterator[HopWarning]:
    """A delay that is shortened lets packets overtake those that are under way."""
    if place.fall_s > max(2 * place.delay_s, LEAST_FALL_S):
        yield (
            "fall",
            f"latency falls by {Seconds(place.fall_s)} to {conditions.latency}: packets overtake those under "
            "way by more than a round trip, and TCP takes these for lost",
        )


def _about(duration_s: float) -> Seconds:
    return Seconds(float(f"{duration_s:.2g}"))


def _idle(conditions: NetworkConditions) -> Iterator[HopWarning]:
    """Conditions that do nothing without another one."""
    given = conditions
    idle = [
        ("jitter_correlation", given.jitter_correlation and not given.jitter, "jitter"),
        ("loss_correlation", given.loss_correlation and not given.loss, "loss"),
        ("duplicate_correlation", given.duplicate_correlation and not given.duplicate, "duplicate"),
        ("corrupt_correlation", given.corrupt_correlation and not given.corrupt, "corrupt"),
        ("reorder_correlation", given.reorder_correlation and not given.reorder, "reorder"),
        ("reorder", given.reorder and not given.latency, "latency"),
        ("ecn", given.ecn and not given.mean_loss, "loss"),
        ("burst", given.burst is not None and given.rate is None, "rate"),
        (
            "queue",
            given.queue is not None and given.rate is None,
            "a rate beside it",
        ),
        ("cell_overhead", given.cell_overhead and not given.cell_size, "cell_size"),
        ("overhead", (given.overhead or given.cell_size) and given.rate is None, "rate"),
    ]
    for name, is_idle, missing in idle:
        if is_idle:
            yield name, f"{name} does nothing without {missing}"


def condition_warnings(topology: Topology, timeline: Timeline) -> Iterator[str]:
    """What is suspect of the conditions of each hop, each kind of it once."""
    seen: set[tuple[str, str]] = set()
    places: dict[str, list[str]] = {}
    for at_s, key, conditions, place in _all_conditions(topology, timeline):
        name = f"{key[1]}@{key[0]}" if key[1] else key[0]
        for kind, text in _warnings_of(conditions, place):
            if (name, kind) not in seen:
                seen.add((name, kind))
                places.setdefault(text, []).append(name + (f" from {Seconds(at_s)} on" if at_s else ""))
    for text, wheres in places.items():
        yield f"{shortened(wheres)}: {text}"


def _all_conditions(
    topology: Topology, timeline: Timeline
) -> Iterator[tuple[float, HopKey, NetworkConditions, HopContext]]:
    """Seconds after T0, hop, conditions and their context: of all hops at T0, then of each change."""
    current = base_conditions(topology)
    shared = {network.name for network in topology.networks if network.shared}

    def place(key: HopKey, fall_s: float = 0.0) -> HopContext:
        network, node, way = key
        own_s, whole = float(current[key].latency), current[network, None, way]
        up_s = float(current[network, None, "up"].latency)
        return HopContext(
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


def one_sided_links(topology: Topology) -> Iterator[str]:
    """Links with latency or loss on one hop only, which is rarely meant; `LinkConditions` mean each way."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for owner in topology.members:
        for link in owner.links:
            if isinstance(link.conditions, LinkConditions):
                continue
            for name in ("latency", "loss"):
                up, down = (bool(getattr(way, name)) for way in (link.up, link.down))
                if up != down:
                    way, other = ("up", "down") if up else ("down", "up")
                    found.setdefault((name, way, other), []).append(f"{owner.name}@{link.network.name}")
    for (name, way, other), links in found.items():
        text = "its link has" if len(links) == 1 else "their links have"
        yield f"{shortened(links)}: {text} {name} on the way {way} and none on the way {other}"


def undecided_broker_networks(topology: Topology) -> Iterator[str]:
    """Nodes that could reach their broker over several networks and say nowhere which it is to be."""
    found: dict[tuple[str, str], list[str]] = {}
    for node in topology.nodes:
        if node.broker is None or node.broker_network is not None:
            continue
        brokers = {link.network.name for link in node.broker.links}
        shared = [link.network.name for link in node.links if link.network.name in brokers]
        if len(shared) > 1:
            found.setdefault((node.broker.name, shared[0]), []).append(node.name)
    for (broker, network), nodes in found.items():
        yield (
            f"{shortened(nodes)}: MQTT to {broker} crosses {network}, the first of the networks that both "
            "share; Node(broker_network=...) chooses"
        )


def unshaped_services(topology: Topology) -> Iterator[str]:
    """Services whose traffic is not shaped, and services that shaping restricts on a swarm."""
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
                "and connections that it opens itself don't reach the emulated networks"
            )
