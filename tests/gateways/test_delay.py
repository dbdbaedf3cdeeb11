"""Delays of every distribution, and packets that overtake."""

from __future__ import annotations

import statistics
from random import Random
from typing import Any

import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.distributions import Distribution, DistributionTable
from wotemu_gateways.impairments.delay import DelayStage
from wotemu_gateways.impairments.distributions import mean, table

PACKETS = 20_000
KS_99 = 1.628 / PACKETS**0.5
"""The Kolmogorov-Smirnov statistic that a true sample exceeds once in a hundred times."""

TABLE = DistributionTable(tuple(range(-8192, 16384, 24)))
SHAPES: list[Distribution] = ["normal", "uniform", "pareto", "paretonormal", TABLE]


def delays(seed: int = 1, **conditions: Any) -> list[float]:
    stage = DelayStage(NetworkConditions.of(**conditions), Random(seed))
    return stage.arrivals([0.0] * PACKETS)


def distance(sample: list[float], quantiles: tuple[float, ...]) -> float:
    """The largest difference between the shares below a value, in a sample and in a table."""
    ordered, steps = sorted(sample), len(quantiles)
    return max(
        abs(share / steps - _share_below(ordered, quantile)) for share, quantile in enumerate(quantiles)
    )


def _share_below(ordered: list[float], value: float) -> float:
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if ordered[middle] < value else (low, middle)
    return low / len(ordered)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_jitter_has_the_distribution_asked_for(shape: Distribution) -> None:
    sample = [(delay_s - 1.0) / 0.01 for delay_s in delays(latency="1s", jitter="10ms", distribution=shape)]
    # The sample is drawn from a table, whose steps are the least that two shares can differ by.
    assert distance(sample, table(shape)) < KS_99 + 1 / len(table(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_correlated_jitter_has_the_same_distribution(shape: Distribution) -> None:
    sample = delays(latency="1s", jitter="10ms", distribution=shape, jitter_correlation="50%")
    # Dependent samples say less: as many as (1 - c) / (1 + c) independent ones.
    wider = ((1 + 0.5) / (1 - 0.5)) ** 0.5
    assert distance([(delay_s - 1.0) / 0.01 for delay_s in sample], table(shape)) < wider * KS_99 + 1e-3


def test_correlated_jitter_ties_each_delay_to_the_one_before() -> None:
    sample = delays(latency="1s", jitter="10ms", jitter_correlation="70%")
    assert statistics.correlation(sample[:-1], sample[1:]) == pytest.approx(0.7, abs=0.03)


def test_uniform_jitter_stays_within_its_half_width() -> None:
    sample = delays(latency="100ms", jitter="10ms", distribution="uniform")
    assert 0.09 <= min(sample) < max(sample) <= 0.11


def test_pareto_has_a_long_tail_on_the_late_side() -> None:
    sample = delays(latency="100ms", jitter="10ms", distribution="pareto")
    assert min(sample) > 0.093
    assert max(sample) > 0.135


def test_the_tables_are_those_of_iproute2() -> None:
    assert table("pareto")[0] == pytest.approx(-5461 / 8192, abs=1e-3)
    assert table("paretonormal")[2048] == pytest.approx(-1967 / 8192, abs=1e-3)
    assert table("normal")[2048] == pytest.approx(0.0, abs=1e-3)


def test_only_the_skewed_shapes_move_the_mean() -> None:
    assert mean("normal") == pytest.approx(0, abs=1e-9)
    assert mean("uniform") == pytest.approx(0, abs=1e-9)
    assert -0.05 < mean("pareto") < -0.02


def test_a_share_of_packets_overtakes_the_delay() -> None:
    sample = delays(latency="50ms", reorder="10%")
    assert sample.count(0.0) / PACKETS == pytest.approx(0.1, abs=2.576 * (0.09 / PACKETS) ** 0.5)
    assert set(sample) == {0.0, 0.05}


def test_a_gap_lets_only_every_nth_packet_overtake() -> None:
    sample = delays(latency="50ms", reorder="100%", reorder_gap=5)
    assert sample[:10] == [0.05, 0.05, 0.05, 0.05, 0.0] * 2


def test_nothing_overtakes_where_there_is_no_delay() -> None:
    stage = DelayStage(NetworkConditions(reorder="50%"), Random(1))
    assert stage.keeps_order
    assert not stage.delays
