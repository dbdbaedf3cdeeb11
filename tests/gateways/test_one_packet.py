"""Packets that pass a hop one by one, without batches: as batches of one would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from wotemu.topology.loss_models import GilbertElliott
from wotemu_gateways.impairments.delay_queue import DelayQueue, Timers

from .simulated import SimulatedHop, hop

PACKETS = 5_000
"""More than are drawn before jitter has a table of delays."""

CONDITIONS: dict[str, dict[str, Any]] = {
    "clear": {},
    "delay": {"latency": "5ms"},
    "rate": {"rate": "10mbit", "queue": "20ms"},
    "burst": {"rate": "10mbit", "queue": "20ms", "burst": "3kB"},
    "all": {"latency": "5ms", "jitter": "2ms", "loss": "10%", "rate": "50mbit", "queue": "1s"},
    "chain": {"latency": "5ms", "loss": "1%", "loss_model": GilbertElliott(p=0.1, r=0.3)},
    "tied": {"latency": "5ms", "jitter": "2ms", "jitter_correlation": "50%"},
    "overtaking": {"latency": "5ms", "reorder": "20%"},
    "altered": {"latency": "5ms", "duplicate": "5%", "corrupt": "5%"},
}


def figures(sent: SimulatedHop) -> tuple[Any, ...]:
    """When packets left and what was counted."""
    row = sent.drain(0.0, "field", "a", 100.0)
    return sent.left, row.sent, row.dropped_loss, row.dropped_queue, row.late_bins, row.late_counts


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_packet_alone_passes_as_a_batch_of_one_does(name: str) -> None:
    alone, batched, rng, at_s = hop(**CONDITIONS[name]), hop(**CONDITIONS[name]), Random(5), 0.0
    for _ in range(PACKETS):
        at_s += rng.choice((0.0, 1e-5, 3e-4, 2e-3))
        size = rng.randrange(60, 1500)
        alone.send_one(at_s, size)
        batched.send([at_s], [size])
    alone.simulation.finish()
    batched.simulation.finish()
    assert figures(alone) == figures(batched)
    assert alone.counter.in_flight == batched.counter.in_flight
    assert alone.simulation.memory.held_bytes == batched.simulation.memory.held_bytes == 0


def test_a_full_memory_drops_a_packet_alone() -> None:
    slow = hop(latency="1s")
    slow.simulation.memory.max_bytes = 1000
    for number in range(3):
        slow.send_one(number * 1e-3, 800)
    assert slow.dropped_memory == 2


class Taken:
    """Notes what a queue lets go."""

    def __init__(self) -> None:
        self.left: list[tuple[float, int]] = []

    def release(self, dues_s: Sequence[float], items: Sequence[int], now_s: float) -> None:
        """See `Outlet`."""
        self.left += zip(dues_s, items, strict=True)

    def release_one(self, due_s: float, item: int, now_s: float) -> None:
        """See `Outlet`."""
        self.left.append((due_s, item))


@pytest.mark.parametrize("seed", range(5))
def test_packets_leave_by_their_departures_and_of_equals_the_first_comer_leaves_first(seed: int) -> None:
    rng, timers, taken = Random(seed), Timers(), Taken()
    queue, now_s, came = DelayQueue[int](timers, taken), 0.0, 0
    held: list[tuple[float, int]] = []
    for _ in range(300):
        now_s += rng.choice((0.0, 1e-4, 5e-3))
        timers.release(now_s)
        # Few instants, so that many are equal.
        dues_s = [now_s + 1e-3 * rng.randrange(1, 20) for _ in range(rng.choice((1, 1, 3, 64)))]
        if len(dues_s) == 1:
            queue.insert_one(dues_s[0], came)
        elif rng.random() < 0.3:
            dues_s = [max(queue.last_s, dues_s[0])] * 2
            queue.hold(dues_s, range(came, came + 2))
        else:
            queue.insert(dues_s, range(came, came + len(dues_s)))
        held += zip(dues_s, range(came, came + len(dues_s)), strict=True)
        came += len(dues_s)
        assert queue.next_s == min(set(held) - set(taken.left))[0]
    timers.release(math.inf)
    assert len(queue) == 0
    # By number within equal instants; what was released earlier was due earlier.
    assert sorted(taken.left) == sorted(held)
    assert all(first <= second for first, second in zip(taken.left, taken.left[1:], strict=False))
