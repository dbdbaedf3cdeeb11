"""A packet's fate under a hop's conditions: rate, then loss, then delay."""

from __future__ import annotations

import statistics
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott
from wotemu.units import Bytes, Fraction, Rate, Seconds
from wotemu_gateways.impairments.delay import DelayStage
from wotemu_gateways.impairments.loss import NEVER

from .simulated import Simulation, hop

MBIT = Rate(1e6)
Z = 4.8916
"""Standard deviations that a normal variable exceeds once in a million times."""


def test_clear_conditions_let_a_packet_leave_when_it_comes() -> None:
    free = hop()
    assert free.shaper.clear
    assert free.admit([3.0, 3.5], [1500, 60]) == [3.0, 3.5]


def test_latency_delays_each_packet_by_the_same_time() -> None:
    assert hop(latency="20ms").admit([1.0, 2.0], [60, 1500]) == pytest.approx([1.02, 2.02])


@given(st.lists(st.integers(20, 1514), min_size=1, max_size=50), st.floats(1e4, 1e9))
def test_packets_that_come_at_once_leave_one_serialisation_after_the_other(
    sizes: list[int], rate: float
) -> None:
    slow = hop(rate=Rate(rate), queue=Seconds(86_400))
    total_s = 0.0
    for size, leaves_s in zip(sizes, slow.admit([5.0] * len(sizes), sizes), strict=True):
        total_s += size * 8 / rate
        assert leaves_s - 5.0 == pytest.approx(total_s, abs=1e-9)


def test_an_idle_time_is_not_saved_for_later() -> None:
    slow = hop(rate=MBIT)
    assert slow.admit([0.0], [1250]) == [pytest.approx(0.01)]
    assert slow.admit([10.0, 10.0], [1250, 1250]) == pytest.approx([10.01, 10.02])


@given(
    st.lists(st.tuples(st.floats(0, 0.05), st.integers(60, 1514)), min_size=1, max_size=60),
    st.sampled_from([None, Rate(1e5), Rate(1e7)]),
    st.floats(0, 1).map(Seconds),
)
def test_without_jitter_packets_leave_in_the_order_they_came(
    gaps: list[tuple[float, int]], rate: Rate | None, latency: Seconds
) -> None:
    steady = hop(latency=latency, rate=rate)
    now_s = 0.0
    for gap_s, size in gaps:
        now_s += gap_s
        steady.send([now_s], [size])
    left = [leaves_s for leaves_s in steady.fates() if leaves_s != NEVER]
    assert left == sorted(left)


@given(st.lists(st.integers(60, 1514), min_size=2, max_size=40), st.integers(1, 39))
def test_a_batch_has_the_fates_of_its_packets_one_by_one(sizes: list[int], split: int) -> None:
    conditions = NetworkConditions(
        latency=Seconds(0.01), loss=Fraction(0.2), rate=Rate(1e6), queue=Seconds(0.1)
    )
    whole, parts = Simulation().hop(conditions), Simulation().hop(conditions)
    for some in (sizes[:split], sizes[split:]):
        if some:
            parts.send([1.0] * len(some), some)
    assert whole.admit([1.0] * len(sizes), sizes) == pytest.approx(parts.fates())
    assert (whole.dropped_loss, whole.dropped_queue) == (parts.dropped_loss, parts.dropped_queue)


def test_the_share_of_lost_packets_is_as_asked_for() -> None:
    lossy, packets, loss = hop(loss="3%"), 100_000, 0.03
    lost = lossy.admit([1.0] * packets, [100] * packets).count(NEVER)
    assert abs(lost - packets * loss) < Z * (packets * loss * (1 - loss)) ** 0.5
    assert lossy.dropped_loss == lossy.counter.settled == lost


def test_the_same_seed_gives_the_same_fates() -> None:
    conditions = NetworkConditions(latency=Seconds(0.1), jitter=Seconds(0.05), loss=Fraction(0.3))
    one, other = (Simulation().hop(conditions, seed=5).admit([1.0] * 100, [60] * 100) for _ in range(2))
    assert one == other


def test_jitter_is_normal_with_the_deviation_given() -> None:
    packets = 100_000
    delays_s = [
        leaves_s - 1.0
        for leaves_s in hop(latency="100ms", jitter="10ms").admit([1.0] * packets, [60] * packets)
    ]
    assert statistics.fmean(delays_s) == pytest.approx(0.1, abs=Z * 0.01 / packets**0.5)
    assert statistics.stdev(delays_s) == pytest.approx(0.01, rel=Z / (2 * packets) ** 0.5 + 1e-3)
    within = sum(abs(delay_s - 0.1) < 0.01 for delay_s in delays_s) / packets
    assert within == pytest.approx(0.6827, abs=Z * (0.6827 * 0.3173 / packets) ** 0.5 + 1e-3)


def test_jitter_lets_packets_overtake_but_never_leave_before_they_came() -> None:
    fates = hop(latency="1ms", jitter="10ms").admit([1.0] * 1000, [60] * 1000)
    assert min(fates) == 1.0
    assert any(later < earlier for earlier, later in pairwise(fates))


def test_a_full_queue_drops_the_newcomer_and_keeps_the_rest() -> None:
    full = hop(rate=MBIT, queue=Seconds(0.05))
    full.send([0.0] * 7, [1250] * 7)
    full.send([0.01], [1250])
    fates = full.fates()
    assert fates[:5] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert fates[5:] == [NEVER, NEVER, pytest.approx(0.06)]
    assert full.dropped_queue == full.counter.settled == 2


def test_a_packet_passes_an_idle_hop_however_short_its_queue() -> None:
    assert hop(rate=MBIT, queue=Bytes(100)).admit([0.0], [1250_00])[0] < NEVER


def test_the_default_queue_holds_two_rate_delay_products() -> None:
    fates = hop(rate=Rate(10e6), latency="100ms").admit([0.0] * 400, [1250] * 400)
    assert 400 - fates.count(NEVER) == 200


def test_the_default_queue_holds_a_few_packets_on_the_slowest_link() -> None:
    fates = hop(rate=Rate(50e3)).admit([0.0] * 40, [1514] * 40)
    assert 40 - fates.count(NEVER) == 16


def test_lost_packets_took_their_room_and_time_in_the_queue() -> None:
    lossy = hop(rate=MBIT, loss=Fraction(0.5), queue=Seconds(0.2))
    fates = lossy.admit([0.0] * 50, [1250] * 50)
    assert (lossy.dropped_queue, lossy.dropped_loss) == (30, fates.count(NEVER) - 30)
    assert 0 < lossy.dropped_loss < 20
    for number, leaves_s in enumerate(fates[:20]):
        assert leaves_s in (NEVER, pytest.approx(0.01 * (number + 1)))


def test_duplicates_and_spoiled_packets_took_the_time_of_one() -> None:
    doubling = hop(rate=MBIT, duplicate=Fraction(1), corrupt=Fraction(0.5), queue=Seconds(10))
    doubling.admit([0.0] * 20, [1250] * 20)
    instants = [at_s for at_s, _ in doubling.left]
    assert instants == pytest.approx([0.01 * (number // 2 + 1) for number in range(40)])


def test_a_saturated_hop_delivers_what_the_rate_lets_through_but_for_the_lost() -> None:
    lossy = hop(rate=MBIT, loss="30%", queue="100ms")
    for i in range(40_000):
        lossy.send([i * 0.001], [250])  # 2 Mbit/s
    delivered = sum(at_s <= 40 for at_s in lossy.fates())
    served = 40 * 1e6 / 8 / 250
    assert delivered / served == pytest.approx(0.7, abs=Z * (0.21 / served) ** 0.5 + 1e-3)


def test_conditions_of_what_waits_are_those_that_hold_when_it_leaves_the_queue() -> None:
    slow = hop(rate="80kbit", queue="10s", latency="1s")
    slow.send([0.0] * 3, [1000] * 3)
    slow.simulation.advance_to(0.15)
    slow.set(rate="80kbit", queue="10s", latency="10ms")
    assert slow.fates() == pytest.approx([1.1, 0.21, 0.31])


def test_a_shortened_delay_holds_at_once_and_what_is_under_way_keeps_its_time() -> None:
    shortened = hop(latency="4s")
    shortened.send([1.0] * 2, [60] * 2)
    shortened.set(latency="10ms")
    shortened.send([1.5, 1.6], [60] * 2)
    assert shortened.fates() == pytest.approx([5.0, 5.0, 1.51, 1.61])
    assert [number for _, number in shortened.left] == [2, 3, 0, 1]


@given(st.lists(st.sampled_from([None, Rate(1e5), Rate(3e5), Rate(1e6), Rate(1e9)]), min_size=2, max_size=12))
def test_changes_of_rate_neither_lose_nor_reorder(rates: list[Rate | None]) -> None:
    changing = hop(latency=Seconds(0.05))
    for step, rate in enumerate(rates):
        changing.simulation.advance_to(step * 0.1)
        changing.set(latency=Seconds(0.05), rate=rate, queue=Seconds(86_400))
        changing.send([step * 0.1] * 20, [1250] * 20)
    left = changing.fates()
    assert NEVER not in left
    assert left == sorted(left)


def test_every_value_goes_back_to_zero() -> None:
    changing = hop(latency="50ms", jitter="20ms", loss="50%", duplicate="10%", rate=MBIT)
    changing.admit([0.0] * 10, [1250] * 10)
    changing.set()
    assert changing.shaper.clear
    assert changing.admit([100.0] * 50, [1250] * 50) == [100.0] * 50


def test_hops_that_share_a_bucket_share_its_rate() -> None:
    simulation = Simulation()
    one, other = simulation.hop(), simulation.hop()
    simulation.shared([one, other], rate=MBIT)
    assert not one.shaper.clear
    one.send([0.0], [1250])
    other.send([0.0], [1250])
    one.send([0.0], [1250])
    assert one.fates() == pytest.approx([0.01, 0.03])
    assert other.fates() == pytest.approx([0.02])


def test_a_full_shared_bucket_counts_its_drop_on_the_hop_that_met_it() -> None:
    simulation = Simulation()
    one, other = simulation.hop(), simulation.hop()
    simulation.shared([one, other], rate=MBIT, queue=Seconds(0.2))
    one.send([0.0] * 20, [1250] * 20)
    other.send([0.0], [1250])
    assert NEVER not in one.fates()
    assert other.fates() == [NEVER]
    assert (one.dropped_queue, other.dropped_queue) == (0, 1)


def test_a_hop_of_its_own_rate_cannot_outrun_it_on_a_shared_bucket() -> None:
    simulation = Simulation()
    slow = simulation.hop(NetworkConditions(rate=MBIT))
    simulation.shared([slow], rate=Rate(100e6))
    assert slow.admit([0.0] * 3, [1250] * 3) == pytest.approx([0.0101, 0.0201, 0.0301])


def test_what_a_delay_holds_is_bounded_and_the_drops_are_counted() -> None:
    simulation = Simulation(max_held_bytes=1 << 20)
    long = simulation.hop(NetworkConditions(latency="10s"))
    for i in range(2000):
        long.send([i / 1000], [1000])
    assert simulation.memory.held_bytes <= (1 << 20) + 1250
    fates = long.fates()
    assert long.dropped_memory == long.counter.settled == fates.count(NEVER) > 0
    assert NEVER not in fates[: (1 << 20) // 1250]
    assert long.sent + long.dropped_memory == 2000
    assert (long.dropped_queue, long.dropped_loss) == (0, 0)
    assert simulation.memory.held_bytes == 0


def test_what_waits_for_a_rate_is_bounded_too() -> None:
    simulation = Simulation(max_held_bytes=1 << 20)
    slow = simulation.hop(NetworkConditions(rate="1mbit", queue="1000s"))
    for _ in range(2000):
        slow.send([0.0], [1000])
    assert slow.dropped_memory == slow.counter.settled > 0
    slow.simulation.finish()
    assert slow.sent + slow.dropped_memory == 2000
    assert simulation.memory.held_bytes == 0


def test_changes_of_other_conditions_do_not_interrupt_a_burst_of_losses() -> None:
    bursts = GilbertElliott.of_bursts("20%", 50)
    changing = hop(loss_model=bursts)
    packets = 40_000
    for i in range(packets):
        if i % 10 == 0:
            changing.set(loss_model=bursts, latency=Seconds(i % 100 / 1000))
        changing.send([float(i)], [100])
    assert changing.dropped_loss / packets == pytest.approx(0.2, abs=0.1)


def test_changes_of_other_conditions_do_not_untie_jitter() -> None:
    tied = hop(latency="1s", jitter="10ms", jitter_correlation="90%")
    packets = 20_000
    for i in range(packets):
        tied.set(
            latency="1s", jitter="10ms", jitter_correlation="90%", loss=Fraction(1e-9 * (i % 2)), rate="1gbit"
        )
        tied.send([10.0 * i], [100])
    delays_s = [at_s - 10.0 * i for i, at_s in enumerate(tied.fates())]
    correlation = statistics.correlation(delays_s[:-1], delays_s[1:])
    assert correlation == pytest.approx(0.9, abs=Z * (1 - 0.81) / packets**0.5 + 0.01)


def test_a_changed_latency_does_not_untie_jitter_nor_begin_a_reorder_gap_again() -> None:
    tied = DelayStage(NetworkConditions(latency="1s", jitter="10ms", jitter_correlation="90%"), Random(1))
    delays_s = []
    for i in range(20_000):
        latency = Seconds(1 + i % 2)
        tied.change(NetworkConditions(latency=latency, jitter="10ms", jitter_correlation="90%"))
        delays_s.append(tied.arrivals([0.0])[0] - latency)
    assert statistics.correlation(delays_s[:-1], delays_s[1:]) == pytest.approx(0.9, abs=0.02)
    gapped = DelayStage(NetworkConditions(latency="50ms", reorder="100%", reorder_gap=5), Random(1))
    at_once = []
    for i in range(100):
        gapped.change(NetworkConditions(latency=Seconds(0.05 + i / 1e4), reorder="100%", reorder_gap=5))
        at_once.append(gapped.arrivals([0.0]) == [0.0])
    assert at_once == [False, False, False, False, True] * 20
