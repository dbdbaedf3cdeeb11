"""What is suspect about the conditions of one hop by themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions
from wotemu.units import Seconds

Suspect = tuple[str, str]
"""A kind of suspicion, and what is suspect."""


def suspects(conditions: NetworkConditions, delay_s: float) -> Iterator[Suspect]:
    """All that is suspect of these conditions, which are part of a way with this delay."""
    yield from _queue(conditions, delay_s)
    yield from _jitter(conditions)
    yield from _idle(conditions)


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


def _jitter(conditions: NetworkConditions) -> Iterator[Suspect]:
    """Packets that follow each other more closely than their delays differ overtake each other."""
    if not conditions.jitter:
        return
    if conditions.rate is None:
        yield "jitter", f"{conditions.jitter} without a rate"
        return
    if not conditions.rate:
        return
    spacing_s = FULL_PACKET_BYTES * 8 / conditions.rate
    if conditions.jitter > spacing_s:
        about = Seconds(float(f"{spacing_s:.2g}"))
        yield "jitter", f"{conditions.jitter}, with {about} between full packets at {conditions.rate}"


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
        ("cell_overhead", given.cell_overhead and not given.cell_size, "cell_size"),
        ("overhead", (given.overhead or given.cell_size) and given.rate is None, "rate"),
    ]
    for name, is_idle, missing in idle:
        if is_idle:
            yield name, f"{name} does nothing without {missing}"
