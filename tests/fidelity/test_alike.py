"""Probes are compared with others of like expectations, and what is shown adds up."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.fidelity.evidence import Delays
from wotemu_runtime.fidelity.alike import MIN_PROBES, Samples

RESOLUTION = 0.021
"""Errors are counted in bins of 4 %."""

MILLISECONDS = st.floats(0, 1000)


def samples(*probes: tuple[float, float], spread_s: float = 0.0) -> Samples:
    found = Samples()
    for expected_s, error_s in probes:
        found.add(expected_s, error_s, spread_s, 0.0)
    return found


def furthest(*probes: tuple[float, float]) -> Delays:
    found = samples(*probes).furthest()
    assert found is not None
    return found


def test_expected_and_measured_are_of_the_same_probes() -> None:
    """Half take 64 ms, half 193 ms, each as expected: medians of the whole mixture would not match."""
    found = furthest(*[(0.064, 0.0004)] * 30, *[(0.193, 0.0005)] * 31)
    assert found.measured_s - found.expected_s == pytest.approx(found.error_s)
    assert found.expected_s in (0.064, 0.193)
    assert found.error_s < 0.001


def test_a_phase_that_is_off_is_found_among_many_that_are_not() -> None:
    found = furthest(*[(0.02, 0.0003)] * 500, *[(0.2, 0.06)] * 12)
    assert (found.probes, found.expected_s) == (12, 0.2)
    assert found.error_s == pytest.approx(0.06, rel=RESOLUTION)


def test_errors_of_two_phases_do_not_cancel_out() -> None:
    assert abs(furthest(*[(0.02, -0.01)] * 30, *[(0.2, 0.01)] * 30).error_s) == pytest.approx(
        0.01, rel=RESOLUTION
    )


def test_a_single_late_probe_is_no_median() -> None:
    assert furthest(*[(0.02, 0.0)] * 20, (0.3, 0.9)).error_s == 0.0


def test_nothing_has_no_delays() -> None:
    assert Samples().furthest() is None


@given(st.lists(st.tuples(MILLISECONDS, st.floats(-5, 5)), min_size=1, max_size=60))
def test_it_is_of_at_least_five_probes_where_there_are_five(probes: list[tuple[float, float]]) -> None:
    found = furthest(*probes)
    assert found.probes >= min(MIN_PROBES, len(probes))
    assert (
        min(expected for expected, _ in probes) <= found.expected_s <= max(expected for expected, _ in probes)
    )
    assert found.measured_s - found.expected_s == pytest.approx(found.error_s, abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=50))
def test_probes_of_one_expectation_are_judged_by_their_median(errors_s: list[float]) -> None:
    found = furthest(*((0.1, error_s) for error_s in errors_s))
    assert found.probes == len(errors_s)
    assert found.error_s == pytest.approx(statistics.median(errors_s), abs=RESOLUTION)  # of 1 s


def test_the_more_probes_the_less_their_median_scatters() -> None:
    few, many = (samples(*[(0.1, 0.0)] * n, spread_s=0.01).furthest() for n in (25, 100))
    assert few is not None
    assert many is not None
    assert few.scatter_s == pytest.approx(2 * many.scatter_s)
