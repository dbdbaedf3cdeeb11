"""How the page writes values: three significant digits, a unit, and a thin dash where there is none."""

from __future__ import annotations

from datetime import UTC, datetime

NONE = "–"
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float | None) -> str:
    """Such as ``1,234``, ``12.3`` or ``0.00123``."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def count(value: float | None) -> str:
    """A whole number with thousands apart."""
    return NONE if value is None else f"{int(value):,}"


def milliseconds(value: float | None) -> str:
    """A duration given in milliseconds, in the unit that suits it."""
    if value is None:
        return NONE
    if abs(value) >= 120_000:
        return f"{value / 60_000:.3g} min"
    if abs(value) >= 1000:
        return f"{value / 1000:.3g} s"
    if abs(value) >= 1 or value == 0:
        return f"{value:.3g} ms"
    return f"{value * 1000:.3g} µs"


def seconds(value: float | None) -> str:
    """A duration given in seconds, in the unit that suits it."""
    return milliseconds(None if value is None else value * 1000)


def instant(value: float | None, long: bool = False) -> str:
    """Seconds since T0, as in ``12.34 s``; in a run of over ten minutes (`long`) as in ``0:12.3``."""
    if value is None:
        return NONE
    if not long:
        return f"{value:.2f} s"
    sign, whole = "-" if value < 0 else "", abs(value)
    return f"{sign}{int(whole // 60)}:{whole % 60:04.1f}"


def size(value: float | None) -> str:
    """Bytes in kB, MB or GB (powers of 1000)."""
    if value is None:
        return NONE
    unit, name = next(((step, name) for step, name in _SIZES if abs(value) >= step), (1.0, "B"))
    return f"{value / unit:.3g} {name}"


def percent(share: float | None) -> str:
    """A share as percent: what is not nothing never reads as 0 %."""
    if share is None:
        return NONE
    if 0 < share < 0.0001:
        return "<0.01 %"
    return f"{share * 100:.3g} %"


def moment(epoch: float | None) -> str:
    """Date and time in UTC."""
    return NONE if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
