"""What the hops' counters say for and against their fidelity. Pure."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from wotemu.percentiles import Histogram
from wotemu.records import Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import FULL_PACKET_BYTES
from wotemu_gateways.fidelity.history import History

_USUAL_SPAN_S = 1.0
_LEAST_SPAN_S = 0.05
_JITTERS_APART = 8
"""How many standard deviations lie between the earliest and the latest of many packets."""


class HopLog:
    """One hop's counters over a run."""

    __slots__ = (
        "_bytes", "_late", "_refused", "_t", "backlog_max", "direction", "dropped", "late_max_s", "node",
        "packets",
    )  # fmt: skip

    def __init__(self, node: str, direction: Direction) -> None:
        self.node = node
        self.direction = direction
        self._t = array("d")
        self._bytes = array("d")
        self._refused = array("b")
        self._late = Histogram()
        self.late_max_s: float | None = None
        self.packets = self.dropped = self.backlog_max = 0

    def take(self, row: Hop) -> None:
        """One second's counters."""
        self._t.append(row.t)
        self._bytes.append(row.sent_bytes)
        self._refused.append(row.dropped_queue > 0)
        self.packets += row.sent
        self.dropped += row.dropped_loss + row.dropped_queue + row.dropped_cut
        self.backlog_max = max(self.backlog_max, row.backlog)
        self._late.merge(row.late_bins, row.late_counts)
        if row.late_max is not None:
            self.late_max_s = max(self.late_max_s or 0.0, row.late_max)

    @property
    def late_p95_s(self) -> float | None:
        """95 % of its packets left at most so late; None where nobody knows."""
        return self._late.percentile(0.95)

    def busiest_bps(self, start: float, end: float) -> float:
        """What it sent in a time's busiest second; infinite where its queue was full, or nobody knows."""
        first, last = bisect_left(self._t, start), bisect_left(self._t, end)
        if last >= len(self._t):
            return math.inf
        return max(self._bps(index) for index in range(first, last + 1))

    def _bps(self, index: int) -> float:
        return math.inf if self._refused[index] else self._bytes[index] * 8 / self._span_s(index)

    def _span_s(self, index: int) -> float:
        return max(self._t[index] - self._t[index - 1], _LEAST_SPAN_S) if index else _USUAL_SPAN_S

    def rate_excess(self, history: History) -> float | None:
        """The share by which it sent more than its rate in its worst second; None if it has none.

        What a second may hold is what is serialised in it, the burst, a packet at either end, and what
        jitter and lateness carry over from the seconds before.
        """
        return max(self._excesses(history), default=None)

    def _excesses(self, history: History) -> Iterator[float]:
        late_s = self.late_max_s or 0.0
        for index, t in enumerate(self._t):
            if not self._bytes[index]:
                continue
            span_s = self._span_s(index)
            (now, *_) = history.conditions(self.node, self.direction, t, t)
            if now.rate is None:
                continue
            held_s = 2 * float(now.latency) + 8 * now.queue_bytes / float(now.rate)
            before = history.conditions(self.node, self.direction, t - span_s - held_s, t)
            if len(before) > 1:
                continue  # what was queued under other conditions left under their rate
            spread_s = min(_JITTERS_APART * float(now.jitter), float(now.latency) + 4 * float(now.jitter))
            bits = float(now.rate) * (span_s + spread_s + late_s) + 8 * (
                (now.burst or 0) + 2 * FULL_PACKET_BYTES
            )
            yield max(0.0, self._bytes[index] * 8 / bits - 1)
