"""For how long packets waited is told from counters that are read now and then: never too long."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu_gateways.netem.service_counters import OBSERVE_EVERY_S, ServiceCounters, next_observation_s
from wotemu_gateways.netlink.tc import Stats

GAPS_S = st.floats(0.001, 0.5)


class Queue:
    """A queue whose packets each take `spent_s`; and for how long it was not empty."""

    def __init__(self, spent_s: float) -> None:
        self._spent_s = spent_s
        self._dues_s: deque[float] = deque()
        self.left = 0
        self.busy_s = self._t = 0.0

    def arrive(self, t: float) -> None:
        self.advance(t)
        self._dues_s.append(max(t, self._dues_s[-1] if self._dues_s else t) + self._spent_s)

    def advance(self, t: float) -> None:
        if self._dues_s:
            self.busy_s += min(t, self._dues_s[-1]) - self._t
        while self._dues_s and self._dues_s[0] <= t:
            self._dues_s.popleft()
            self.left += 1
        self._t = t

    @property
    def stats(self) -> Stats:
        return Stats(packets=self.left, size_bytes=100 * self.left, backlog_packets=len(self._dues_s))


@given(st.lists(GAPS_S, max_size=40), st.lists(GAPS_S, min_size=1, max_size=20), st.floats(0.001, 1))
def test_it_is_never_longer_than_packets_waited(
    arrivals: Sequence[float], looks: Sequence[float], spent_s: float
) -> None:
    queue, service = Queue(spent_s), ServiceCounters()
    events = [
        *((t, "arrive") for t in accumulate(arrivals)),
        *((t, "look") for t in accumulate(looks)),
    ]
    for t, what in sorted(events):
        if what == "arrive":
            queue.arrive(t)
        else:
            queue.advance(t)
            service.observe(t, queue.stats, overhead=0)
    busy_s, served_bytes = service.take()
    assert busy_s <= queue.busy_s + 1e-9
    assert served_bytes <= 100 * queue.left


def test_a_queue_that_is_never_empty_is_busy_all_the_time() -> None:
    queue, service = Queue(0.01), ServiceCounters()
    for number in range(1000):
        queue.arrive(number / 1000)
    for number in range(51):
        queue.advance(1 + number * 0.04)
        service.observe(1 + number * 0.04, queue.stats, overhead=0)
    busy_s, served_bytes = service.take()
    assert busy_s == pytest.approx(2.0)
    assert served_bytes == pytest.approx(20_000, abs=100)
    assert service.take() == (0.0, 0)


def test_overhead_counts_for_each_packet() -> None:
    service = ServiceCounters()
    service.observe(0.0, Stats(), overhead=20)
    service.observe(1.0, Stats(packets=10, size_bytes=1000), overhead=20)
    assert service.take() == (0.0, 1200)


def test_what_a_change_took_from_the_queue_proves_nothing() -> None:
    service = ServiceCounters()
    service.observe(0.0, Stats(backlog_packets=50), overhead=0)
    service.queue_replaced()
    service.observe(1.0, Stats(packets=1, size_bytes=100), overhead=0)
    busy_s, _ = service.take()
    assert busy_s == 0.0


def test_looks_that_take_long_come_less_often() -> None:
    assert next_observation_s(0.0) == OBSERVE_EVERY_S
    assert next_observation_s(0.01) == pytest.approx(0.5)
