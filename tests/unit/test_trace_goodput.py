"""A sender that always has more gets what a trace can deliver, whatever outages it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from wotemu.scenario import Trace
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.delay_queue import Timers
from wotemu_gateways.impairments.memory_budget import MemoryBudget
from wotemu_gateways.impairments.rate_limiter import RateLimiter

TRACES = Path(__file__).parents[2] / "examples" / "traces"
SIZE = 1504
STEP_S = 0.01

Packet = tuple[bytes, int]


class Sender:
    """Fills a queue and counts what leaves it."""

    def __init__(self, bucket: RateLimiter[Packet]) -> None:
        self.queued = self.sent = 0
        self._bucket = bucket
        self._has_room = True

    def fill(self, now_s: float) -> None:
        """Send until the queue refuses."""
        self._has_room = True
        while self._has_room:
            self._bucket.enqueue(self, [now_s], [(b"", SIZE)], now_s)

    def leave_queue(
        self, bucket: RateLimiter[Packet], sent_s: Sequence[float], packets: Sequence[Packet], now_s: float
    ) -> None:
        """Count what has been sent."""
        self.sent += len(packets)

    def drop_queue_full(self, packets: Sequence[Packet]) -> None:
        """Stop for now."""
        self._has_room = False

    def drop_without_memory(self, packets: Sequence[Packet]) -> None:
        """The gateway's memory has room."""
        raise AssertionError


@pytest.mark.parametrize("name", ["hspa_bus.up", "hspa_bus.down"])
def test_all_delivery_opportunities_are_used(name: str) -> None:
    trace = Trace.read(TRACES / name)
    conditions = NetworkConditions(latency="50ms")
    bucket: RateLimiter[Packet] = RateLimiter(Timers(), MemoryBudget(), conditions.replaced(trace.rows[0][1]))
    sender, rows = Sender(bucket), list(trace.rows[1:])
    for number in range(int(trace.length_s / STEP_S) + 1):
        now_s = number * STEP_S
        bucket.release(now_s)
        while rows and rows[0][0] <= now_s + 1e-9:
            bucket.change(conditions.replaced(rows.pop(0)[1]), now_s)
        sender.fill(now_s)
    opportunities = len((TRACES / name).read_text().split())
    assert 0.98 * opportunities <= sender.sent <= opportunities + 1
