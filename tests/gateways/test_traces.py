"""What a sender that never stops gets of a recorded link's delivery opportunities, outages in it or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wotemu.scenario.vocabulary.traces import OPPORTUNITY_BITS, Trace
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate

from .network import FakeNetwork
from .simulated import Simulation

TRACES = Path(__file__).parents[2] / "examples" / "traces"
SIZE = 1504
"""Bytes of a packet that one opportunity delivers."""


def opportunities_bits(path: Path, until_s: float) -> int:
    """What the link could deliver until then."""
    instants = [int(line) for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]
    return sum(instant / 1e3 <= until_s for instant in instants) * OPPORTUNITY_BITS


def steps(path: Path, until_s: float) -> Iterator[tuple[float, Rate]]:
    """When its rate changes, and to what."""
    for at_s, values in Trace.mahimahi(path).rows:
        if at_s < until_s:
            yield at_s, values["rate"]
    yield until_s, Rate(0)


@pytest.mark.parametrize("queue", [None, "200ms", "100p", "64K"])
@pytest.mark.parametrize("name", ["hspa_bus.up", "hspa_bus.down"])
def test_a_saturating_sender_gets_all_opportunities_of_a_trace(name: str, queue: str | None) -> None:
    path = TRACES / name
    length_s = Trace.mahimahi(path).length_s
    hop = Simulation().hop(NetworkConditions())
    now_ms = 0
    for at_s, rate in steps(path, length_s):
        while now_ms < at_s * 1e3:  # 12 Mbit/s, as the fastest opportunities come
            hop.send([now_ms / 1e3], [SIZE])
            now_ms += 1
        hop.simulation.advance_to(at_s)
        hop.set(rate=rate, queue=queue)
    delivered_bits = sum(at_s <= length_s for at_s, _ in hop.left) * SIZE * 8
    share = delivered_bits / opportunities_bits(path, length_s)
    assert 0.98 <= share <= 1.001


@pytest.mark.parametrize(
    ("name", "begin_s", "end_s"), [("hspa_bus.up", 20.0, 50.0), ("hspa_bus.down", 30.0, 50.0)]
)
def test_so_does_one_through_the_switch(name: str, begin_s: float, end_s: float) -> None:
    path = TRACES / name
    with FakeNetwork("a", "b") as net:
        rates = [(0.0, Rate(0)), *steps(path, end_s)]
        begun_s, delivered = net.clock.now(), 0
        now_s = begin_s
        while now_s < end_s:
            while rates and rates[0][0] <= now_s:
                net.switch.set_hop("a", "up", NetworkConditions(rate=rates.pop(0)[1]))
            net.send("a", "b", bytes(SIZE - 38))
            now_s += 0.001
            net.advance(begun_s + now_s - begin_s - net.clock.now())
            delivered += len(net.received("b"))
        assert rates == [(end_s, Rate(0))]
        _, hops = net.drain()
        assert hops["a", "up"].sent == delivered
        assert hops["a", "up"].dropped_queue > 0
    could_bits = opportunities_bits(path, end_s) - opportunities_bits(path, begin_s)
    assert 0.98 <= delivered * SIZE * 8 / could_bits <= 1.01
