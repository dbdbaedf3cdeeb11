"""What a probe should take, against packets that the shaper treats."""

from __future__ import annotations

from random import Random
from statistics import fmean, median, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateways.simulated import Simulation
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss
from wotemu_runtime.fidelity.chance import improbability
from wotemu_runtime.fidelity.expectation import delay, expect, loss, memory, serialisation_s

CLEAR = NetworkConditions()
SIZE = 54
MS_20 = NetworkConditions(latency="20ms")


def shaped(conditions: NetworkConditions, seed: int = 3, packets: int = 4000) -> list[float]:
    """The delays that a hop gives to packets that find its queue empty."""
    hop = Simulation().hop(conditions, seed=seed)
    for i in range(1, packets + 1):
        hop.send([1000.0 * i], [SIZE])
    return [at_s - 1000.0 * i for i, at_s in enumerate(hop.fates(), 1)]


def test_delays_of_both_hops_add() -> None:
    expected = delay(MS_20, NetworkConditions(latency="5ms"), None, SIZE)
    assert expected.least_s == expected.median_s == pytest.approx(0.025)
    assert expected.spread_s == 0.0


def test_each_rate_takes_its_time_and_a_burst_takes_none() -> None:
    slow = NetworkConditions(rate="54kbit")
    assert delay(slow, slow, slow, SIZE).median_s == pytest.approx(0.024)
    assert serialisation_s(NetworkConditions(rate="54kbit", burst="1K"), SIZE) == 0.0
    celled = NetworkConditions(rate="54kbit", overhead=10, cell_size=48, cell_overhead=5)
    assert serialisation_s(celled, SIZE) == pytest.approx(106 * 8 / 54e3)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "pareto", "paretonormal"])
@pytest.mark.parametrize("latency", ["100ms", "10ms"])
def test_the_median_and_the_least_are_the_shapers(distribution: str, latency: str) -> None:
    conditions = NetworkConditions(latency=latency, jitter="20ms", distribution=distribution, rate="1mbit")
    expected, delays = delay(conditions, CLEAR, None, SIZE), shaped(conditions)
    assert expected.median_s == pytest.approx(median(delays), abs=0.0015)
    assert expected.least_s <= min(delays) + 1e-9
    assert expected.spread_s == pytest.approx(pstdev(delays), rel=0.25)


def test_jitter_on_both_hops_is_added_whatever_its_shape() -> None:
    up = NetworkConditions(latency="50ms", jitter="20ms", distribution="pareto")
    down = NetworkConditions(latency="50ms", jitter="10ms", distribution="uniform")
    sums = [first + second for first, second in zip(shaped(up), shaped(down, seed=4), strict=True)]
    expected = delay(up, down, None, SIZE)
    assert expected.median_s == pytest.approx(median(sums), abs=0.002)


def test_packets_that_overtake_come_at_once() -> None:
    conditions = NetworkConditions(latency="100ms", reorder="60%")
    expected, delays = delay(conditions, CLEAR, None, SIZE), shaped(conditions)
    assert (expected.least_s, expected.median_s) == (0.0, median(delays)) == (0.0, 0.0)


def test_conditions_that_changed_meanwhile_make_a_range() -> None:
    expected = expect([MS_20, NetworkConditions(latency="100ms", loss="10%")], [CLEAR], [None], SIZE)
    assert (expected.low_s, expected.high_s) == (0.02, 0.1)
    assert (expected.error_s(0.05), expected.nearest_s(0.05)) == (0.0, 0.05)
    assert expected.error_s(0.104) == pytest.approx(0.004)
    assert expected.error_s(0.018) == pytest.approx(-0.002)
    assert expected.loss_range == pytest.approx(0.1)


def test_a_packet_is_lost_if_either_hop_loses_or_spoils_it() -> None:
    up = NetworkConditions(loss="10%", corrupt="10%")
    down = NetworkConditions(loss_model=GilbertElliott(p="5%", r="45%"))
    expected = expect([up], [down], [None], SIZE)
    assert expected.loss == pytest.approx(1 - 0.9 * 0.9 * 0.9)


def test_a_duplicate_may_survive_its_original() -> None:
    assert loss(NetworkConditions(loss="50%", duplicate="100%")) == pytest.approx(0.25)


def test_bursts_have_a_memory() -> None:
    assert memory(NetworkConditions(loss="1%")) == 0.0
    assert memory(NetworkConditions(loss="1%", loss_correlation="30%")) == pytest.approx(0.3)
    assert memory(NetworkConditions(loss_model=GilbertElliott(p="5%", r="15%"))) == pytest.approx(0.8)
    assert memory(NetworkConditions(loss_model=MarkovLoss(p13="10%", p31="20%"))) == pytest.approx(0.7)


def test_improbability_is_the_binomial_distributions() -> None:
    assert improbability(1, 10, 0.0) == 0.0
    assert improbability(0, 10, 0.0) == 1.0
    assert improbability(5, 10, 0.5) == 1.0
    assert improbability(10, 10, 0.5) == pytest.approx(2 / 1024)
    assert improbability(0, 10, 0.5) == pytest.approx(2 / 1024)
    assert improbability(0, 0, 0.5) == 1.0


@given(st.floats(0.01, 0.99), st.integers(1, 300), st.floats(0, 0.9))
def test_what_is_expected_is_never_improbable(share: float, probes: int, tied: float) -> None:
    assert improbability(round(share * probes), probes, share, tied) > 0.3


def test_chance_alone_rarely_looks_improbable() -> None:
    dice, limit = Random(5), 0.01
    found = [improbability(sum(dice.random() < 0.1 for _ in range(60)), 60, 0.1) < limit for _ in range(3000)]
    assert fmean(found) < 2 * limit
