"""How the page writes values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu_report import formats


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (formats.milliseconds, 999.6, "1 s"),
        (formats.milliseconds, 999.4, "999 ms"),
        (formats.milliseconds, 0.9996, "1 ms"),
        (formats.milliseconds, 119_999.0, "120 s"),
        (formats.milliseconds, 120_000.0, "2 min"),
        (formats.milliseconds, 0.0, "0 ms"),
        (formats.milliseconds, -3.21, "-3.21 ms"),
        (formats.number, 999.6, "1,000"),
        (formats.number, 0.00123, "0.00123"),
        (formats.size, 999_600, "1 MB"),
        (formats.size, 0, "0 B"),
        (formats.percent, 12.0, "1,200 %"),
        (formats.percent, 0.99999, ">99.9 %"),
        (formats.percent, 1.0, "100 %"),
        (formats.percent, 0.00001, "<0.01 %"),
        (formats.answer, math.inf, "no answer"),
        (formats.answer, 12.3, "12.3 ms"),
    ],
)
def test_values_are_written_as_people_write_them(write: object, value: float, text: str) -> None:
    assert write(value) == text  # type: ignore[operator]


@pytest.mark.parametrize(
    ("at_s", "text"), [(119.97, "2:00.0"), (119.94, "1:59.9"), (-0.5, "-0:00.5"), (3600.0, "60:00.0")]
)
def test_minutes_carry_over(at_s: float, text: str) -> None:
    assert formats.instant(at_s, long=True) == text


@given(st.floats(1e-3, 1e9))
def test_no_duration_nor_size_is_a_power_of_ten(value: float) -> None:
    assert "e" not in formats.milliseconds(value)
    assert "e" not in formats.size(value)
    assert "e" not in formats.number(value)
