"""Whether a rate let pass what it should while packets waited for it, and no more. Pure."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import attrs

from wotemu.fidelity import Goodput
from wotemu.topology.conditions import FULL_PACKET_BYTES
from wotemu_runtime.fidelity.rates import Passage

TIMER_S = 0.005
"""How far the moment of a counter or of a change may be off."""


class Second(NamedTuple):
    """A time between two records, throughout which packets waited: its end and length, and bytes served."""

    t: float
    span_s: float
    served_bytes: float


@attrs.frozen
class _Moment:
    """A point of a stretch, between two seconds.

    `due_bits` is what should have been served since the stretch began, `served_bits` what was, `allowed_bits`
    what they may differ by for changes, and `edge_bits` what is allowed if a time begins or ends here.
    """

    due_bits: float
    served_bits: float
    allowed_bits: float
    edge_bits: float


class GoodputMeter:
    """Compares what a rate served with what it should have, while packets waited for it.

    What should have been served in a stretch of seconds is the integral of the rate, but for a tolerance: a
    packet and `TIMER_S` at either end, and at each change of the rate `TIMER_S` and the rest of a packet that
    is being sent at the lower one. Each second is looked at by itself, and then 2, 4, 8, ... together, up to
    the whole stretch: short times show brief faults, long ones faults of low rates, at which a packet takes a
    second. Of a stretch no more is kept than where each of these times began.
    """

    __slots__ = (
        "_allowed_bits",
        "_begun",
        "_count",
        "_due_bits",
        "_is_unlimited",
        "_peak_bps",
        "_served_bits",
        "over",
        "short",
        "waited_s",
    )

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.short = 0.0
        """The share of what should have been served that is missing, of the time in which most is."""
        self.over = 0.0
        """The share by which more was served, of the time in which it was most."""
        self._count = 0
        self._start_stretch()

    def _start_stretch(self) -> None:
        self._count = 0
        """How many seconds the stretch has."""
        self._begun: list[_Moment] = []
        """Where the stretch began, and the times of 1, 2, 4, ... seconds that go on."""
        self._due_bits = self._served_bits = self._allowed_bits = self._peak_bps = 0.0

    @property
    def result(self) -> Goodput | None:
        """None where packets never waited."""
        return Goodput(waited_s=self.waited_s, short=self.short) if self.waited_s else None

    def add(self, second: Second, passage: Passage) -> None:
        """The next second throughout which packets waited, and what could pass in it."""
        self._look_back(TIMER_S * max(self._peak_bps, passage.peak_bps))
        self._count += 1
        self._due_bits += passage.bits
        self._served_bits += 8 * second.served_bytes
        self._allowed_bits += passage.owed_bits + TIMER_S * passage.steps_bps
        self._peak_bps = passage.peak_bps
        self.waited_s += second.span_s
        if passage.unlimited_s > 2 * TIMER_S:  # there was no rate to wait for
            self.short = 1.0

    def end_stretch(self) -> None:
        """A second came in which packets did not wait all the time, or none comes any more."""
        if not self._count:
            return
        now = self._look_back(TIMER_S * self._peak_bps)
        self._compare(self._begun[0], now)
        self._start_stretch()

    def _look_back(self, edge_bits: float) -> _Moment:
        """Compare the times that end where the last second ended, and begin others there."""
        now = _Moment(self._due_bits, self._served_bits, self._allowed_bits, edge_bits)
        if not self._count:
            self._begun.append(now)
            return now
        step = 1
        for number in itertools.count(1):
            if self._count % step:
                break
            if number == len(self._begun):  # the first time of this length, which began with the stretch
                self._begun.append(self._begun[0])
            self._compare(self._begun[number], now)
            self._begun[number] = now
            step *= 2
            if step > self._count:
                break
        return now

    def _compare(self, then: _Moment, now: _Moment) -> None:
        bits = now.due_bits - then.due_bits
        beyond = now.served_bits - then.served_bits - bits
        allowed = now.allowed_bits - then.allowed_bits + now.edge_bits + then.edge_bits + _ENDS_BITS
        if -beyond - allowed > self.short * bits:
            self.short = (-beyond - allowed) / bits
        elif beyond - allowed > self.over * bits:
            self.over = (beyond - allowed) / bits if bits else math.inf


_ENDS_BITS = 2 * 8 * FULL_PACKET_BYTES

__all__ = ["TIMER_S", "Goodput", "GoodputMeter", "Second"]
