"""The algebra of conditions: crossing two stretches in a row."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott
from wotemu.units import Bytes, Fraction, Rate, Seconds
from wotemu_gateways.conditions.compose import CLEAR, compose
from wotemu_gateways.conditions.hop_conditions import air_time_conditions, hop_conditions

durations = st.integers(0, 10_000).map(lambda ms: Seconds(ms / 1000))
shares = st.integers(0, 90).map(lambda percent: Fraction(percent / 100))
models = st.builds(GilbertElliott, shares.filter(bool), shares.filter(bool))
some_conditions = st.builds(
    NetworkConditions,
    jitter_correlation=shares,
    loss_correlation=shares,
    loss_model=st.none() | models,
    duplicate=shares,
    duplicate_correlation=shares,
    corrupt=shares,
    reorder=shares,
    reorder_gap=st.integers(1, 10),
    ecn=st.booleans(),
    latency=durations,
    jitter=durations,
    loss=shares,
    rate=st.none() | st.floats(1e3, 1e10).map(Rate),
    queue=st.none() | st.floats(1e-3, 10).map(Seconds) | st.integers(1500, 10**7).map(Bytes),
)


def numbers(conditions: NetworkConditions) -> list[float]:
    """The parts that can be compared within rounding."""
    rate = math.inf if conditions.rate is None else conditions.rate
    return [
        conditions.latency,
        conditions.jitter,
        conditions.jitter_correlation if conditions.jitter else 0.0,
        conditions.mean_loss,
        conditions.loss_correlation if conditions.loss else 0.0,
        conditions.duplicate,
        conditions.duplicate_correlation if conditions.duplicate else 0.0,
        conditions.corrupt,
        conditions.reorder,
        conditions.reorder_gap if conditions.reorder else 1,
        conditions.ecn,
        rate,
        conditions.queue_bytes,
    ]


@given(some_conditions, some_conditions)
def test_the_order_of_two_stretches_makes_no_difference(a: NetworkConditions, b: NetworkConditions) -> None:
    assert numbers(compose(a, b)) == pytest.approx(numbers(compose(b, a)), rel=1e-9, abs=1e-12)


@given(some_conditions, some_conditions, some_conditions)
def test_three_stretches_compose_in_any_grouping(
    a: NetworkConditions, b: NetworkConditions, c: NetworkConditions
) -> None:
    left, right = compose(compose(a, b), c), compose(a, compose(b, c))
    assert numbers(left) == pytest.approx(numbers(right), rel=1e-6, abs=1e-9)


@given(some_conditions)
def test_a_clear_stretch_changes_nothing(a: NetworkConditions) -> None:
    assert numbers(compose(a, CLEAR)) == pytest.approx(numbers(a), rel=1e-9, abs=1e-12)


@given(some_conditions, some_conditions)
def test_a_second_stretch_never_improves_the_first(a: NetworkConditions, b: NetworkConditions) -> None:
    both = compose(a, b)
    assert both.latency >= a.latency
    assert both.jitter >= a.jitter * (1 - 1e-12)
    assert both.loss >= a.loss - 1e-12
    assert (both.rate or math.inf) <= (a.rate or math.inf)


def test_delays_add_jitters_add_in_quadrature_and_losses_are_independent() -> None:
    first = NetworkConditions(latency=Seconds(0.02), jitter=Seconds(0.003), loss=Fraction(0.1))
    second = NetworkConditions(latency=Seconds(0.03), jitter=Seconds(0.004), loss=Fraction(0.2))
    both = compose(first, second)
    assert both.latency == pytest.approx(0.05)
    assert both.jitter == pytest.approx(0.005)
    assert both.loss == pytest.approx(0.28)


def test_the_lower_rate_holds_and_brings_its_own_queue() -> None:
    wide = NetworkConditions(rate=Rate(10e6), queue=Seconds(0.5))
    narrow = NetworkConditions(rate=Rate(1e6), queue=Seconds(0.3))
    assert compose(wide, narrow).rate == 1e6
    assert compose(wide, narrow).queue == 0.3


def test_the_shorter_queue_holds_where_rates_are_equal() -> None:
    long = NetworkConditions(rate=Rate(1e6), queue=Seconds(0.5))
    short = NetworkConditions(rate=Rate(1e6), queue=Bytes(25_000))
    assert compose(long, short).queue == Bytes(25_000)


def test_of_two_loss_models_the_heavier_keeps_its_bursts_and_the_other_its_share() -> None:
    light, heavy = GilbertElliott.of_bursts("2%", 5), GilbertElliott.of_bursts("10%", 3)
    both = compose(NetworkConditions(loss_model=light), NetworkConditions(loss_model=heavy))
    assert both.loss_model == heavy
    assert both.loss == pytest.approx(0.02)
    assert both.mean_loss == pytest.approx(1 - 0.98 * 0.9)


def test_what_belongs_to_a_rate_stays_with_it() -> None:
    adsl = NetworkConditions(
        rate="2mbit", burst="16K", overhead=22, cell_size=48, cell_overhead=5, queue="50p"
    )
    both = compose(NetworkConditions(rate="50mbit", burst="1M", queue="1s"), adsl)
    assert (both.rate, both.burst, both.overhead, both.queue) == (adsl.rate, adsl.burst, 22, adsl.queue)
    assert (both.cell_size, both.cell_overhead) == (48, 5)


def test_of_two_duty_cycles_the_lower_holds_whichever_rate_holds() -> None:
    one = NetworkConditions(rate="50kbit", duty_cycle="1%")
    for other in (NetworkConditions(rate="5kbit", duty_cycle="10%"), NetworkConditions(duty_cycle="10%")):
        both = compose(one, other)
        assert both.duty_cycle == compose(other, one).duty_cycle == Fraction(0.01)
        assert both.rate == min(each.rate for each in (one, other) if each.rate is not None)


def test_a_shared_networks_duty_cycle_is_each_senders() -> None:
    radio = NetworkConditions(rate="50kbit", queue="9p", duty_cycle="1%")
    up, down = (hop_conditions(radio, radio, CLEAR, way, shared=True) for way in ("up", "down"))
    assert up == NetworkConditions(duty_cycle="1%")
    assert down == CLEAR
    assert air_time_conditions(up, radio) == radio
    for rate, taken in (("5kbit", "5kbit"), ("60kbit", "50kbit")):
        own = air_time_conditions(up.replaced({"rate": Rate.of(rate)}), radio)
        assert own.rate == Rate.of(taken)
    assert air_time_conditions(up, None) == up


def test_no_burst_is_saved_up_in_a_silence() -> None:
    radio = NetworkConditions(rate="50kbit", duty_cycle="1%", burst="3K")
    assert hop_conditions(radio, radio, CLEAR, "up", shared=False).burst is None


def test_a_correlation_counts_by_the_variance_or_the_chance_that_it_belongs_to() -> None:
    steady = NetworkConditions(jitter="1ms", jitter_correlation="0%", loss="1%", loss_correlation="80%")
    waving = NetworkConditions(jitter="2ms", jitter_correlation="50%")
    both = compose(steady, waving)
    assert both.jitter_correlation == pytest.approx(0.4)
    assert both.loss_correlation == pytest.approx(0.8)


def test_a_shared_networks_rate_is_its_buckets_whatever_belongs_to_it() -> None:
    narrow = NetworkConditions(
        latency="5ms", rate="1mbit", burst="3000B", queue="16K", overhead=8, cell_size=48, cell_overhead=5
    )
    link = NetworkConditions(rate="2mbit", queue="100ms")
    for direction in ("up", "down"):
        alone = hop_conditions(narrow, narrow, CLEAR, direction, shared=True)
        assert alone == NetworkConditions(latency="5ms")
        behind = hop_conditions(narrow, narrow, link, direction, shared=True)
        assert behind == NetworkConditions(latency="5ms", rate="2mbit", queue="100ms")


def test_sums_may_be_more_than_conditions_can_be_given() -> None:
    day = NetworkConditions(latency="1d", jitter="1d", rate="1mbit")
    both = hop_conditions(day, day, day, "up", shared=False)
    assert both.latency == pytest.approx(2 * 86400)
    down = hop_conditions(day, NetworkConditions(rate="1mbit"), NetworkConditions(), "down", shared=False)
    assert down.queue == pytest.approx(2 * 86400)
