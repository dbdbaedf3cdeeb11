"""Conditions as the options of a queue, a class and two NetEm qdiscs."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from wotemu.topology.conditions import DistributionTable, GilbertElliott, MarkovLoss, NetworkConditions
from wotemu.units import Fraction
from wotemu_gateways.netem import options
from wotemu_gateways.netem.options import MAX_JITTER_NS, NO_RATE, Fifo, NetemOptions
from wotemu_gateways.netlink.request_socket import decode, encode

ALL = 0xFFFFFFFF
HELD = 5000
AHEAD = 10e-3


def fields(data: bytes) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """struct tc_netem_qopt (latency, limit, loss, gap, duplicate, jitter), and what is behind it."""
    return struct.unpack_from("=6I", data), decode(data[24:])


def propagating(**conditions: Any) -> NetemOptions:
    return options.propagating(NetworkConditions.of(**conditions), limit=HELD)


def serialising(**conditions: Any) -> NetemOptions:
    return options.serialising(NetworkConditions.of(**conditions), limit=HELD)


def waiting(**conditions: Any) -> Fifo:
    return options.fifo(NetworkConditions.of(**conditions))


def htb_class(**conditions: Any) -> tuple[int, float, int, int]:
    """Bytes a second, seconds of burst, bytes of overhead and the link layer of a class."""
    found = decode(options.class_rate(NetworkConditions.of(**conditions)))
    _, layer, overhead, _, _, _ = struct.unpack_from("=BBHhHI", found[1])
    (burst,) = struct.unpack_from("=I", found[1], 24)
    (rate,) = struct.unpack("=Q", found[6])
    return rate, burst * 64e-9, overhead, layer


def test_nothing_is_said_with_every_option() -> None:
    # What a request leaves out, NetEm keeps: so every option has to be there to be zero again.
    qopt, more = fields(propagating().encode())
    assert qopt == (0, HELD, 0, 0, 0, 0)
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


def test_no_delay_orders_packets_behind_those_of_a_longer_one_before() -> None:
    # NetEm with a rate measures a packet's delay from the end of the one before it.
    assert propagating(latency="40ms").rate_bytes == propagating(rate="1mbit", jitter="1ms").rate_bytes == 0
    assert serialising().rate_bytes == NO_RATE, "a lifted rate lets no packet overtake the one on the line"


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
    assert options.serialising(conditions, limit=HELD).loss == pytest.approx(0.1)
    assert options.propagating(conditions, limit=HELD).loss_model == MarkovLoss(0.1, 0.5)
    tied = NetworkConditions(loss=0.1, loss_correlation=0.5, loss_model=MarkovLoss(0.1, 0.5))
    assert isinstance(options.serialising(tied, limit=HELD).loss_model, GilbertElliott)


def test_a_rate_is_bytes_a_second_with_overhead_and_cells() -> None:
    given = serialising(rate="1mbit", overhead=-4, cell_size=48, cell_overhead=5)
    _, more = fields(given.encode())
    assert more[6] == struct.pack("=IiIi", 125_000, -4, 48, 5)
    assert more[8] == struct.pack("=Q", 125_000)


def test_a_fast_rate_is_told_in_64_bits() -> None:
    _, more = fields(serialising(rate="100gbit").encode())
    assert struct.unpack_from("=I", more[6])[0] == ALL
    assert more[8] == struct.pack("=Q", 12_500_000_000)


def test_a_queue_is_bounded_in_what_it_is_given_in() -> None:
    # 4 ms of 1 Mbit/s are less than half a packet; one is on the line.
    assert waiting(rate="1mbit", queue="50p") == Fifo("pfifo", 49)
    assert waiting(rate="1mbit", queue="100K") == Fifo("bfifo", 102_400 - int(125_000 * AHEAD))
    assert waiting(rate="1mbit", queue="2s") == Fifo("bfifo", 250_000 - int(125_000 * AHEAD))
    assert waiting(rate="10mbit") == Fifo("bfifo", 125_000 - int(1_250_000 * 0.025))


def test_a_queue_has_room_for_a_packet_at_least() -> None:
    assert waiting(rate="1mbit", queue="1ms") == Fifo("bfifo", 1514)
    assert waiting(rate="1gbit", queue="1p") == Fifo("pfifo", 1)


def test_at_rate_zero_the_whole_bound_waits() -> None:
    assert waiting(rate=0, queue="50p") == Fifo("pfifo", 50)
    assert waiting(rate=0, queue="64K") == Fifo("bfifo", 65_536)


def test_without_a_rate_nothing_waits_but_for_a_moment_after_one() -> None:
    assert waiting(queue="50p").kind == "pfifo", "the kind stays, as another would drop what waits"
    assert waiting(queue="50p").limit == waiting().limit == 0x7FFFFFFF


def test_cells_and_overhead_take_room_of_the_queue() -> None:
    # 1514 and 8 bytes are 32 cells of 53.
    plain, in_cells = (
        waiting(rate="1mbit", queue="64K", overhead=8, cell_size=size, cell_overhead=5) for size in (0, 48)
    )
    assert in_cells.limit == int((65_536 - 125_000 * AHEAD) * 1514 / (32 * 53))
    assert plain.limit == int((65_536 - 125_000 * AHEAD) * 1514 / 1522)


def test_the_class_has_the_rate_and_lets_packets_go_a_little_early() -> None:
    rate, ahead_s, overhead, layer = htb_class(rate="1mbit")
    assert (rate, overhead, layer) == (125_000, 0, 1)
    assert ahead_s == pytest.approx(AHEAD, abs=1e-7)
    assert htb_class(rate="2mbit")[1] == pytest.approx(0.025, abs=1e-7)
    assert htb_class(rate="1mbit", queue="8ms")[1] == pytest.approx(0.002, abs=1e-7), "a quarter of the queue"
    assert htb_class(rate="1mbit", queue="50p")[1] == pytest.approx(0.004, abs=1e-7)


def test_the_class_knows_overhead_and_the_cells_of_atm() -> None:
    assert htb_class(rate="1mbit", overhead=8)[2:] == (8, 1)
    assert htb_class(rate="1mbit", overhead=8, cell_size=48, cell_overhead=5)[2:] == (8, 2)
    # Of what it does not know it has the rate of full packets: 1500 for 1514, and 24 cells of 65 for them.
    assert htb_class(rate="1mbit", overhead=-14)[0] == round(125_000 * 1514 / 1500)
    assert htb_class(rate="1mbit", cell_size=64, cell_overhead=1)[0] == round(125_000 * 1514 / (24 * 65))


def test_a_burst_is_the_classs_and_nothing_takes_time_behind_it() -> None:
    conditions = {"rate": "1mbit", "burst": "15140B"}
    assert serialising(**conditions).rate_bytes == NO_RATE
    # One packet more than its burst leaves an HTB class at once, so it gets one less.
    assert htb_class(**conditions)[1] == pytest.approx((15140 - 1514) / 125_000, abs=1e-7)


def test_a_burst_of_less_than_a_packet_is_none() -> None:
    assert serialising(rate="1mbit", burst="1000B").rate_bytes == 125_000


def test_delays_share_the_memory_of_a_gateway() -> None:
    for members in (1, 10, 100):
        assert options.held_packets(members) * members * 2304 <= options.MAX_HELD_BYTES
    assert options.held_packets(10_000) == options.MIN_HELD_PACKETS
    assert propagating(latency="10s").limit == HELD


@pytest.mark.parametrize("field", ["gap", "limit", "overhead", "cell_size", "seed"])
def test_what_a_field_of_the_kernels_has_no_room_for_is_a_value_error(field: str) -> None:
    with pytest.raises(ValueError, match="NetEm has no room"):
        NetemOptions(**{field: 1 << 64}).encode()  # type: ignore[arg-type]


def test_jitter_that_netem_would_cut_off_is_refused() -> None:
    assert propagating(jitter="2s").encode()
    assert propagating(jitter="2s").jitter_ns < MAX_JITTER_NS
    with pytest.raises(ValueError, match=r"more than 2\.1 s"):
        propagating(jitter="3s").encode()


def test_what_is_beyond_netem_is_said() -> None:
    assert options.unsupported(NetworkConditions(jitter="3s"))
    assert options.unsupported(NetworkConditions(rate="1mbit", overhead=-14))
    assert options.unsupported(NetworkConditions(rate="1mbit", cell_size=64, cell_overhead=1))
    assert options.unsupported(NetworkConditions(rate="1mbit", duty_cycle="1%"))
    assert not options.unsupported(NetworkConditions(overhead=-14))
    assert not options.unsupported(NetworkConditions(rate="1mbit", cell_size=48, cell_overhead=5, overhead=8))


def test_only_tied_jitter_is_beyond_netem() -> None:
    assert options.unsupported(NetworkConditions(jitter="1ms", jitter_correlation=0.5))
    assert not options.unsupported(NetworkConditions(jitter_correlation=0.5))
    assert not options.unsupported(NetworkConditions(jitter="1ms", loss=0.1, loss_correlation=0.5))
