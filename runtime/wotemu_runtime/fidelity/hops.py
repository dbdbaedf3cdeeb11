"""Evidence from the hops' counters for and against their fidelity. Pure."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right

from wotemu.percentiles import Histogram
from wotemu.records import Hop
from wotemu_runtime.fidelity.goodput import TIMER_S, Goodput, GoodputMeter, Second
from wotemu_runtime.fidelity.rates import RateCourse

_USUAL_SPAN_S = 1.0
_LEAST_SPAN_S = 0.05
_UNKNOWN = math.nan
_ALWAYS = 0.99
"""Packets waited throughout a second if they did for such a share of it."""


class HopLog:
    """The counters over a run of one hop, or of a shared network's rate.

    Each second is judged once, by `judge`, when all changes are known that it had; it is kept for as long as
    a probe may ask for it, until `forget`.
    """

    __slots__ = (
        "_busy_s", "_bytes", "_forgotten", "_goodput", "_judged", "_late", "_radio", "_refused", "_served",
        "_span_s", "_t", "backlog_max", "dropped", "late_max_s", "packets", "rate_excess",
    )  # fmt: skip

    def __init__(self) -> None:
        self._t = array("d")
        self._span_s = array("d")
        self._bytes = array("d")
        self._refused = array("b")
        self._busy_s = array("d")
        self._served = array("d")
        self._judged = self._forgotten = 0
        """How many of these are judged, and how many were there before them."""
        self._late = Histogram()
        self._goodput = GoodputMeter()
        self._radio = GoodputMeter()
        """Of all seconds in which there was a duty cycle, whether or not packets waited."""
        self.rate_excess: float | None = None
        """The share by which it sent more than its rate in its worst second; None where it had none."""
        self.late_max_s: float | None = None
        self.packets = self.dropped = self.backlog_max = 0

    def take(self, row: Hop) -> None:
        """One second's counters."""
        self._span_s.append(max(row.t - self._t[-1], _LEAST_SPAN_S) if self._t else _USUAL_SPAN_S)
        self._t.append(row.t)
        self._bytes.append((row.served_bytes or 0) if row.direction == "shared" else row.sent_bytes)
        self._refused.append(row.dropped_queue > 0)
        is_known = row.busy is not None and row.served_bytes is not None
        self._busy_s.append(row.busy if is_known else _UNKNOWN)  # type: ignore[arg-type]
        self._served.append(row.served_bytes if is_known else _UNKNOWN)  # type: ignore[arg-type]
        self.packets += row.sent
        self.dropped += row.dropped_loss + row.dropped_queue + row.dropped_cut + row.dropped_memory
        self.backlog_max = max(self.backlog_max, row.backlog)
        self._late.merge(row.late_bins, row.late_counts)
        if row.late_max is not None:
            self.late_max_s = max(self.late_max_s or 0.0, row.late_max)

    @property
    def late_p95_s(self) -> float | None:
        """95 % of its packets left at most so late; None where nobody knows."""
        return self._late.percentile(0.95)

    # What probes ask

    def busiest_bps(self, start: float, end: float) -> float:
        """What it sent in a time's busiest second; infinite where its queue was full, or nobody knows."""
        first, last = bisect_left(self._t, start), bisect_left(self._t, end)
        if last >= len(self._t) or (first == 0 and self._forgotten):
            return math.inf
        return max(self._bps(index) for index in range(first, last + 1))

    def waiting(self, start: float, end: float) -> float:
        """For which share of a time's busiest second packets waited for its rate, as far as anybody knows."""
        first, last = bisect_left(self._t, start), bisect_left(self._t, end)
        shares = (
            self._busy_s[index] / self._span_s[index]
            for index in range(first, min(last + 1, len(self._t)))
            if not math.isnan(self._busy_s[index])
        )
        return max(shares, default=0.0)

    def _bps(self, index: int) -> float:
        return math.inf if self._refused[index] else self._bytes[index] * 8 / self._span_s[index]

    # The verdict on its rate

    @property
    def unjudged_since(self) -> float:
        """When the first second began that is not judged; infinite where there is none."""
        if self._judged == len(self._t):
            return math.inf
        return self._t[self._judged] - self._span_s[self._judged]

    @property
    def goodput(self) -> Goodput | None:
        """How much it served while packets waited for its rate; None if none did or nobody knows."""
        return self._goodput.result

    def judge(self, until: float, course: RateCourse) -> None:
        """Judge the seconds that ended by `until`, by the rate that held in them."""
        end = bisect_right(self._t, until)
        for index in range(self._judged, end):
            self._judge_goodput(index, course)
            if course.has_duty_cycle:
                self._judge_radio(index, course)
        if course.is_limited:
            self.rate_excess = self._worst_excess(range(self._judged, end), course)
            if self._radio.over:
                self.rate_excess = max(self.rate_excess or 0.0, self._radio.over)
        self._judged = max(self._judged, end)

    def close(self) -> None:
        """No second comes any more."""
        self._goodput.end_stretch()
        self._radio.end_stretch()
        if self._radio.over:
            self.rate_excess = max(self.rate_excess or 0.0, self._radio.over)

    def forget(self, before: float) -> None:
        """Drop the judged seconds that ended before a time."""
        count = min(bisect_left(self._t, before), self._judged)
        for each in (self._t, self._span_s, self._bytes, self._refused, self._busy_s, self._served):
            del each[:count]
        self._judged -= count
        self._forgotten += count

    def _judge_goodput(self, index: int, course: RateCourse) -> None:
        t, span_s = self._t[index], self._span_s[index]
        is_first = index + self._forgotten == 0  # nobody knows when it began
        if not is_first and self._busy_s[index] >= _ALWAYS * span_s:
            self._goodput.add(Second(t, span_s, self._served[index]), course.passage(t - span_s, t))
        else:
            self._goodput.end_stretch()

    def _judge_radio(self, index: int, course: RateCourse) -> None:
        """Take a second for what a duty cycle lets pass, of which a second by itself shows nothing.

        Where there is one, a hop reports all that it has sent as served.
        """
        t, span_s = self._t[index], self._span_s[index]
        passage = course.passage(t - span_s, t)
        if index + self._forgotten and not passage.unlimited_s and not math.isnan(self._served[index]):
            self._radio.add(Second(t, span_s, self._served[index]), passage)
        else:
            self._radio.end_stretch()

    def _worst_excess(self, seconds: range, course: RateCourse) -> float | None:
        """The worst excess so far, with that of these seconds.

        What a second may hold is what is serialised in it, the burst, a packet at either end, and what
        jitter and lateness carry over from the seconds before. Where the conditions changed shortly before,
        what was served counts instead of what left: delays that changed gather packets, or spread them.
        """
        worst = self.rate_excess
        late_s = self.late_max_s or 0.0
        for index in seconds:
            t, span_s, size_bytes = self._t[index], self._span_s[index], self._bytes[index]
            at = max(bisect_right(course.since, t) - 1, 0)
            rate_bps = course.rate_bps[at]
            if not size_bytes or rate_bps == math.inf:
                continue
            if course.since[at] <= t - span_s - course.held_s[at]:
                bits = rate_bps * (span_s + course.spread_s[at] + late_s) + course.extra_bits[at]
                excess = size_bytes * 8 / bits - 1
            elif index + self._forgotten and not math.isnan(self._served[index]):
                excess = self._served_excess(index, span_s, course)
            else:
                continue
            worst = max(excess, 0.0) if worst is None else max(excess, worst)
        return worst

    def _served_excess(self, index: int, span_s: float, course: RateCourse) -> float:
        t = self._t[index]
        passage = course.passage(t - span_s, t)
        if passage.unlimited_s:
            return 0.0
        first, last = bisect_right(course.since, t - span_s) - 1, bisect_right(course.since, t)
        extra_bits = max(course.extra_bits[max(first, 0) : last])
        bits = passage.bits + extra_bits + TIMER_S * (2 * passage.peak_bps + passage.steps_bps)
        return self._served[index] * 8 / bits - 1
