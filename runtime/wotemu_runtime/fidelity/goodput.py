"""Whether a rate let pass what it should while packets waited for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from wotemu.fidelity import Goodput
from wotemu.topology.conditions import FULL_PACKET_BYTES
from wotemu_runtime.fidelity.rates import RateCourse

TIMER_S = 0.005
"""How far the moment of a counter or of a change may be off."""


class Second(NamedTuple):
    """A time between two records, throughout which packets waited: its end and length, and bytes served."""

    t: float
    span_s: float
    served_bytes: float


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
        short = max(short, _short(stretch, course))
    return Goodput(waited_s=waited_s, short=short) if waited_s else None


def _short(stretch: Sequence[Second], course: RateCourse) -> float:
    """The share of what should have been served that is missing, of the part of a stretch in which most is.

    All of it where there was no rate to wait for.
    """
    passages = [course.passage(second.t - second.span_s, second.t) for second in stretch]
    if max(passage.unlimited_s for passage in passages) > 2 * TIMER_S:
        return 1.0
    # At the beginning, and behind each second: what should have been served since the stretch began, what was
    # (with what is allowed for changes), and what is allowed if a time begins or ends there.
    due_bits = list(accumulate((passage.bits for passage in passages), initial=0.0))
    served_bits = list(
        accumulate(
            (
                8 * second.served_bytes + passage.owed_bits + TIMER_S * passage.steps_bps
                for second, passage in zip(stretch, passages, strict=True)
            ),
            initial=0.0,
        )
    )
    peaks_bps = [passage.peak_bps for passage in passages]
    edge_bits = [TIMER_S * max(pair) for pair in pairwise([0.0, *peaks_bps, 0.0])]
    short = 0.0
    for step in _steps(len(stretch)):
        parts = zip(due_bits[::step], served_bits[::step], edge_bits[::step], strict=True)
        for (due, served, edge), (due_after, served_after, edge_after) in pairwise(parts):
            bits = due_after - due
            missing = bits - (served_after - served) - edge - edge_after - _ENDS_BITS
            if missing > short * bits:
                short = missing / bits
    return short


def _steps(count: int) -> Iterator[int]:
    """1, 2, 4, ... and all of them."""
    step = 1
    while step < count:
        yield step
        step *= 2
    yield count


_ENDS_BITS = 2 * 8 * FULL_PACKET_BYTES

__all__ = ["TIMER_S", "Goodput", "Second", "goodput"]
