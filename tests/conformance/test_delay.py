"""How long packets are under way."""

from __future__ import annotations

import statistics

import pytest

from wotemu.topology.conditions import DistributionTable, NetworkConditions
from wotemu_gateways.impairments.delay_queue import GRAIN_S
from wotemu_gateways.impairments.distributions import table
from wotemu_gateways.netem.options import unsupported

from .conftest import once_per_core
from .field import LATE_S, Field
from .findings import Findings
from .intervals import FALSE_ALARM, ks_distance, ks_p_value, lag_one, middle_deviation, table_cdf

TWO_HUMPS = DistributionTable(tuple([-8192] * 40 + list(range(-8000, -5900, 100)) + [9000] * 20))


_ATTEMPTS = 5
_LATE_SHARE = 0.005


def delays_s(field: Field, count: int, per_second: float) -> list[float]:
    """How long packets from a to b were under way, by their numbers; none is lost.

    As many go from c to a meanwhile, which nothing delays. Where many of those are late, this machine had no
    processor for the gateway or the nodes in time, and both are sent again. So nothing is measured again for
    what was measured.
    """
    for _ in range(_ATTEMPTS):
        with field.stream() as stream, field.stream("c", "a") as undelayed:
            field.send([stream, undelayed], count, per_second)
            assert len(stream.arrived) == count
            by_number = sorted(stream.arrived, key=lambda arrival: arrival.number)
            late = sum(delay_s > LATE_S for delay_s in undelayed.delays_s)
        if late <= _LATE_SHARE * count:
            break
    return [arrival.delay_s for arrival in by_number]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * len(values))]


def test_latency_is_what_it_says_in_mean_and_p95(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(latency="30ms"))
    field.set("b", "down", NetworkConditions(latency="15ms"))
    measured_s = delays_s(field, 400, per_second=400)
    assert min(measured_s) >= 0.045 - 2 * GRAIN_S
    mean_s, p95_s = statistics.fmean(measured_s), percentile(measured_s, 0.95)
    mean = findings.within("delay, mean of 30 + 15 ms", 0.045, mean_s, (0.045, 0.045 + LATE_S), "ms")
    assert (
        findings.within("delay, p95 of 30 + 15 ms", 0.045, p95_s, (0.045, 0.045 + 3 * LATE_S), "ms") and mean
    )


def test_a_rate_adds_the_time_to_send_a_packet(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(latency="10ms", rate="200kbit"))
    with field.stream(size=958) as stream:  # 1000 bytes take 40 ms
        field.send(stream, 30, per_second=20)
        measured_s = statistics.median(stream.delays_s)
    assert findings.within(
        "delay of a packet of 40 ms at 10 ms", 0.05, measured_s, (0.0499, 0.05 + LATE_S), "ms"
    )


@once_per_core
@pytest.mark.parametrize("shape", ["normal", "uniform", "pareto", "paretonormal", "table"])
def test_jitter_has_its_distribution(field: Field, findings: Findings, shape: str) -> None:
    distribution = TWO_HUMPS if shape == "table" else shape
    conditions = NetworkConditions(latency="80ms", jitter="15ms", distribution=distribution)
    cdf = table_cdf(table(distribution), 0.08, 0.015)

    field.set("a", "up", conditions)
    measured_s = delays_s(field, 6000, per_second=3000)
    p_value = ks_p_value(ks_distance(measured_s, cdf, LATE_S), len(measured_s))
    assert findings.within(f"jitter, {shape}: p of Kolmogorov-Smirnov", 0.5, p_value, (FALSE_ALARM, 1.0))


def test_a_rate_leaves_jitter_its_width(field: Field, findings: Findings) -> None:
    # One NetEm with both would flatten it: there, no packet overtakes one before it.
    field.set("a", "up", NetworkConditions(latency="60ms", jitter="10ms", rate="20mbit"))
    deviation_s = middle_deviation(delays_s(field, 7000, per_second=2000))
    assert findings.within("jitter of 10 ms behind a rate", 0.01, deviation_s, (0.0093, 0.0107), "ms")


def test_correlated_jitter_is_near_the_jitter_before(field: Field, findings: Findings, shaper: str) -> None:
    conditions = NetworkConditions(latency="80ms", jitter="15ms", jitter_correlation=0.6)
    field.set("a", "up", conditions)
    measured = lag_one(delays_s(field, 4000, per_second=1500))
    if shaper == "netem":  # it draws a delay by the low bits of its random number, which are never tied
        assert unsupported(conditions)
        assert findings.within("jitter, correlation (NetEm has none)", 0.0, measured, (-0.08, 0.08))
    else:
        assert findings.within("jitter, correlation", 0.6, measured, (0.53, 0.67))
