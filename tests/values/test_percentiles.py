"""Percentiles are of all values, and a histogram's stay near the exact ones however it was merged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.percentiles import BOUNDS_S, FLOOR_S, RELATIVE_ERROR, Histogram, nearest_rank, percentile

DURATIONS_S = st.floats(0, 1e4) | st.floats(0, 0.01) | st.sampled_from(BOUNDS_S[:400])
SHARES = st.floats(0.01, 1)


def near(found_s: float, exact_s: float) -> bool:
    return math.isclose(found_s, exact_s, rel_tol=RELATIVE_ERROR * 1.000001, abs_tol=FLOOR_S)


@given(st.lists(st.lists(DURATIONS_S, max_size=40), min_size=1, max_size=8), SHARES)
def test_a_merged_histograms_percentile_is_near_the_exact_one(
    parts: Sequence[Sequence[float]], share: float
) -> None:
    merged = Histogram()
    for part in parts:
        histogram = Histogram()
        histogram.add(part)
        merged.merge(histogram.bins, histogram.counts)
    everything = [duration_s for part in parts for duration_s in part]
    exact_s = nearest_rank(everything, share)
    found_s = merged.percentile(share)
    assert merged.count == len(everything)
    if exact_s is None:
        assert found_s is None
    else:
        assert found_s is not None
        assert near(found_s, exact_s)
        assert found_s == percentile(merged.bins, merged.counts, share)


@given(st.lists(st.integers(0, 1000), min_size=1), SHARES)
def test_a_nearest_rank_is_the_least_value_that_covers_its_share(values: list[int], share: float) -> None:
    found = nearest_rank(values, share)
    assert found in values
    covered = [value <= found for value in values if found is not None]
    assert sum(covered) >= share * len(values) - 1e-6
    assert sum(value < found for value in values if found is not None) < share * len(values)


def test_the_95th_of_a_hundred_values_is_the_95th() -> None:
    assert nearest_rank(range(1, 101), 0.95) == 95


def test_durations_since_instants_are_counted_as_durations_are() -> None:
    instants_s = [4.0, 4.5, 4.5, 4.999, 5.0, 5.01]
    since, added = Histogram(), Histogram()
    since.add_since(5.0, instants_s)
    added.add([5.0 - instant_s for instant_s in instants_s])
    assert (since.bins, since.counts) == (added.bins, added.counts)


def test_nothing_has_no_percentile() -> None:
    assert nearest_rank([], 0.5) is None
    assert Histogram().percentile(0.5) is None


@pytest.mark.parametrize(("duration_s", "found_s"), [(-1.0, 0.0), (0.0, 0.0), (1e9, BOUNDS_S[-1])])
def test_durations_beyond_the_bins_count_in_the_outermost(duration_s: float, found_s: float) -> None:
    histogram = Histogram()
    histogram.add([duration_s])
    assert histogram.percentile(0.95) == found_s
