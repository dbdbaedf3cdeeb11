"""The rate of one way, from how far apart the packets of a train arrive. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import attrs

MIN_PACKETS = 4
"""Fewer packets of a train say too little."""
MIN_SPACING_S = 50e-6
"""Packets closer than this arrived as fast as hosts send: the rate is above what light probing can tell."""
MAX_SPREAD = 0.25
"""Trains that differ by more than this share (median absolute deviation) measure jitter and no rate."""


@attrs.frozen
class TrainSpacing:
    """Of one train: when it was sent, and the mean seconds from packet to packet at the far end."""

    t_s: float
    spacing_s: float


def spacing_s(stamps_ns: Mapping[int, int]) -> float | None:
    """Seconds from packet to packet: the least-squares slope of arrival over index.

    Packets lost behind the bottleneck leave a hole that the slope passes over. Jitter, alike for early and
    late packets, does not bias it.

    Args:
        stamps_ns: Arrival by index.

    Returns:
        None where too few arrived.
    """
    if len(stamps_ns) < MIN_PACKETS:
        return None
    first_ns = min(stamps_ns.values())
    slope = statistics.linear_regression(
        list(stamps_ns), [(ns - first_ns) / 1e9 for ns in stamps_ns.values()]
    ).slope
    return max(slope, 0.0)


@attrs.frozen
class RateEstimate:
    """The rate of one way.

    Attributes:
        rate_bps: None where it can't be told.
        why_not: The reason then.
        spread: The median absolute deviation of trains, as a share.
    """

    rate_bps: float | None
    why_not: str = ""
    spread: float = 0.0


def estimate(spacings: Sequence[TrainSpacing], frame_bytes: int) -> RateEstimate:
    """Estimate a rate as a train's bytes over the median spacing.

    Args:
        spacings: Of several trains.
        frame_bytes: Of one packet, headers included.
    """
    if not spacings:
        return RateEstimate(None, "no train arrived")
    middle_s = statistics.median(each.spacing_s for each in spacings)
    if middle_s < MIN_SPACING_S:
        least = frame_bytes * 8 / MIN_SPACING_S / 1e6
        return RateEstimate(None, f"it is above {least:.0f} Mbit/s, more than short trains can tell")
    spread = statistics.median(abs(each.spacing_s - middle_s) for each in spacings) / middle_s
    if spread > MAX_SPREAD:
        return RateEstimate(None, f"trains differ by {spread:.0%}: jitter hides it", spread)
    return RateEstimate(frame_bytes * 8 / middle_s, spread=spread)
