"""How the page writes values: three significant digits, a unit, and a thin dash where there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

NONE = "–"
UNANSWERED = "no answer"
"""A duration that was never reached: more than that share of the requests failed."""

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_DURATIONS_MS = ((60_000.0, "min"), (1000.0, "s"), (1.0, "ms"), (0.001, "µs"))
_MINUTES_FROM_MS = 120_000.0


def _digits(value: float) -> str:
    """Three significant digits, never as a power of ten where they are whole: ``1,234``, ``12.3``."""
    rounded = float(f"{value:.3g}")
    return f"{value:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}"


def _with_unit(value: float, units: Sequence[tuple[float, str]]) -> str:
    """The value in the largest unit of which it is at least one *after rounding*, so 999.6 ms is 1 s."""
    rounded = abs(float(f"{value:.3g}"))
    size, name = next((unit for unit in units if rounded >= unit[0]), units[-1])
    return f"{_digits(value / size)} {name}"


def number(value: float | None) -> str:
    """Such as ``1,234``, ``12.3`` or ``0.00123``."""
    return NONE if value is None else _digits(value)


def count(value: float | None) -> str:
    """A whole number with thousands apart."""
    return NONE if value is None else f"{int(value):,}"


def counted(number: int, what: str) -> str:
    """Such as ``1 request`` or ``2,000 requests``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def milliseconds(value: float | None) -> str:
    """A duration given in milliseconds, in the unit that suits it."""
    if value is None:
        return NONE
    if not value:
        return "0 ms"
    return _with_unit(value, _DURATIONS_MS[abs(value) < _MINUTES_FROM_MS :])


def answer(value: float | None) -> str:
    """A quantile of durations in milliseconds over all requests, of which failed ones count as endless."""
    return UNANSWERED if value == math.inf else milliseconds(value)


def seconds(value: float | None) -> str:
    """A duration given in seconds, in the unit that suits it."""
    return milliseconds(None if value is None else value * 1000)


def instant(value: float | None, long: bool = False) -> str:
    """Seconds since T0, as in ``12.34 s``; in a run of over ten minutes (`long`) as in ``0:12.3``."""
    if value is None:
        return NONE
    if not long:
        return f"{value:.2f} s"
    sign, tenths = "-" if value < 0 else "", round(abs(value) * 10)
    return f"{sign}{tenths // 600}:{tenths % 600 / 10:04.1f}"


def size(value: float | None) -> str:
    """Bytes in kB, MB or GB (powers of 1000)."""
    return NONE if value is None else _with_unit(value, _SIZES)


def percent(share: float | None) -> str:
    """A share as percent: what is not nothing never reads as 0 %, what is not all never as 100 %."""
    if share is None:
        return NONE
    if 0 < share < 0.0001:
        return "<0.01 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{_digits(share * 100)} %"


def moment(epoch: float | None) -> str:
    """Date and time in UTC."""
    return NONE if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
