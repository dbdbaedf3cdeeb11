"""A queue that is served at a rate: bursts, overhead, cells, bounds of every kind, and changes."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Bytes, Packets
from wotemu_gateways.impairments.loss import NEVER
from wotemu_gateways.impairments.rate_limiter import AHEAD_S

from .simulated import SimulatedHop, Simulation, hop

RATES = st.sampled_from([None, "8kbit", "100kbit", "1mbit", "10mbit", "1gbit"])
QUEUES = st.sampled_from([None, "20ms", "2s", "3p", "100p", "4K"])


def test_a_burst_passes_at_once_after_a_pause_and_the_rate_holds_behind_it() -> None:
    bursty = hop(rate="1mbit", burst="2500B", queue="10s")
    assert bursty.admit([0.0] * 4, [1250] * 4) == pytest.approx([0.0, 0.0, 0.01, 0.02])


def test_a_burst_is_saved_up_again_at_the_rate() -> None:
    bursty = hop(rate="1mbit", burst="2500B", queue="10s")
    bursty.send([0.0] * 2, [1250] * 2)
    assert bursty.admit([0.01] * 2, [1250] * 2) == pytest.approx([0.01, 0.02])


def test_a_packet_larger_than_the_burst_waits_for_the_rest() -> None:
    assert hop(rate="1mbit", burst="1000B", queue="10s").admit([0.0], [1250]) == pytest.approx([0.002])


def test_overhead_counts_for_each_packet() -> None:
    assert hop(rate="1mbit", overhead=250, queue="10s").admit([0.0] * 2, [1000] * 2) == pytest.approx(
        [0.01, 0.02]
    )


def test_a_negative_overhead_makes_packets_smaller() -> None:
    assert hop(rate="1mbit", overhead=-14, queue="10s").admit([0.0], [1264]) == pytest.approx([0.01])


@pytest.mark.parametrize(("size", "cells"), [(48, 1), (49, 2), (1500, 32)])
def test_packets_take_whole_cells(size: int, cells: int) -> None:
    celled = hop(rate="1mbit", cell_size=48, cell_overhead=5, queue="10s")
    assert celled.admit([0.0], [size]) == pytest.approx([cells * 53 * 8 / 1e6])


def test_a_queue_of_packets_holds_that_many_whatever_their_size() -> None:
    short = hop(rate="1mbit", queue="3p")
    short.send([0.0] * 5, [1250, 60, 60, 60, 1250])
    short.send([0.01], [60])
    fates = short.fates()
    assert [instant == NEVER for instant in fates] == [False, False, False, True, True, False]
    assert fates[5] == pytest.approx(fates[2] + 60 * 8 / 1e6)


def test_a_queue_of_bytes_holds_that_many() -> None:
    assert hop(rate="1mbit", queue="5000B").admit([0.0] * 6, [1250] * 6).count(NEVER) == 2


@pytest.mark.parametrize("loss", ["0%", "1%", "10%"])
def test_a_queue_of_packets_is_bounded_whatever_is_lost_behind_it(loss: str) -> None:
    """12 Mbit/s into 1: no packet waits longer than ten others take, 0.12 s."""
    lossy = hop(rate="1mbit", queue="10p", loss=loss)
    for i in range(20_000):
        lossy.send([i / 1000], [1500])
    waits = [at_s - i / 1000 for i, at_s in enumerate(lossy.fates()) if at_s != NEVER]
    assert 0.1 < max(waits) <= 0.12 + 1e-9


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(60, 1514)), min_size=1, max_size=30),
    st.sampled_from([None, Bytes(2000), Bytes(6000)]),
    st.sampled_from(["20ms", "200ms", Packets(3), "2000B"]),
)
def test_batches_fare_as_their_packets_one_by_one(
    packets: list[tuple[int, int]], burst: Bytes | None, queue: str | Packets
) -> None:
    conditions = NetworkConditions(rate="1mbit", burst=burst, queue=queue)
    arrivals_s = [ms / 1e3 for ms in accumulate(gap for gap, _ in packets)]
    sizes = [size for _, size in packets]
    whole, each = Simulation().hop(conditions), Simulation().hop(conditions)
    for at_s, size in zip(arrivals_s, sizes, strict=True):
        each.send([at_s], [size])
    assert whole.admit(arrivals_s, sizes) == pytest.approx(each.fates())
    assert whole.shaper.rate_limiter.busy_until_s == pytest.approx(each.shaper.rate_limiter.busy_until_s)


# Changes of the rate


def filled(packets: int, **conditions: Any) -> SimulatedHop:
    """A hop in whose queue so many packets of 1000 bytes have just come."""
    full = hop(**conditions)
    full.send([0.0] * packets, [1000] * packets)
    return full


@pytest.mark.parametrize("queue", [None, "24p", "24K", "30s"])
@pytest.mark.parametrize(("before", "after"), [("8kbit", "10mbit"), ("100kbit", "100mbit"), ("8kbit", None)])
def test_after_a_raise_what_waits_leaves_at_the_new_rate_and_the_next_pass(
    before: str, after: str | None, queue: str | None
) -> None:
    slow = filled(20, rate=before, queue=queue)
    slow.simulation.advance_to(0.05)
    slow.set(rate=after, queue=queue)
    bits = 0.0 if after is None else 8 / NetworkConditions(rate=after).rate  # type: ignore[operator]
    rest_s = slow.shaper.rate_limiter.busy_until_s - 0.05 if after else 0.0
    for i in range(100):
        slow.send([0.15 + i / 100], [200])
    fates = slow.fates()
    assert NEVER not in fates
    assert fates == sorted(fates)
    assert rest_s <= 20 * 1000 * bits
    assert fates[19] == pytest.approx(0.05 + rest_s)
    assert fates[20:] == pytest.approx([0.15 + i / 100 + 200 * bits for i in range(100)])


def test_of_the_packet_in_service_only_the_rest_is_sent_at_the_new_rate() -> None:
    slow = filled(2, rate="8kbit", queue="10s")
    slow.simulation.advance_to(0.75)
    slow.set(rate="80kbit", queue="10s")
    assert slow.fates() == pytest.approx([0.75 + 0.025, 0.75 + 0.125])


def test_a_lowered_rate_keeps_what_waits_and_refuses_more_until_there_is_room() -> None:
    full = filled(10, rate="8mbit", queue="20K")
    full.set(rate="80kbit", queue="4K")
    full.send([0.0] * 2, [1000] * 2)
    full.send([0.65] * 2, [1000] * 2)  # six have gone, and half of the seventh
    fates = full.fates()
    assert fates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert fates[10:] == [NEVER, NEVER, NEVER, NEVER]
    full.send([1.05], [1000])
    assert full.fates()[-1] == pytest.approx(1.15)
    assert full.dropped_queue == 4


def test_a_lowered_rate_admits_as_soon_as_there_is_room() -> None:
    full = filled(10, rate="8mbit", queue="20K")
    full.set(rate="80kbit", queue="4K")
    full.send([0.75], [1000])  # 2.5 of ten are left
    assert full.fates()[-1] == pytest.approx(1.1)


@pytest.mark.parametrize("queue", ["10K", "10p"])
def test_at_rate_zero_what_has_room_waits_and_leaves_when_the_rate_rises(queue: str) -> None:
    still = filled(3, rate="80kbit", queue=queue)
    still.simulation.advance_to(0.05)
    still.set(rate=0, queue=queue)
    still.send([1.0] * 20, [1000] * 20)
    still.simulation.advance_to(1000.0)
    assert not still.left
    assert still.simulation.timers.next_s is None or still.simulation.timers.next_s > 1000
    assert still.queued == 10
    still.set(rate="80kbit", queue=queue)
    fates = still.fates()
    # Half of the first one had been sent.
    assert fates[:10] == pytest.approx([1000.05 + 0.1 * i for i in range(10)])
    assert fates[10:] == [NEVER] * 13


def test_one_packet_waits_at_rate_zero_however_short_the_queue() -> None:
    still = filled(3, rate=0, queue="1B")
    assert still.queued == 1
    still.set(rate="8kbit", queue="1B")
    assert still.fates() == [pytest.approx(1.0), NEVER, NEVER]


def test_a_burst_survives_an_outage() -> None:
    still = hop(rate="1mbit", burst="2500B", queue="10s")
    still.simulation.advance_to(1.0)
    still.set(rate=0, burst="2500B", queue="10s")
    still.simulation.advance_to(2.0)
    still.set(rate="1mbit", burst="2500B", queue="10s")
    assert still.admit([2.0] * 3, [1250] * 3) == pytest.approx([2.0, 2.0, 2.01])


def test_hops_that_share_a_bucket_are_served_anew_in_the_order_in_which_they_wait() -> None:
    simulation = Simulation()
    hops = [simulation.hop() for _ in range(3)]
    bucket = simulation.shared(hops, rate="8kbit", queue="100s")
    for turn in range(9):
        hops[turn % 3].send([0.0], [1000])
    simulation.advance_to(1.5)
    simulation.change(bucket, rate="80kbit", queue="100s")
    fates = [each.fates() for each in hops]
    in_order = [fates[turn % 3][turn // 3] for turn in range(9)]
    assert in_order == pytest.approx([1.0, *(1.55 + 0.1 * i for i in range(8))])


def test_a_shared_bucket_serves_who_comes_first_behind_rates_of_their_own() -> None:
    """What waits behind a slow rate of its own reserves nothing of the shared one."""
    simulation = Simulation()
    slow, fast = simulation.hop(NetworkConditions(rate="8kbit", queue="10s")), simulation.hop()
    simulation.shared([slow, fast], rate="8mbit")
    slow.send([0.0], [1000])
    fast.send([0.5], [1000])
    assert fast.fates() == pytest.approx([0.501])
    assert slow.fates() == pytest.approx([1.001])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 500), st.integers(0, 20), RATES, QUEUES, st.integers(-10, 40), st.booleans()
        ),
        min_size=1,
        max_size=15,
    )
)
def test_changes_lose_hold_and_reorder_nothing(
    steps: list[tuple[int, int, str | None, str | None, int, bool]],
) -> None:
    """Whatever changes: packets leave in order, and the drops are those refused when they came."""
    changing = hop(rate="100kbit")
    now_s, refused = 0.0, 0
    for gap_ms, packets, rate, queue, overhead, still in steps:
        now_s += gap_ms / 1e3
        before = changing.dropped_queue
        changing.simulation.advance_to(now_s)
        changing.set(rate=0 if still else rate, queue=queue, overhead=overhead)
        assert changing.dropped_queue == before, "a change drops nothing"
        if packets:
            changing.send([now_s] * packets, [1000] * packets)
        refused = changing.dropped_queue
        assert changing.queued == len(changing.shaper.rate_limiter)
    changing.set(rate="1gbit")
    in_queue, now_s = changing.queued, changing.simulation.now_s
    fates = [instant for instant in changing.fates() if instant != NEVER]
    assert fates == sorted(fates)
    assert len(fates) == changing.numbers - refused
    assert not fates or fates[-1] <= now_s + in_queue * 8e-6 + AHEAD_S, "at the rate that holds now"
    assert changing.simulation.memory.held_bytes == 0


# What it reports


def test_service_is_what_left_while_something_waited() -> None:
    full = filled(5, rate="80kbit", queue="10s", overhead=10)
    full.simulation.advance_to(0.25)
    assert full.shaper.rate_limiter.take_service(0.25) == (0.25, 2 * 1010)
    full.simulation.advance_to(3.0)
    busy_s, served_bytes = full.shaper.rate_limiter.take_service(3.0)
    assert busy_s == pytest.approx(5 * 0.101 - 0.25)
    assert served_bytes == 3 * 1010
    assert full.shaper.rate_limiter.take_service(4.0) == (0.0, 0)
