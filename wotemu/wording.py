"""Numbers as people read them, once for the command line, the coordinator's messages and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DURATION_UNITS: Sequence[tuple[float, str]] = ((60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
"""The units of `duration` in seconds, the largest first."""

MAX_NAMES = 5
"""More names than this are counted in a sentence."""

MINUTES_FROM_S = 120.0
"""Up to here seconds read better than minutes with a fraction: ``90 s``, not ``1.5 min``."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 request``, ``2,000 requests``; `plural` is for nouns that take more than an "s"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def counted_each(counts: Mapping[str, int]) -> str:
    """``2 services, 1 network``, of counts by plural noun; ``nothing`` where all are 0."""
    parts = [counted(number, plural.removesuffix("s")) for plural, number in counts.items() if number]
    return ", ".join(parts) or "nothing"


def three_digits(value: float) -> str:
    """Three significant digits, never as a power of ten: ``0.00123``, ``12.3``, ``1,234``."""
    rounded = float(f"{value:.3g}")
    return f"{value:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}"


def with_unit(value: float, units: Sequence[tuple[float, str]]) -> str:
    """The value in the largest unit of which it is at least one, by three significant digits.

    Args:
        value: In the unit whose size is 1.
        units: The size and name of each, the largest first; the last one takes what is smaller than all.
    """
    # Rounded first: 999.6 ms would be "1,000 ms" otherwise, and is 1 s.
    rounded = abs(float(f"{value:.3g}"))
    size, name = next((unit for unit in units if rounded >= unit[0]), units[-1])
    return f"{three_digits(value / size)} {name}"


def duration(seconds: float) -> str:
    """``412 µs``, ``12.3 ms``, ``1.5 s``, ``2.5 min``."""
    if not seconds:
        return "0 ms"
    return with_unit(seconds, DURATION_UNITS[abs(seconds) < MINUTES_FROM_S :])


def lateness(seconds: float) -> str:
    """``1.2 ms late``, or ``early`` for negative seconds: a clock that was set back can make it so."""
    return f"{duration(abs(seconds))} {'early' if seconds < 0 else 'late'}"


def shortened(names: Sequence[str]) -> str:
    """``a, b, c``; of more than `MAX_NAMES` names the first ones, and how many more there are."""
    if len(names) <= MAX_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:MAX_NAMES])} and {len(names) - MAX_NAMES} more"
