"""The rate of one way, from how far apart the packets of a train arrive. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import attrs

MIN_PACKETS = 4
"""Fewer packets of a train say too little."""
MIN_SPACING_S = 50e-6
"""Packets closer than this arrived as fast as hosts send: light probing can't measure so high a rate."""
MIN_TRAINS = 5
"""Fewer trains are no median to speak of."""
SLOWER = 2.0
"""Packets have to arrive this much slower than they were sent; otherwise the sender was the slowest part."""
MAX_SPREAD = 0.25
"""Trains that differ by more than this share (median absolute deviation) measure jitter and no rate."""


@attrs.frozen
class TrainSpacing:
    """Of one train: when it was sent, and mean seconds from packet to packet on arrival and as sent."""

    t_s: float
    spacing_s: float
    sent_s: float = 0.0


def train_spacing(
    t_s: float, sent_ns: Mapping[int, int], arrived_ns: Mapping[int, int]
) -> TrainSpacing | None:
    """The spacing of a train from its stamps by index; None where too few packets arrived."""
    spacing = spacing_s(arrived_ns)
    sent = spacing_s({index: sent_ns[index] for index in arrived_ns})
    return None if spacing is None or sent is None else TrainSpacing(t_s, spacing, sent)


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
        rate_bps: None where it can't be estimated.
        why_not: The reason then.
        spread: The median absolute deviation of trains, as a share.
    """

    rate_bps: float | None
    why_not: str = ""
    spread: float = 0.0


def estimate(
    spacings: Sequence[TrainSpacing], frame_bytes: int, *, min_trains: int = MIN_TRAINS
) -> RateEstimate:
    """Estimate a rate as a train's bytes over the median spacing.

    Args:
        spacings: Of several trains.
        frame_bytes: Of one packet, headers included.
        min_trains: Fewer give no figure.
    """
    if not spacings:
        return RateEstimate(None, "no train arrived")
    middle_s = statistics.median(each.spacing_s for each in spacings)
    floor_s = max(MIN_SPACING_S, SLOWER * statistics.median(each.sent_s for each in spacings))
    if middle_s < floor_s:
        return RateEstimate(None, f"faster than {frame_bytes * 8 / floor_s / 1e6:.3g} Mbit/s")
    # By when they were sent, not by when they came: to choose among arrivals would bias the median.
    paced = [each.spacing_s for each in spacings if SLOWER * each.sent_s <= middle_s]
    if len(paced) < min_trains:
        return RateEstimate(None, f"{len(paced)} trains, it takes {min_trains}: record for longer")
    middle_s = statistics.median(paced)
    spread = statistics.median(abs(each - middle_s) for each in paced) / middle_s
    if spread > MAX_SPREAD:
        return RateEstimate(None, f"trains differ by {spread:.0%}, jitter hides it", spread)
    return RateEstimate(frame_bytes * 8 / middle_s, spread=spread)
