"""Quantities are read from what people write and printed back as what can be read again."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.units import Bytes, Fraction, Hertz, Packets, Quantity, Rate, Seconds

FINITE = st.floats(min_value=1e-6, max_value=1e9, allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Seconds, "300ms", 0.3),
        (Seconds, "1.5s", 1.5),
        (Seconds, "2m", 120),
        (Seconds, "1h", 3600),
        (Seconds, " 20 us ", 20e-6),
        (Seconds, "5ns", 5e-9),
        (Seconds, "90sec", 90),
        (Seconds, "1d", 86400),
        (Seconds, "1\u03bcs", 1e-6),
        (Seconds, "1\u00b5s", 1e-6),
        (Seconds, "1m30s", 90),
        (Seconds, "1h 30m 0.5s", 5400.5),
        (Seconds, "1:30", 90),
        (Seconds, "1:02:03.5", 3723.5),
        (Seconds, "1e3s", 1000),
        (Rate, "1.5mbit", 1.5e6),
        (Rate, "1.5Mbit/s", 1.5e6),
        (Rate, "10Mbps", 10e6),
        (Rate, "10mbps", 10e6),
        (Rate, "56kbps", 56e3),
        (Rate, "1 Gb/s", 1e9),
        (Rate, "1Tbps", 1e12),
        (Rate, "100k", 100e3),
        (Rate, "9600bit", 9600),
        (Rate, "2MBps", 16e6),
        (Rate, "10MB/s", 80e6),
        (Rate, "10kB/s", 80e3),
        (Rate, "1B/s", 8),
        (Bytes, "150M", 150 * 1024**2),
        (Bytes, "150MB", 150 * 1024**2),
        (Bytes, "64KiB", 64 * 1024),
        (Bytes, "1514b", 1514),
        (Fraction, "5%", 0.05),
        (Fraction, "0.05", 0.05),
        (Hertz, "1.2GHz", 1.2e9),
        (Packets, "100p", 100),
        (Packets, "100 packets", 100),
    ],
)
def test_text_with_a_unit_is_read(kind: type[Quantity], text: str, value: float) -> None:
    assert kind.of(text) == pytest.approx(value)


@given(st.integers(0, 10**7), st.sampled_from(["ms", "us", "ns"]))
def test_text_is_read_as_the_nearest_float(number: int, unit: str) -> None:
    assert Seconds.of(f"{number}{unit}") == number / {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


@pytest.mark.parametrize(
    ("kind", "number", "hint"),
    [
        (Seconds, 100, 'write "100ms" or "100s"'),
        (Seconds, "100", 'write "100ms" or "100s"'),
        (Seconds, 0.3, 'write "300ms"'),
        (Rate, 10, 'write "10kbit" or "10mbit"'),
        (Rate, 10e6, 'write "10mbit"'),
        (Bytes, 1514, 'write "1514B"'),
        (Hertz, 1.2e9, 'write "1.2GHz"'),
        (Fraction, 1, 'write "100%" or "1%"'),
        (Fraction, 1.0, 'write "100%" or "1%"'),
        (Fraction, "1", 'write "100%" or "1%"'),
        (Fraction, 5, 'more than the whole: write "5%"'),
    ],
)
def test_a_bare_number_that_can_be_misread_is_refused_with_what_to_write(
    kind: type[Quantity], number: float | str, hint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        kind.of(number)


@pytest.mark.parametrize("kind", [Seconds, Rate, Bytes, Fraction, Hertz, Packets])
@pytest.mark.parametrize("zero", [0, 0.0, "0"])
def test_zero_needs_no_unit(kind: type[Quantity], zero: float | str) -> None:
    assert float(kind.of(zero)) == 0


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        (Rate, "10MBPS", 'write "10Mbit/s" or "10MB/s"'),
        (Rate, "10mb", 'write "10Mbit/s" or "10MB/s"'),
        (Rate, "64KB", 'write "64kbit/s" or "64kB/s"'),
        (Seconds, "1M", 'write "m" or "min" for minutes'),
        (Seconds, "30s1m", "the largest first"),
        (Seconds, "1m1m", "each unit once"),
        (Seconds, "1:75", "is not a duration"),
        (Rate, "1e999bit", "must be finite"),
        (Rate, "1e16bit", "is more than 1000tbit"),
        (Seconds, "1e300s", "is more than 1e+09s"),
        (Bytes, "2e9G", "is more than 1.07374e+09GiB"),
        (Packets, "1e13p", "is more than 1000000000000p"),
        (Hertz, "1e9GHz", "is more than 1e+06GHz"),
        (Seconds, f"1e{'9' * 30}s", "unknown unit 'e'"),
    ],
)
def test_text_that_can_be_misread_is_refused_with_what_to_write(
    kind: type[Quantity], text: str, hint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        kind.of(text)


@pytest.mark.parametrize("value", [60, "60", 60.0, "60s", "1m", timedelta(minutes=1)])
def test_a_scenario_s_times_may_be_bare_numbers_of_seconds(value: str | float | timedelta) -> None:
    assert float(Seconds.offset(value)) == 60


def test_a_number_in_the_fixed_unit_is_checked() -> None:
    assert Rate.of_number(1e6) == Rate.of("1mbit")
    with pytest.raises(ValueError, match="finite and not negative"):
        Rate.of_number(-1)
    with pytest.raises(ValueError, match="more than the whole"):
        Fraction.of_number(2)


def test_a_duration_may_be_a_timedelta() -> None:
    assert Seconds.of(timedelta(milliseconds=5)) == pytest.approx(0.005)


@pytest.mark.parametrize("kind", [Seconds, Rate, Bytes, Fraction, Hertz, Packets])
@pytest.mark.parametrize(
    "wrong", ["", "fast", "1 parsec", "-1", "nan", "1 2", "inf", -1, float("nan"), float("inf")]
)
def test_nonsense_is_refused_with_an_example_or_a_reason(kind: type[Quantity], wrong: str | float) -> None:
    with pytest.raises(ValueError, match=r"write one such as|unknown unit|finite and not negative"):
        kind.of(wrong)


@pytest.mark.parametrize("wrong", [True, None, [1], b"1s"])
def test_what_is_no_number_and_no_text_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="is not a duration"):
        Seconds.of(wrong)  # type: ignore[arg-type]  # on purpose


def test_one_kind_of_quantity_is_no_other() -> None:
    with pytest.raises(TypeError, match="5mbit is a rate, not a duration"):
        Seconds.of(Rate.of("5mbit"))
    with pytest.raises(TypeError, match="is a duration, not a rate"):
        Rate.of(timedelta(seconds=1))


def test_a_share_is_at_most_the_whole() -> None:
    assert float(Fraction.of("100%")) == 1
    with pytest.raises(ValueError, match="more than the whole"):
        Fraction.of("101%")


@given(FINITE, st.sampled_from([Seconds, Rate, Hertz]))
def test_printing_keeps_six_digits(number: float, kind: type[Quantity]) -> None:
    assert kind.of(str(kind(number))) == pytest.approx(number, rel=1e-5)


@given(st.integers(0, 10**12), st.sampled_from([Bytes, Packets]))
def test_whole_sizes_print_readably(number: int, kind: type[Quantity]) -> None:
    back = float(kind.of(str(kind(number))))
    assert back == int(back)
    assert back == pytest.approx(number, rel=1e-5)


@given(st.floats(0, 1))
def test_shares_print_as_percent(number: float) -> None:
    text = str(Fraction(number))
    assert text.endswith("%")
    assert Fraction.of(text) == pytest.approx(number, rel=1e-5, abs=1e-300)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Seconds(0), "0s"),
        (Seconds(0.3), "300ms"),
        (Seconds(20e-6), "20us"),
        (Seconds(90), "90s"),
        (Rate(250e3), "250kbit"),
        (Rate(300), "300bit"),
        (Bytes(65536), "64KiB"),
        (Bytes(150 * 1024**2), "150MiB"),
        (Rate(1e12), "1tbit"),
        (Rate(0), "0bit"),
        (Bytes(100), "100B"),
        (Fraction(0.05), "5%"),
        (Hertz(32768), "32.768kHz"),
        (Packets(10), "10p"),
    ],
)
def test_a_quantity_prints_with_the_unit_that_suits_it(quantity: Quantity, text: str) -> None:
    assert str(quantity) == text
    assert repr(quantity) == f"{type(quantity).__name__}({text!r})"
