"""A packet's fate under a hop's conditions."""

from __future__ import annotations

import statistics
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott
from wotemu.units import Bytes, Fraction, Rate, Seconds
from wotemu_gateways.bucket import Bucket
from wotemu_gateways.losses import NEVER
from wotemu_gateways.shaping import HopShaper

MBIT = Rate(1e6)


def shaper(**conditions: Any) -> HopShaper:
    return HopShaper(NetworkConditions(**conditions), Random(7))


def test_clear_conditions_let_a_packet_leave_when_it_comes() -> None:
    hop = shaper()
    assert hop.clear
    assert hop.admit([3.0, 3.5], [1500, 60]) == [3.0, 3.5]


def test_latency_delays_each_packet_by_the_same_time() -> None:
    assert shaper(latency="20ms").admit([1.0, 2.0], [60, 1500]) == pytest.approx([1.02, 2.02])


@given(st.lists(st.integers(20, 1514), min_size=1, max_size=50), st.floats(1e4, 1e9))
def test_packets_that_come_at_once_leave_one_serialisation_after_the_other(
    sizes: list[int], rate: float
) -> None:
    hop = HopShaper(NetworkConditions(rate=Rate(rate), queue=Seconds(86_400)), Random(1))
    total_s = 0.0
    for size, leaves_s in zip(sizes, hop.admit([5.0] * len(sizes), sizes), strict=True):
        total_s += size * 8 / rate
        assert leaves_s - 5.0 == pytest.approx(total_s, abs=1e-9)


def test_an_idle_time_is_not_saved_for_later() -> None:
    hop = shaper(rate=MBIT)
    assert hop.admit([0.0], [1250]) == [pytest.approx(0.01)]
    assert hop.admit([10.0, 10.0], [1250, 1250]) == pytest.approx([10.01, 10.02])


@given(
    st.lists(st.tuples(st.floats(0, 0.05), st.integers(60, 1514)), min_size=1, max_size=60),
    st.sampled_from([None, Rate(1e5), Rate(1e7)]),
    st.floats(0, 1).map(Seconds),
)
def test_without_jitter_packets_leave_in_the_order_they_came(
    gaps: list[tuple[float, int]], rate: Rate | None, latency: Seconds
) -> None:
    hop = HopShaper(NetworkConditions(latency=latency, rate=rate), Random(1))
    now_s, left = 0.0, []
    for gap_s, size in gaps:
        now_s += gap_s
        left += hop.admit([now_s], [size])
    kept = [leaves_s for leaves_s in left if leaves_s != NEVER]
    assert kept == sorted(kept)


@given(st.lists(st.integers(60, 1514), min_size=2, max_size=40), st.integers(1, 39))
def test_a_batch_has_the_fates_of_its_packets_one_by_one(sizes: list[int], split: int) -> None:
    conditions = NetworkConditions(
        latency=Seconds(0.01), loss=Fraction(0.2), rate=Rate(1e6), queue=Seconds(0.1)
    )
    whole, parts = HopShaper(conditions, Random(3)), HopShaper(conditions, Random(3))
    fates = [parts.admit([1.0] * len(some), some) for some in (sizes[:split], sizes[split:]) if some]
    assert whole.admit([1.0] * len(sizes), sizes) == pytest.approx([fate for some in fates for fate in some])
    assert (whole.dropped_loss, whole.dropped_queue) == (parts.dropped_loss, parts.dropped_queue)


def test_the_share_of_lost_packets_is_inside_its_99_percent_interval() -> None:
    hop, packets, loss = shaper(loss="3%"), 20_000, 0.03
    fates = hop.admit([1.0] * packets, [100] * packets)
    lost = fates.count(NEVER)
    margin = 2.576 * (packets * loss * (1 - loss)) ** 0.5
    assert abs(lost - packets * loss) < margin
    assert hop.dropped_loss == lost


def test_the_same_seed_gives_the_same_fates() -> None:
    conditions = NetworkConditions(latency=Seconds(0.1), jitter=Seconds(0.05), loss=Fraction(0.3))
    one, other = (HopShaper(conditions, Random(5)).admit([1.0] * 100, [60] * 100) for _ in range(2))
    assert one == other


def test_jitter_is_normal_with_the_deviation_given() -> None:
    hop = shaper(latency="100ms", jitter="10ms")
    delays_s = [leaves_s - 1.0 for leaves_s in hop.admit([1.0] * 20_000, [60] * 20_000)]
    assert statistics.fmean(delays_s) == pytest.approx(0.1, abs=2.576 * 0.01 / 20_000**0.5)
    assert statistics.stdev(delays_s) == pytest.approx(0.01, rel=0.02)
    within = sum(abs(delay_s - 0.1) < 0.01 for delay_s in delays_s) / 20_000
    assert within == pytest.approx(0.6827, abs=0.01)


def test_jitter_lets_packets_overtake_but_never_leave_before_they_came() -> None:
    fates = shaper(latency="1ms", jitter="10ms").admit([1.0] * 1000, [60] * 1000)
    assert min(fates) == 1.0
    assert any(later < earlier for earlier, later in pairwise(fates))


def test_a_full_queue_drops_the_newcomer_and_keeps_the_rest() -> None:
    hop = shaper(rate=MBIT, queue=Seconds(0.05))
    fates = hop.admit([0.0] * 7, [1250] * 7)
    assert fates[:5] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert fates[5:] == [NEVER, NEVER]
    assert hop.dropped_queue == 2
    assert hop.admit([0.01], [1250]) == [pytest.approx(0.06)]


def test_a_packet_passes_an_idle_hop_however_short_its_queue() -> None:
    hop = shaper(rate=MBIT, queue=Bytes(100))
    assert hop.admit([0.0], [1250_00])[0] < NEVER


def test_the_default_queue_holds_two_rate_delay_products() -> None:
    hop = shaper(rate=Rate(10e6), latency="100ms")
    fates = hop.admit([0.0] * 400, [1250] * 400)
    assert 400 - fates.count(NEVER) == 200


def test_the_default_queue_holds_a_few_packets_on_the_slowest_link() -> None:
    fates = shaper(rate=Rate(50e3)).admit([0.0] * 40, [1514] * 40)
    assert 40 - fates.count(NEVER) == 16


def test_lost_packets_take_no_room_and_no_time_in_the_queue() -> None:
    hop = shaper(rate=MBIT, loss=Fraction(0.5), queue=Seconds(100))
    fates = [leaves_s for leaves_s in hop.admit([0.0] * 50, [1250] * 50) if leaves_s != NEVER]
    assert fates == pytest.approx([0.01 * (i + 1) for i in range(len(fates))])
    assert hop.dropped_queue == 0


def test_a_change_leaves_what_was_admitted_alone_and_holds_from_then_on() -> None:
    hop = shaper(latency="50ms")
    assert hop.admit([1.0], [60]) == [pytest.approx(1.05)]
    hop.change(NetworkConditions(latency=Seconds(0.01)))
    assert hop.admit([1.1], [60]) == [pytest.approx(1.11)]


@given(st.lists(st.sampled_from([None, Rate(1e5), Rate(3e5), Rate(1e6), Rate(1e9)]), min_size=2, max_size=12))
def test_changes_of_rate_neither_lose_nor_reorder(rates: list[Rate | None]) -> None:
    hop = HopShaper(NetworkConditions(latency=Seconds(0.05)), Random(1))
    left = []
    for step, rate in enumerate(rates):
        hop.change(NetworkConditions(latency=Seconds(0.05), rate=rate, queue=Seconds(86_400)))
        left += hop.admit([step * 0.1] * 20, [1250] * 20)
    assert NEVER not in left
    assert left == sorted(left)


def test_every_value_goes_back_to_zero() -> None:
    hop = shaper(latency="50ms", jitter="20ms", loss="50%", rate=MBIT)
    hop.admit([0.0] * 10, [1250] * 10)
    hop.change(NetworkConditions())
    assert hop.admit([100.0] * 50, [1250] * 50) == [100.0] * 50


def test_hops_that_share_a_bucket_share_its_rate() -> None:
    bucket = Bucket(NetworkConditions(rate=MBIT))
    one, other = shaper(), shaper()
    one.share(bucket)
    other.share(bucket)
    assert not one.clear
    assert one.admit([0.0], [1250]) == [pytest.approx(0.01)]
    assert other.admit([0.0], [1250]) == [pytest.approx(0.02)]
    assert one.admit([0.0], [1250]) == [pytest.approx(0.03)]


def test_a_full_shared_bucket_counts_its_drop_on_the_hop_that_met_it() -> None:
    bucket = Bucket(NetworkConditions(rate=MBIT, queue=Seconds(0.2)))
    one, other = shaper(), shaper()
    one.share(bucket)
    other.share(bucket)
    assert NEVER not in one.admit([0.0] * 20, [1250] * 20)
    assert other.admit([0.0], [1250]) == [NEVER]
    assert (one.dropped_queue, other.dropped_queue) == (0, 1)


def test_a_hop_of_its_own_rate_cannot_outrun_it_on_a_shared_bucket() -> None:
    hop = shaper(rate=MBIT)
    hop.share(Bucket(NetworkConditions(rate=Rate(100e6))))
    assert hop.admit([0.0] * 3, [1250] * 3) == pytest.approx([0.0101, 0.0201, 0.0301])


def test_changes_of_other_conditions_do_not_interrupt_a_burst_of_losses() -> None:
    bursts = GilbertElliott.of_bursts("20%", 50)
    hop = shaper(loss_model=bursts)
    packets, lost = 40_000, 0
    for i in range(packets):
        if i % 10 == 0:
            hop.change(NetworkConditions(loss_model=bursts, latency=Seconds(i % 100 / 1000)))
        lost += hop.admit([float(i)], [100]) == [NEVER]
    assert lost / packets == pytest.approx(0.2, abs=0.05)
