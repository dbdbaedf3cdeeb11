"""What a rate lets pass, and whether it was served while packets waited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions
from wotemu.units import Rate
from wotemu_runtime.fidelity.goodput import TIMER_S, Goodput, GoodputMeter, Second
from wotemu_runtime.fidelity.rates import RateCourse

RATES = st.none() | st.integers(8, 10**7).map(Rate) | st.just(Rate(0))


def course(*spans: tuple[float, float | None]) -> RateCourse:
    return RateCourse(
        [(t, NetworkConditions(rate=None if rate is None else Rate(rate))) for t, rate in spans]
    )


def measured(stretches: Iterable[Sequence[Second]], past: RateCourse) -> Goodput | None:
    meter = GoodputMeter()
    for stretch in stretches:
        for second in stretch:
            meter.add(second, past.passage(second.t - second.span_s, second.t))
        meter.end_stretch()
    return meter.result


def seconds(*served_bytes: float) -> list[Second]:
    return [Second(t, 1.0, size) for t, size in enumerate(served_bytes, 1)]


def short(past: RateCourse, *served_bytes: float) -> float:
    found = measured([seconds(*served_bytes)], past)
    assert found is not None
    return found.short


@given(
    st.lists(st.tuples(st.floats(0.01, 5), RATES), min_size=1, max_size=8),
    st.floats(0, 20),
    st.floats(0.01, 20),
)
def test_what_passes_is_the_rates_integral(
    steps: list[tuple[float, Rate | None]], start: float, lasts: float
) -> None:
    spans: list[tuple[float, float | None]] = []
    t = -math.inf
    for gap, rate in steps:
        spans.append((t, rate))
        t = gap if t == -math.inf else t + gap
    past = course(*spans)
    whole = past.passage(start, start + lasts)
    bits = unlimited_s = 0.0
    for (since, bps), until in zip(spans, [since for since, _ in spans[1:]] + [math.inf], strict=True):
        held_s = max(0.0, min(until, start + lasts) - max(since, start))
        bits += 0.0 if bps is None else bps * held_s
        unlimited_s += held_s if bps is None else 0.0
    assert whole.bits == pytest.approx(bits, abs=1e-3)
    assert whole.unlimited_s == pytest.approx(unlimited_s, abs=1e-9)
    middle = start + lasts / 2
    parts = past.passage(start, middle), past.passage(middle, start + lasts)
    assert sum(part.bits for part in parts) == pytest.approx(whole.bits, abs=1e-3)


def test_the_rate_itself_is_enough() -> None:
    assert short(course((-math.inf, 1e6)), *[125_000] * 10) == 0.0


def test_a_shortfall_of_one_second_is_not_averaged_away() -> None:
    assert short(course((-math.inf, 10e6)), *[1_250_000] * 30, 625_000, *[1_250_000] * 29) == pytest.approx(
        0.5, abs=0.02
    )


def test_at_a_low_rate_a_packet_more_or_less_in_a_second_is_no_fault() -> None:
    assert short(course((-math.inf, 8e3)), 0, 1500, 1500, 0, 1500, 500, 1000) == 0.0


def test_at_a_low_rate_a_fault_shows_in_the_long_run() -> None:
    assert short(course((-math.inf, 8e3)), *[500] * 60) == pytest.approx(0.45, abs=0.02)


def test_across_a_change_the_integral_counts() -> None:
    past = course((-math.inf, 1e6), (1.5, 3e6))
    assert short(past, 125_000, 250_000, 375_000) == 0.0
    assert short(past, 125_000, 125_000, 125_000) > 0.5


def test_a_packet_may_be_sent_to_its_end_at_the_lower_rate() -> None:
    """At 8 kbit/s a full packet takes 1.5 s, all of it where NetEm sends it; then the new rate holds."""
    past = course((-math.inf, 8e3), (2.0, 1e6))
    assert short(past, 1000, 1000, 0, 62_500, 125_000, 125_000) == 0.0
    assert short(past, 1000, 1000, 0, 0, 125_000, 125_000) > 0.3


def test_nothing_is_missing_in_an_outage() -> None:
    assert short(course((-math.inf, 1e6), (1.0, 0), (4.0, 1e6)), 125_000, 0, 0, 0, 125_000) == 0.0


def test_to_wait_where_there_is_no_rate_is_all_too_long() -> None:
    assert short(course((-math.inf, 1e5), (1.0, None)), 12_500, 12_500) == 1.0


def test_nobody_waited_nothing_is_known() -> None:
    assert measured([], course((-math.inf, 1e6))) is None


def test_how_long_packets_waited_is_added_up() -> None:
    found = measured([seconds(125_000), seconds(125_000, 125_000)], course((-math.inf, 1e6)))
    assert found is not None
    assert found.waited_s == 3.0


@given(st.lists(st.integers(1000, 10**7), min_size=1, max_size=20), st.floats(-0.9, 0.9))
def test_what_is_within_the_tolerance_is_no_shortfall(rates: list[int], phase: float) -> None:
    """A server that is exact but for a packet's end and a timer's moment is never blamed."""
    past = course((-math.inf, rates[0]), *((float(t), rate) for t, rate in enumerate(rates[1:], 1)))
    late_s = phase * TIMER_S
    sizes, sent = [], 0
    for t in range(1, len(rates) + 1):
        until = max(0.0, t + late_s)
        whole = past.passage(0.0, until).bits // (8 * FULL_PACKET_BYTES) * FULL_PACKET_BYTES if until else 0
        sizes.append(whole - sent)
        sent = int(whole)
    assert short(past, *sizes) == 0.0
