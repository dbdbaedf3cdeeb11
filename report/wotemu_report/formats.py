"""Values as the page writes them: three significant digits, a unit, and a dash where there is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from wotemu.wording import duration, three_digits, with_unit

NONE = "–"
NO_ANSWER = "no answer"
"""A percentile that was never reached: more than the rest of the requests failed."""
VERDICT_TONES = {"VALID": "good", "SUSPECT": "warn", "INVALID": "bad"}
"""How a certificate's verdicts are coloured."""

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_HALF = 0.5


def number(value: float | None) -> str:
    """Such as ``1,234``, ``12.3`` or ``0.00123``."""
    return NONE if value is None else three_digits(value)


def count(value: float | None) -> str:
    """A whole number with commas between thousands."""
    return NONE if value is None else f"{int(value):,}"


def in_ms(seconds: float | None) -> float | None:
    """Seconds in milliseconds."""
    return None if seconds is None else seconds * 1000


def availability_tone(share: float) -> str:
    """How an availability is coloured."""
    return "good" if share == 1 else "warn" if share > _HALF else "bad"


def first_few(names: Sequence[str], limit: int) -> str:
    """The first names, and how many more there are: ``a, b and 3 more``."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def milliseconds(value: float | None) -> str:
    """A duration given in milliseconds, in the unit that suits it."""
    return NONE if value is None else duration(value / 1000)


def answer(value: float | None) -> str:
    """A percentile of durations in milliseconds, of requests of which failed ones count as infinite."""
    return NO_ANSWER if value == math.inf else milliseconds(value)


def seconds(value: float | None) -> str:
    """A duration given in seconds, in the unit that suits it."""
    return NONE if value is None else duration(value)


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
    return NONE if value is None else with_unit(value, _SIZES)


def percent(share: float | None) -> str:
    """A share as percent; a small one never reads as 0 %, and one just below 1 never as 100 %."""
    if share is None:
        return NONE
    if 0 < share < 0.0001:
        return "<0.01 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{three_digits(share * 100)} %"


def moment(epoch: float | None) -> str:
    """Date and time in UTC."""
    return NONE if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
