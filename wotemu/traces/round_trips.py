"""Round trips of single packets, made into conditions of each way, a row for each window of time."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Literal

import attrs

from wotemu.traces.recording import Column, Direction, Recording, Row, TraceImportError

PACKETS_A_WINDOW = 10
"""A window is long enough for this many packets, and never shorter than `MIN_WINDOW_S`."""
MIN_WINDOW_S = 1.0

HALVED = "each way has half of the round trip: without synchronized clocks no one can tell them apart"
JITTER = "jitter is the standard deviation of a round trip divided by sqrt(2), so that both ways add up to it"
BLURRED = "are not in latency and jitter: this machine was too busy to send when it meant to"
LOSS_SPLIT = "a lost round trip is laid on both ways alike: 1 - sqrt(1 - share lost)"


@attrs.frozen
class RoundTrip:
    """One packet.

    Attributes:
        t_s: When it was sent, since the first one.
        rtt_s: Until its answer came; None where none came.
        lost_on: The way that lost it, where that is known.
        is_blurred: Whether an unknown part of `rtt_s` is the recorder's own, which had no CPU while it sent;
            latency and jitter leave it out.
    """

    t_s: float
    rtt_s: float | None
    lost_on: Literal["up", "down"] | None = None
    is_blurred: bool = False


def window_s(times_s: Sequence[float]) -> float:
    """Seconds that hold ten packets at their median interval, at least one second."""
    intervals = [b - a for a, b in itertools.pairwise(times_s) if b > a]
    usual_s = statistics.median(intervals) if intervals else 0.0
    return max(MIN_WINDOW_S, round(PACKETS_A_WINDOW * usual_s, 1))


def recording_of(
    trips: Sequence[RoundTrip],
    where: str,
    *,
    length_s: float | None = None,
    window: float | None = None,
    direction: Direction | None = None,
    source: str = "round-trip times",
) -> Recording:
    """Conditions of one way from round trips.

    Latency is half of the mean round trip of a window, jitter its standard deviation over sqrt(2), loss what
    gives the share of lost round trips when both ways have it. Means and variances of replayed round trips
    are then those of the measured ones.

    Args:
        trips: In any order.
        where: What messages name.
        length_s: Of the measurement; None for until the last packet and one interval.
        window: Seconds that a row averages; None for `window_s`.
        direction: Which way's loss to take where that is known.
        source: The words for where round trips come from.

    Raises:
        TraceImportError: There are no round trips, or none was answered.
    """
    if not trips:
        raise TraceImportError("it has no round trips", where=where)
    if all(trip.rtt_s is None for trip in trips):
        raise TraceImportError(f"none of its {len(trips)} packets was answered", where=where)
    ordered = sorted(trips, key=lambda trip: trip.t_s)
    start_s = ordered[0].t_s
    times_s = [trip.t_s - start_s for trip in ordered]
    step_s = window or window_s(times_s)
    total_s = length_s or times_s[-1] + _interval_s(times_s)
    known = direction is not None and all(trip.rtt_s is not None or trip.lost_on for trip in ordered)
    by_window: dict[int, list[RoundTrip]] = {}
    for t_s, trip in zip(times_s, ordered, strict=True):
        by_window.setdefault(int((t_s + 1e-9) / step_s), []).append(trip)
    rows: list[Row] = [
        (round(number * step_s, 6), _values(inside, direction if known else None))
        for number, inside in sorted(by_window.items())
    ]
    sources: dict[Column, str] = {
        "latency_ms": f"{source}, halved, mean over {step_s:g} s",
        "jitter_ms": f"{source}, standard deviation within {step_s:g} s, over sqrt(2)",
        "loss": f"{source} that are missing" + (f", lost on the way {direction}" if known else ""),
    }
    said: tuple[str, ...] = (HALVED, JITTER) if known else (HALVED, JITTER, LOSS_SPLIT)
    if blurred := sum(trip.is_blurred and trip.rtt_s is not None for trip in ordered):
        said += (f"{blurred} of {len(ordered)} {source} {BLURRED}",)
    return Recording(tuple(rows), max(total_s, rows[-1][0] + 1e-3), sources, said)


def _interval_s(times_s: Sequence[float]) -> float:
    return times_s[-1] / (len(times_s) - 1) if len(times_s) > 1 and times_s[-1] else 1.0


def _values(trips: Sequence[RoundTrip], direction: Direction | None) -> dict[Column, float]:
    answered = [trip.rtt_s for trip in trips if trip.rtt_s is not None and not trip.is_blurred]
    values: dict[Column, float] = {}
    if answered:
        values["latency_ms"] = statistics.fmean(answered) / 2 * 1e3
        values["jitter_ms"] = statistics.stdev(answered) / math.sqrt(2) * 1e3 if len(answered) > 1 else 0.0
    values["loss"] = _loss(trips, direction)
    return values


def _loss(trips: Sequence[RoundTrip], direction: Direction | None) -> float:
    """The share lost on one way. Packets lost on the way up never try the way down."""
    lost_up = sum(trip.lost_on == "up" for trip in trips)
    if direction == "up":
        return lost_up / len(trips)
    if direction == "down":
        tried = len(trips) - lost_up
        return sum(trip.lost_on == "down" for trip in trips) / tried if tried else 0.0
    return 1 - math.sqrt(sum(trip.rtt_s is not None for trip in trips) / len(trips))
