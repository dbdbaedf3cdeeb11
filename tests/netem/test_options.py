"""Conditions as the options of two NetEm qdiscs, a class and a policer."""

from __future__ import annotations

import struct

import pytest

from wotemu.topology.conditions import DistributionTable, GilbertElliott, MarkovLoss, NetworkConditions
from wotemu.units import Fraction
from wotemu_gateways import netem_options as options
from wotemu_gateways.netem_options import IN_ORDER, NO_LIMIT, NetemOptions
from wotemu_gateways.netlink import decode, encode
from wotemu_gateways.traffic_control import police

ALL = 0xFFFFFFFF


def fields(data: bytes) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """struct tc_netem_qopt (latency, limit, loss, gap, duplicate, jitter), and what is behind it."""
    return struct.unpack_from("=6I", data), decode(data[24:])


def propagating(**conditions: object) -> NetemOptions:
    return options.propagating(NetworkConditions.of(**conditions))


def serialising(**conditions: object) -> NetemOptions:
    return options.serialising(NetworkConditions.of(**conditions))


def test_nothing_is_said_with_every_option() -> None:
    # What a request leaves out, NetEm keeps: so every option has to be there to be zero again.
    qopt, more = fields(propagating().encode())
    assert qopt == (0, NO_LIMIT, 0, 0, 0, 0)
    assert sorted(more) == [1, 2, 3, 4, 6, 7, 8, 10, 11, 14]
    assert more[1] == bytes(12)
    assert more[2] == bytes(2)
    assert more[3] == more[4] == bytes(8)
    assert more[7] == bytes(4)
    assert more[10] == more[11] == more[14] == bytes(8)


def test_delays_are_told_in_ticks_and_in_nanoseconds() -> None:
    qopt, more = fields(propagating(latency="40ms", jitter="10ms", jitter_correlation=0.25).encode())
    assert (qopt[0], qopt[5]) == (625_000, 156_250)  # 64 ns each
    assert more[10] == struct.pack("=q", 40_000_000)
    assert more[11] == struct.pack("=q", 10_000_000)
    assert more[1] == struct.pack("=3I", ALL // 4, 0, 0)


def test_longer_delays_than_ticks_can_tell_are_told_in_nanoseconds() -> None:
    qopt, more = fields(propagating(latency="10m").encode())
    assert qopt[0] == ALL
    assert more[10] == struct.pack("=q", 600_000_000_000)


def test_packets_keep_their_order_unless_there_is_jitter() -> None:
    assert propagating(latency="40ms").rate_bytes == IN_ORDER
    assert propagating().rate_bytes == IN_ORDER
    assert propagating(latency="40ms", jitter="1ms").rate_bytes == 0
    assert serialising().rate_bytes == IN_ORDER


@pytest.mark.parametrize("shape", ["normal", "uniform", "pareto", "paretonormal"])
def test_every_distribution_is_a_table_of_4096(shape: str) -> None:
    table = propagating(jitter="1ms", distribution=shape).table
    assert len(table) == 4096
    assert list(table) == sorted(table)


def test_uniform_jitter_reaches_as_far_as_the_jitter() -> None:
    table = propagating(jitter="1ms", distribution="uniform").table
    assert table[0] == -8190
    assert table[-1] == 8190
    assert abs(sum(table)) < 4096


def test_a_table_of_the_users_goes_to_the_kernel_as_it_is() -> None:
    mine = DistributionTable((-8192, 0, 100, 8192))
    _, more = fields(propagating(jitter="1ms", distribution=mine).encode())
    assert more[2] == struct.pack("=4h", -8192, 0, 100, 8192)


def test_shares_fill_32_bits() -> None:
    qopt, more = fields(propagating(loss="100%", duplicate=0.5, corrupt=0.1, reorder=0.25).encode())
    assert (qopt[2], qopt[4]) == (ALL, ALL // 2)
    assert more[4] == struct.pack("=2I", int(0.1 * ALL), 0)
    assert (qopt[3], more[3]) == (1, struct.pack("=2I", ALL // 4, 0))


def test_the_gap_is_there_only_with_reordering() -> None:
    assert propagating(reorder_gap=5).gap == 0
    assert propagating(reorder=0.5, reorder_gap=5).gap == 5


def test_gilbert_elliott_is_told_with_what_survives_the_bad_state() -> None:
    model = GilbertElliott(Fraction(0.25), Fraction(0.5), bad_loss=0.75, good_loss=0.0)
    _, more = fields(propagating(loss_model=model).encode())
    expected = struct.pack("=4I", int(0.25 * ALL), int(0.5 * ALL), int(0.25 * ALL), 0)
    assert more[5] == encode(((2, expected),))


def test_the_four_states_are_told_in_the_order_of_the_kernel() -> None:
    model = MarkovLoss(0.1, 0.2, 0.3, 0.4, 0.05)
    _, more = fields(propagating(loss_model=model).encode())
    expected = struct.pack("=5I", *(int(p * ALL) for p in (0.1, 0.2, 0.3, 0.05, 0.4)))
    assert more[5] == encode(((1, expected),))


def test_tied_loss_is_a_gilbert_model() -> None:
    model = propagating(loss=0.1, loss_correlation=0.5).loss_model
    assert isinstance(model, GilbertElliott)
    assert model.mean_loss == pytest.approx(0.1)
    assert 1 - model.p - model.r == pytest.approx(0.5)


def test_loss_besides_a_model_joins_it_or_takes_the_other_qdisc() -> None:
    joined = propagating(loss=0.1, loss_model=GilbertElliott(Fraction(0.1), Fraction(0.5)))
    assert joined.loss == 0
    assert joined.loss_model is not None
    assert joined.loss_model.mean_loss == pytest.approx(1 - 0.9 * (1 - 1 / 6))
    conditions = NetworkConditions(loss=0.1, loss_model=MarkovLoss(0.1, 0.5))
    assert options.serialising(conditions).loss == pytest.approx(0.1)
    assert options.propagating(conditions).loss_model == MarkovLoss(0.1, 0.5)
    tied = NetworkConditions(loss=0.1, loss_correlation=0.5, loss_model=MarkovLoss(0.1, 0.5))
    assert isinstance(options.serialising(tied).loss_model, GilbertElliott)


def test_a_rate_is_bytes_a_second_with_overhead_and_cells() -> None:
    given = serialising(rate="1mbit", overhead=-4, cell_size=48, cell_overhead=5)
    _, more = fields(given.encode())
    assert more[6] == struct.pack("=IiIi", 125_000, -4, 48, 5)
    assert more[8] == struct.pack("=Q", 125_000)
    assert propagating(rate="1mbit", jitter="1ms").rate_bytes == 0


def test_a_fast_rate_is_told_in_64_bits() -> None:
    _, more = fields(serialising(rate="100gbit").encode())
    assert struct.unpack_from("=I", more[6])[0] == ALL
    assert more[8] == struct.pack("=Q", 12_500_000_000)


def test_a_queue_in_packets_is_netems_limit_and_others_are_the_policers() -> None:
    assert serialising(rate="1mbit", queue="50p").limit == 50
    assert serialising(rate="1mbit", queue="100ms").limit == NO_LIMIT
    assert serialising(queue="50p").limit == NO_LIMIT, "without a rate nothing waits"
    assert options.entrance(NetworkConditions(rate="1mbit", queue="50p")) == police()
    assert options.entrance(NetworkConditions()) == police()
    bounded = options.entrance(NetworkConditions(rate="1mbit", queue="100ms"), unseen_bytes=14)
    assert bounded == police(125_000, 0.1 + 1e-6, overhead=14)


def test_a_queue_shorter_than_a_packet_takes_one() -> None:
    bounded = options.entrance(NetworkConditions(rate="1mbit", queue="1ms"))
    assert bounded == police(125_000, 1514 / 125_000 + 1e-6)


def test_a_burst_moves_the_rate_into_the_class() -> None:
    conditions = NetworkConditions(rate="1mbit", burst="15140B")
    assert options.serialising(conditions).rate_bytes == IN_ORDER
    assert options.class_rate(conditions) != options.class_rate(NetworkConditions())
    (rate64,) = struct.unpack("=Q", decode(options.class_rate(conditions))[6])
    assert rate64 == 125_000
    # One packet more than its burst leaves an HTB class at once, so it gets one less.
    burst = struct.unpack_from("=I", decode(options.class_rate(conditions))[1], 24)[0]
    assert burst * 64e-9 * 125_000 == pytest.approx(15140 - 1514, abs=1)


def test_a_burst_of_less_than_a_packet_is_none() -> None:
    assert options.serialising(NetworkConditions(rate="1mbit", burst="1000B")).rate_bytes == 125_000


def test_only_tied_jitter_is_beyond_netem() -> None:
    assert options.unsupported(NetworkConditions(jitter="1ms", jitter_correlation=0.5))
    assert not options.unsupported(NetworkConditions(jitter_correlation=0.5))
    assert not options.unsupported(NetworkConditions(jitter="1ms", loss=0.1, loss_correlation=0.5))
