"""A hop's rate over a run, and what could pass at it. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions

_JITTERS_APART = 8
"""How many standard deviations lie between the earliest and the latest of many packets."""


class Passage(NamedTuple):
    """What a rate lets pass within a time.

    `bits` is the rate's integral, or what a duty cycle leaves of it, and `peak_bps` its highest value, both
    of the parts in which there is a rate; `unlimited_s` is how long there was none. `steps_bps` adds up by
    how much it changed at each change. `owed_bits` is what is not sent at a raised rate while a packet is on
    the line that left at the lower one: NetEm takes it at its old rate to the end. At a changed duty cycle it
    is what the silence after a packet may differ by.
    """

    bits: float
    peak_bps: float
    unlimited_s: float
    steps_bps: float
    owed_bits: float


class RateCourse:
    """The rate of a hop, or of a shared network, over a run: by spans of constant conditions.

    For each span: `since` (seconds since the epoch), `rate_bps` (infinite: none; with a duty cycle that share
    of it), `duty_cycle`, `held_s` (for how long a packet may be under way), `spread_s` (how far jitter
    spreads packets sent together), `extra_bits` (what may pass beyond the rate: a burst, and a packet at
    either end).
    """

    __slots__ = (
        "_passages", "duty_cycle", "extra_bits", "has_duty_cycle", "held_s", "is_limited", "rate_bps",
        "since", "spread_s",
    )  # fmt: skip

    def __init__(self, spans: Sequence[tuple[float, NetworkConditions]]) -> None:
        self.since = [since for since, _ in spans]
        self.duty_cycle = [float(each.duty_cycle) for _, each in spans]
        self.has_duty_cycle = min(self.duty_cycle) < 1
        self.rate_bps = [_mean_bps(each) for _, each in spans]
        self.held_s = [_held_s(each) for _, each in spans]
        self.spread_s = [_spread_s(each) for _, each in spans]
        self.extra_bits = [8.0 * ((each.burst or 0) + 2 * FULL_PACKET_BYTES) for _, each in spans]
        self._passages: dict[tuple[float, float], Passage] = {}
        self.is_limited = min(self.rate_bps) < math.inf

    def passage(self, start: float, end: float) -> Passage:
        """What could pass between two times. Hops of one network are counted at the same ones."""
        found = self._passages.get((start, end))
        if found is None:
            found = self._passages[start, end] = self._passage(start, end)
        return found

    def _passage(self, start: float, end: float) -> Passage:
        since, rate_bps = self.since, self.rate_bps
        at = max(bisect_right(since, start) - 1, 0)
        bits = peak_bps = unlimited_s = steps_bps = 0.0
        owed_bits = self._owed_bits(at, start)
        while True:
            rate, until = rate_bps[at], since[at + 1] if at + 1 < len(since) else math.inf
            held_s = min(until, end) - start
            if rate < math.inf:
                bits += rate * held_s
                peak_bps = max(peak_bps, rate)
            else:
                unlimited_s += held_s
            if until >= end:
                return Passage(bits, peak_bps, unlimited_s, steps_bps, owed_bits)
            start, at = until, at + 1
            steps_bps += _step_bps(rate, rate_bps[at])
            owed_bits += 8 * FULL_PACKET_BYTES * abs(self.duty_cycle[at] - self.duty_cycle[at - 1])
            owed_bits += self._owed_bits(at, start)

    def _owed_bits(self, at: int, start: float) -> float:
        """What isn't sent at a span's rate after `start`, for the packet on the line when the span began."""
        before, after = self.rate_bps[at - 1] if at else 0.0, self.rate_bps[at]
        if self.duty_cycle[at] < 1 or not 0 < before < after < math.inf:  # NetEm imposes no duty cycle
            return 0.0
        return after * max(0.0, 8 * FULL_PACKET_BYTES / before - (start - self.since[at]))


def _step_bps(before: float, after: float) -> float:
    """By how much a rate changed; where there was none before or after, by the other one."""
    if before == after:
        return 0.0
    if math.inf in (before, after):
        return min(before, after)
    return abs(after - before)


def _mean_bps(conditions: NetworkConditions) -> float:
    return math.inf if conditions.rate is None else float(conditions.rate * conditions.duty_cycle)


def _held_s(conditions: NetworkConditions) -> float:
    if conditions.rate is None:
        return 0.0
    if not conditions.rate:
        return math.inf
    return 2 * float(conditions.latency) + 8 * conditions.queue_bytes / _mean_bps(conditions)


def _spread_s(conditions: NetworkConditions) -> float:
    latency_s, jitter_s = float(conditions.latency), float(conditions.jitter)
    return min(_JITTERS_APART * jitter_s, latency_s + 4 * jitter_s)
