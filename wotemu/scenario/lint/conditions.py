"""What is suspect about the conditions of one hop, where it is. Pure.

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

from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions
from wotemu.units import Bytes, Rate, Seconds

Suspect = tuple[str, str]
"""A kind of suspicion, and what is suspect."""

LONG_S = 10.0
"""A longer delay is likely a slip of the unit: 3GPP TR 45.820 allows NB-IoT in the worst coverage 10 s."""
SLOW = Rate(100)
"""A lower rate is likely a slip of the unit: LoRaWAN's lowest is 250 bit/s (EU868, DR0)."""

LARGEST_DATAGRAM_BYTES = 65_515 + 45 * 34
"""65,507 bytes over UDP and its header, in 45 fragments with IPv4's and Ethernet's headers."""


@attrs.frozen(kw_only=True)
class Place:
    """Where conditions are.

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


def suspects(conditions: NetworkConditions, place: Place) -> Iterator[Suspect]:
    """All that is suspect of these conditions there."""
    yield from _implausible(conditions)
    yield from _queue(conditions, place.delay_s)
    yield from _other_queue(conditions, place.network)
    yield from _jitter(conditions, place.latency_s)
    yield from _fall(conditions, place)
    yield from _idle(conditions)


def _implausible(conditions: NetworkConditions) -> Iterator[Suspect]:
    if conditions.latency > LONG_S:
        meant = Seconds(conditions.latency / 1e3)
        yield "latency", f"latency {conditions.latency} is very long: is {meant} meant?"
    if conditions.rate and conditions.rate < SLOW:
        yield (
            "rate",
            f"rate {conditions.rate}/s is very slow: a full packet takes "
            f"{Seconds(FULL_PACKET_BYTES * 8 / conditions.rate)}",
        )


def _queue(conditions: NetworkConditions, delay_s: float) -> Iterator[Suspect]:
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


def _other_queue(conditions: NetworkConditions, network: NetworkConditions | None) -> Iterator[Suspect]:
    """Of a network and a link, the lower rate holds with its own queue."""
    if network is None or network.queue is None or network.rate is None or conditions.rate is None:
        return
    if conditions.rate < network.rate and conditions.queue is None:
        yield (
            "other queue",
            f"its link's rate {conditions.rate} holds, with the default queue: the queue {network.queue} is "
            f"that of the network's rate {network.rate}",
        )


def _jitter(conditions: NetworkConditions, latency_s: float) -> Iterator[Suspect]:
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


def _fall(conditions: NetworkConditions, place: Place) -> Iterator[Suspect]:
    """A delay that is shortened lets packets overtake those that are under way."""
    if place.fall_s > 2 * place.delay_s:
        yield (
            "fall",
            f"latency falls by {Seconds(place.fall_s)} to {conditions.latency}: packets overtake those under "
            "way by more than a round trip, and TCP takes these for lost",
        )


def _about(duration_s: float) -> Seconds:
    return Seconds(float(f"{duration_s:.2g}"))


def _idle(conditions: NetworkConditions) -> Iterator[Suspect]:
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
