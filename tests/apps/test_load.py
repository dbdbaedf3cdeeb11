"""When the load app sends its requests."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import pytest

from wotemu.errors import InputError
from wotemu_runtime.apps.load import arrival_times, checked_curve


def steadily() -> float:
    return 1.0


def test_a_constant_rate_has_equal_gaps() -> None:
    assert list(islice(arrival_times([(0, 4)], steadily), 4)) == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_a_ramp_grows_as_its_integral() -> None:
    """From 0 to 10 a second within 10 s: t*t/2 requests by t, and ten a second from then on."""
    times = list(islice(arrival_times([(0, 0), (10, 10)], steadily), 55))
    assert times[:50] == pytest.approx([(2 * number) ** 0.5 for number in range(1, 51)])
    assert times[50:] == pytest.approx([10 + number / 10 for number in range(1, 6)])


def test_a_curve_that_falls_to_zero_ends() -> None:
    times = list(arrival_times([(0, 2), (2, 2), (3, 0)], steadily))
    assert times[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert len(times) == 5, "the last second has one more: the integral from 2 to 0 is 1"
    assert times[-1] == pytest.approx(3.0, abs=1e-6)


def test_a_curve_that_begins_later_has_its_first_rate_before() -> None:
    assert next(arrival_times([(5, 2), (6, 0)], steadily)) == pytest.approx(0.5)


def test_poisson_arrivals_have_the_rate_of_the_curve() -> None:
    """Counts within six standard deviations: a false alarm once in 5e8."""
    numbers = random.Random(5)
    times = [
        at_s
        for at_s in islice(arrival_times([(0, 0), (10, 100)], lambda: numbers.expovariate(1.0)), 5000)
        if at_s < 20
    ]
    first, second = sum(at_s < 10 for at_s in times), sum(at_s >= 10 for at_s in times)
    assert abs(first - 500) < 6 * 500**0.5
    assert abs(second - 1000) < 6 * 1000**0.5


@pytest.mark.parametrize(
    "rate", ["fast", [], [[0]], [[5, 1], [3, 1]], [[0, -1]], [[0, 0]], 0, True, [[0, 1], [0, 2]]]
)
def test_what_is_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(InputError, match="rate="):
        checked_curve(rate)


def test_a_number_is_a_rate_that_holds() -> None:
    assert checked_curve("5") == [(0.0, 5.0)]
    assert checked_curve([[0, 1], [30, "20"]]) == [(0.0, 1.0), (30.0, 20.0)]
