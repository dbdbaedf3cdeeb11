"""A duty cycle: after each packet its radio is silent, whatever the rate, the queue and the channel do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Packets
from wotemu_gateways.impairments.loss import NEVER

from .simulated import SimulatedHop, Simulation, hop

PACKETS = st.lists(st.tuples(st.integers(0, 5000), st.integers(60, 1514)), min_size=1, max_size=30)
DUTY_CYCLES = st.sampled_from(["0.1%", "1%", "10%", "50%", "99%"])
RATES = st.sampled_from(["250bit", "5.47kbit", "1mbit"])


def slow(**conditions: Any) -> SimulatedHop:
    """A hop on which 1000 bytes take a second, and have nine seconds of silence after them."""
    return hop(**{"rate": "8kbit", "duty_cycle": "10%", "queue": "1000s", **conditions})


def test_a_packet_leaves_at_once_and_the_next_after_the_silence() -> None:
    assert slow().admit([0.0] * 3, [1000] * 3) == pytest.approx([1.0, 11.0, 21.0])


def test_a_silence_is_as_long_as_its_packet_says() -> None:
    assert slow().admit([0.0] * 3, [100, 1000, 1000]) == pytest.approx([0.1, 2.0, 12.0])


def test_a_packet_that_comes_after_the_silence_does_not_wait_and_nothing_is_saved_up() -> None:
    radio = slow()
    radio.send([0.0], [1000])
    radio.send([100.0] * 2, [1000] * 2)
    assert radio.fates() == pytest.approx([1.0, 101.0, 111.0])


def test_packets_alone_fare_as_those_of_a_batch() -> None:
    one_by_one = slow()
    for _ in range(3):
        one_by_one.send_one(0.0, 1000)
    assert one_by_one.fates() == pytest.approx([1.0, 11.0, 21.0])


def test_overhead_and_cells_take_air_time() -> None:
    assert slow(overhead=500).admit([0.0] * 2, [500] * 2) == pytest.approx([1.0, 11.0])
    assert slow(cell_size=300, cell_overhead=200).admit([0.0] * 2, [500] * 2) == pytest.approx([1.0, 11.0])


@given(PACKETS, RATES, DUTY_CYCLES)
def test_between_packets_is_exactly_their_silence_or_nothing_waits(
    packets: list[tuple[int, int]], rate: str, duty_cycle: str
) -> None:
    """Never more than the duty cycle over a packet and its silence; and no longer silence than that."""
    conditions = NetworkConditions(rate=rate, duty_cycle=duty_cycle, queue=Packets(100))
    radio = Simulation().hop(conditions)
    arrivals_s: list[float] = []
    for gap_ms, size in packets:
        arrivals_s.append((arrivals_s[-1] if arrivals_s else 0.0) + gap_ms / 1e3)
        radio.send([arrivals_s[-1]], [size])
    free_s = 0.0
    for arrival_s, (_, size), left_s in zip(arrivals_s, packets, radio.fates(), strict=True):
        air_s = size * 8 / float(conditions.rate or 0)
        begun_s = max(arrival_s, free_s)
        assert left_s == pytest.approx(begun_s + air_s, abs=3e-5)  # a grain of time
        free_s = left_s + air_s * (1 / conditions.duty_cycle - 1)


@given(PACKETS, RATES)
def test_all_of_the_time_is_no_duty_cycle(packets: list[tuple[int, int]], rate: str) -> None:
    free, whole = hop(rate=rate, queue="100p"), hop(rate=rate, queue="100p", duty_cycle="100%")
    at_s = [i / 10 for i in range(len(packets))]
    sizes = [size for _, size in packets]
    assert free.admit(at_s, sizes) == whole.admit(at_s, sizes)
    assert whole.duty_cycle is None


# The queue


def test_the_queue_counts_the_packet_in_the_air_and_what_waits_not_silences() -> None:
    radio = slow(queue="3p")
    radio.send([0.0] * 5, [1000] * 5)
    assert radio.fates() == pytest.approx([1.0, 11.0, 21.0, NEVER, NEVER])
    radio = slow(queue="2500B")
    radio.send([0.0] * 4, [1000, 1000, 1000, 400])
    assert radio.fates() == pytest.approx([1.0, 11.0, NEVER, 20.4])
    assert radio.dropped_queue == 1


def test_a_packet_larger_than_the_queue_is_taken_where_nothing_waits() -> None:
    radio = slow(queue="500B")
    radio.send([0.0], [1000])
    radio.send([5.0] * 2, [1000] * 2)
    assert radio.fates() == pytest.approx([1.0, 11.0, NEVER])


def test_what_waits_is_in_the_backlog_and_in_the_gateways_memory() -> None:
    radio = slow()
    radio.send([0.0] * 3, [1000] * 3)
    radio.simulation.advance_to(2.0)
    row = radio.drain(2.0, "n", "a", 2.0)
    assert (row.sent, row.backlog, row.served_bytes) == (1, 2, 1000)
    assert row.busy == pytest.approx(2.0)
    assert radio.simulation.memory.held_bytes > 2000
    radio.fates()
    assert radio.queued == 0
    assert radio.simulation.memory.held_bytes == 0
    row = radio.drain(30.0, "n", "a", 30.0)
    assert row.served_bytes == 2000
    assert row.busy == pytest.approx(18.0)


def test_without_memory_a_packet_is_dropped_and_the_next_ones_go_on() -> None:
    radio = Simulation(max_held_bytes=1).hop(NetworkConditions(rate="8kbit", duty_cycle="10%", queue="9p"))
    radio.send([0.0], [1000])  # in the air it holds memory, so that the gateway has none
    radio.send([0.5], [1000])
    radio.send([1.5] * 2, [1000] * 2)  # the second holds what the first would need at the rate
    radio.send([40.0], [1000])
    fates = radio.fates()
    assert fates[1] == NEVER
    assert [fates[0], fates[4]] == pytest.approx([1.0, 41.0])
    assert radio.dropped_memory == fates.count(NEVER)


# Changes


def test_of_a_silence_the_share_is_left_that_is_left_when_the_rate_changes() -> None:
    radio = slow()
    radio.send([0.0] * 3, [1000] * 3)
    radio.simulation.advance_to(4.0)  # a third of the silence
    radio.set(rate="80kbit", duty_cycle="10%", queue="1000s")
    assert radio.fates() == pytest.approx([1.0, 4.0 + 0.6 + 0.1, 4.7 + 0.9 + 0.1])


@pytest.mark.parametrize(("duty_cycle", "silence_s"), [("5%", 19.0), ("50%", 1.0), ("100%", 0.0)])
def test_of_a_silence_the_share_is_left_when_the_duty_cycle_changes(
    duty_cycle: str, silence_s: float
) -> None:
    radio = slow()
    radio.send([0.0] * 3, [1000] * 3)
    radio.simulation.advance_to(4.0)
    radio.set(rate="8kbit", duty_cycle=duty_cycle, queue="1000s")
    second_s = 4.0 + silence_s * 2 / 3 + 1.0
    assert radio.fates() == pytest.approx([1.0, second_s, second_s + silence_s + 1.0])


def test_a_duty_cycle_that_ends_lets_all_go_in_order_and_costs_nothing_any_more() -> None:
    radio = slow()
    radio.send([0.0] * 3, [1000] * 3)
    radio.simulation.advance_to(4.0)
    radio.set(rate="8kbit", queue="1000s")
    radio.send([4.0], [1000])
    assert radio.fates() == pytest.approx([1.0, 5.0, 6.0, 7.0])
    assert radio.duty_cycle is not None
    assert not radio.duty_cycle.holds


@pytest.mark.parametrize("queue", ["1000s", "100p"])
def test_a_duty_cycle_that_begins_holds_for_what_waits(queue: str) -> None:
    radio = hop(rate="8kbit", queue=queue)
    radio.send([0.0] * 4, [1000] * 4)
    radio.simulation.advance_to(1.5)  # the second is being sent
    radio.set(rate="8kbit", duty_cycle="10%", queue=queue)
    assert radio.queued == 3
    radio.send([1.6], [1000])
    assert radio.fates() == pytest.approx([1.0, 2.0, 12.0, 22.0, 32.0])


def test_in_an_outage_a_silence_stands_still_and_then_its_share_is_left() -> None:
    radio = slow()
    radio.send([0.0] * 2, [1000] * 2)
    radio.simulation.advance_to(4.0)
    radio.set(rate=0, duty_cycle="10%", queue="1000s")
    radio.simulation.advance_to(100.0)
    radio.set(rate="8kbit", duty_cycle="10%", queue="1000s")
    assert radio.fates() == pytest.approx([1.0, 100.0 + 6.0 + 1.0])


def test_without_a_rate_there_is_no_air_time_and_so_no_silence() -> None:
    radio = slow()
    radio.send([0.0] * 3, [1000] * 3)
    radio.simulation.advance_to(4.0)
    radio.set(duty_cycle="10%")
    radio.send([5.0] * 2, [1000] * 2)
    assert radio.fates() == pytest.approx([1.0, 4.0, 4.0, 5.0, 5.0])


CHANGES = st.lists(
    st.tuples(
        st.integers(1, 4000),
        st.sampled_from(["0", "8kbit", "80kbit", None]),
        st.sampled_from(["1%", "10%", "100%"]),
        st.sampled_from([None, "3p", "5K"]),
    ),
    max_size=12,
)


@given(PACKETS, CHANGES)
def test_no_change_loses_or_reorders_a_packet_or_leaves_it_behind(
    packets: list[tuple[int, int]], changes: list[tuple[int, str | None, str, str | None]]
) -> None:
    radio = Simulation().hop(NetworkConditions(rate="8kbit", duty_cycle="10%", queue="100p"))
    for number, (gap_ms, size) in enumerate(packets):
        radio.send([radio.simulation.now_s + gap_ms / 1e3], [size])
        if number < len(changes):
            wait_ms, rate, duty_cycle, queue = changes[number]
            radio.simulation.advance_to(radio.simulation.now_s + wait_ms / 1e3)
            radio.set(rate=rate, duty_cycle=duty_cycle, queue=queue)
    radio.set(rate="1mbit")
    fates = radio.fates()
    assert fates.count(NEVER) == radio.dropped_queue
    left = [at_s for at_s in fates if at_s != NEVER]
    assert left == sorted(left)
    assert [number for _, number in radio.left] == sorted(number for _, number in radio.left)
    assert radio.queued == 0
    assert radio.simulation.memory.held_bytes == 0


# A shared channel


def shared_by_two(**channel: Any) -> tuple[Simulation, SimulatedHop, SimulatedHop]:
    """Two nodes with a duty cycle of 10 % on one channel, on which 1000 bytes take a second."""
    simulation = Simulation()
    one, other = (simulation.hop(NetworkConditions(duty_cycle="10%")) for _ in range(2))
    simulation.shared([one, other], **{"rate": "8kbit", "queue": "1000s", **channel})
    return simulation, one, other


def test_air_time_is_the_channels_and_the_silence_each_nodes_own() -> None:
    _, one, other = shared_by_two()
    one.send([0.0] * 2, [1000] * 2)
    other.send([0.0] * 2, [1000] * 2)
    assert one.fates() == pytest.approx([1.0, 11.0])
    assert other.fates() == pytest.approx([2.0, 12.0])


def test_the_silence_begins_when_a_packet_has_had_its_turn() -> None:
    simulation, one, other = shared_by_two()
    free = simulation.hop()
    free.shaper.share(one.shaper.shared)  # type: ignore[arg-type]
    free.send([0.0] * 20, [1000] * 20)
    one.send([0.0] * 2, [1000] * 2)
    assert one.fates() == pytest.approx([21.0, 31.0])
    assert other.fates() == []


def test_while_one_is_silent_the_channel_is_free_for_others() -> None:
    simulation, one, _ = shared_by_two()
    free = simulation.hop()
    free.shaper.share(one.shaper.shared)  # type: ignore[arg-type]
    one.send([0.0] * 3, [1000] * 3)
    free.send([0.0] * 5, [1000] * 5)
    assert free.fates() == pytest.approx([2.0, 3.0, 4.0, 5.0, 6.0])


def test_a_packet_that_the_channels_queue_refuses_has_no_silence() -> None:
    simulation, one, _ = shared_by_two(queue="3p")
    free = simulation.hop()
    free.shaper.share(one.shaper.shared)  # type: ignore[arg-type]
    free.send([0.0] * 3, [1000] * 3)
    one.send([0.0] * 2, [1000] * 2)
    assert one.dropped_queue == 2
    one.send([1.5], [1000])
    assert one.fates() == pytest.approx([NEVER, NEVER, 4.0])


def test_a_changed_channel_keeps_the_share_of_each_silence() -> None:
    simulation, one, _ = shared_by_two()
    one.send([0.0] * 2, [1000] * 2)
    simulation.advance_to(4.0)
    simulation.change(one.shaper.shared, rate="80kbit", queue="1000s")  # type: ignore[arg-type]
    assert one.fates() == pytest.approx([1.0, 4.0 + 0.6 + 0.1])


def test_a_duty_cycle_that_begins_holds_for_what_waits_for_the_channel() -> None:
    simulation = Simulation()
    one, other = simulation.hop(), simulation.hop()
    simulation.shared([one, other], rate="8kbit", queue="1000s")
    one.send([0.0] * 3, [1000] * 3)
    other.send([0.0] * 2, [1000] * 2)
    simulation.advance_to(0.5)
    one.set(duty_cycle="10%")
    assert one.fates() == pytest.approx([1.0, 11.0, 21.0])
    assert other.fates() == pytest.approx([2.0, 3.0])


def test_a_nodes_own_lower_rate_is_its_air_time() -> None:
    simulation = Simulation()
    radio = simulation.hop(NetworkConditions(rate="8kbit", duty_cycle="10%", queue="1000s"))
    simulation.shared([radio], rate="8mbit")
    assert radio.admit([0.0] * 2, [1000] * 2) == pytest.approx([1.001, 1.001 + 9.0 + 1.001])
