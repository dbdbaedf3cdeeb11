"""Serialisation with bursts, overhead, cells and queues of every kind."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Bytes, Packets
from wotemu_gateways.bucket import Bucket
from wotemu_gateways.losses import NEVER


def test_a_burst_passes_at_once_after_a_pause_and_the_rate_holds_behind_it() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", burst="2500B", queue="10s"))
    assert bucket.send([0.0] * 4, [1250] * 4) == pytest.approx([0.0, 0.0, 0.01, 0.02])


def test_a_burst_is_saved_up_again_at_the_rate() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", burst="2500B", queue="10s"))
    bucket.send([0.0] * 2, [1250] * 2)
    assert bucket.send([0.01] * 2, [1250] * 2) == pytest.approx([0.01, 0.02])


def test_a_packet_larger_than_the_burst_waits_for_the_rest() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", burst="1000B", queue="10s"))
    assert bucket.send([0.0], [1250]) == pytest.approx([0.002])


def test_overhead_counts_for_each_packet() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", overhead=250, queue="10s"))
    assert bucket.send([0.0, 0.0], [1000, 1000]) == pytest.approx([0.01, 0.02])


def test_a_negative_overhead_makes_packets_smaller() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", overhead=-14, queue="10s"))
    assert bucket.send([0.0], [1264]) == pytest.approx([0.01])


@pytest.mark.parametrize(("size", "cells"), [(48, 1), (49, 2), (1500, 32)])
def test_packets_take_whole_cells(size: int, cells: int) -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", cell_size=48, cell_overhead=5, queue="10s"))
    assert bucket.send([0.0], [size]) == pytest.approx([cells * 53 * 8 / 1e6])


def test_a_queue_of_packets_holds_that_many_whatever_their_size() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", queue="3p"))
    sent = bucket.send([0.0] * 5, [1250, 60, 60, 60, 1250])
    assert [instant == NEVER for instant in sent] == [False, False, False, True, True]
    assert bucket.send([sent[0]], [60]) == [pytest.approx(sent[2] + 60 * 8 / 1e6)]


def test_a_queue_of_bytes_holds_that_many() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", queue="5000B"))
    assert bucket.send([0.0] * 6, [1250] * 6).count(NEVER) == 2


def test_what_was_dropped_before_takes_no_time() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit"))
    assert bucket.send([0.0, NEVER, 0.0], [1250] * 3) == [pytest.approx(0.01), NEVER, pytest.approx(0.02)]


def test_a_queue_of_packets_can_become_one_of_time_without_losing_what_waits() -> None:
    bucket = Bucket(NetworkConditions(rate="1mbit", queue="3p"))
    bucket.send([0.0] * 3, [1250] * 3)
    bucket.change(NetworkConditions(rate="1mbit", queue="1s"))
    assert bucket.send([0.0], [1250]) == pytest.approx([0.04])


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(60, 1514)), min_size=1, max_size=30),
    st.sampled_from([None, Bytes(2000), Bytes(6000)]),
    st.sampled_from(["20ms", "200ms", Packets(3)]),
)
def test_batches_fare_as_their_packets_one_by_one(
    packets: list[tuple[int, int]], burst: Bytes | None, queue: str | Packets
) -> None:
    conditions = NetworkConditions(rate="1mbit", burst=burst, queue=queue)
    arrivals_s = [ms / 1e3 for ms in accumulate(gap for gap, _ in packets)]
    sizes = [size for _, size in packets]
    whole, each = Bucket(conditions), Bucket(conditions)
    alone = [each.send([at_s], [size])[0] for at_s, size in zip(arrivals_s, sizes, strict=True)]
    assert whole.send(arrivals_s, sizes) == pytest.approx(alone)
    assert whole.busy_until_s == pytest.approx(each.busy_until_s)
