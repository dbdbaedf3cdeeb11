"""Whether a rate let pass what it should while packets waited for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import attrs

from wotemu.topology.conditions import FULL_PACKET_BYTES
from wotemu_gateways.fidelity.rates import Passage, RateCourse

TIMER_S = 0.005
"""How far the moment of a counter or of a change may be off."""


class Second(NamedTuple):
    """A time between two records, throughout which packets waited: its end and length, and bytes served."""

    t: float
    span_s: float
    served_bytes: float


@attrs.frozen(kw_only=True)
class Goodput:
    """How much a rate served while packets waited for it all the time: for `waited_s` seconds altogether.

    `short` is the share of what the rate allows that is missing, in the stretch in which most is.
    """

    waited_s: float
    short: float


def goodput(stretches: Iterable[Sequence[Second]], course: RateCourse) -> Goodput | None:
    """From stretches of seconds in a row, throughout each of which packets waited; None where there is none.

    What should have been served in a stretch is the integral of the rate, but for a tolerance: a packet and
    `TIMER_S` at either end, and at each change of the rate `TIMER_S` and the rest of a packet that is being
    sent at the lower one. Each second is looked at by itself, and
    then 2, 4, 8, ... together, up to the whole stretch: short times show brief faults, long ones faults of
    low rates, at which a packet takes a second.
    """
    waited_s, short = 0.0, 0.0
    for stretch in stretches:
        waited_s += sum(second.span_s for second in stretch)
        windows = [
            (second.served_bytes, course.passage(second.t - second.span_s, second.t)) for second in stretch
        ]
        while windows:
            short = max(short, *[_short(served, passage) for served, passage in windows])
            windows = _doubled(windows)
    return Goodput(waited_s=waited_s, short=short) if waited_s else None


def _doubled(windows: list[tuple[float, Passage]]) -> list[tuple[float, Passage]]:
    """Windows twice as long; an odd one at the end joins the one before. None where there is but one."""
    pairs = [
        (one[0] + other[0], one[1].joined(other[1]))
        for one, other in zip(windows[::2], windows[1::2], strict=False)
    ]
    if pairs and len(windows) % 2:
        served, passage = windows[-1]
        pairs[-1] = pairs[-1][0] + served, pairs[-1][1].joined(passage)
    return pairs


def _short(served_bytes: float, passage: Passage) -> float:
    """The share of what should have been served that was not; all where there was no rate to wait for."""
    if passage.unlimited_s > 2 * TIMER_S:
        return 1.0
    if not passage.bits:
        return 0.0
    tolerance = 16 * FULL_PACKET_BYTES + passage.owed_bits
    tolerance += TIMER_S * (2 * passage.peak_bps + passage.steps_bps)
    return max(0.0, 1 - (8 * served_bytes + tolerance) / passage.bits)


__all__ = ["TIMER_S", "Goodput", "Second", "goodput"]
