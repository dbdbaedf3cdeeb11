"""Conditions over time as read from a measurement, before they are written as a trace."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from typing import Literal

import attrs

from wotemu.errors import InputError

Column = Literal["latency_ms", "jitter_ms", "loss", "rate_bps"]
COLUMNS: tuple[Column, ...] = ("latency_ms", "jitter_ms", "loss", "rate_bps")
"""The columns of a trace beside ``t``, in the order in which they are written."""

CONDITION_COLUMNS: dict[str, Column] = {
    "latency": "latency_ms",
    "jitter": "jitter_ms",
    "loss": "loss",
    "rate": "rate_bps",
}
"""A trace's column by the name of its condition."""

Direction = Literal["up", "down"]
Row = tuple[float, dict[Column, float]]
"""Seconds since the first row, and the values that a row has."""

_GAP_FACTOR = 3
"""An interval this many times the median is reported as a gap."""


class TraceImportError(InputError):
    """A measurement can't be read or must not be replayed; `where` names file, line and column."""


@attrs.frozen
class Recording:
    """Conditions over time, and what was understood.

    Attributes:
        rows: In ascending order of time, beginning at 0.
        length_s: Seconds from the first row to the end of the last.
        sources: For each column, the words for where it comes from: "rtt_ms, ms, halved".
        assumptions: Sentences that a user has to know to trust the trace.
        loaded_rtt: Why latencies contain the path's own queue; None where they don't.
        is_sampled: Whether rows were measured one by one, so that a long interval is a gap.
    """

    rows: tuple[Row, ...] = attrs.field(repr=False)
    length_s: float
    sources: dict[Column, str]
    assumptions: tuple[str, ...] = ()
    loaded_rtt: str | None = None
    is_sampled: bool = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that any row has."""
        there = {column for _, values in self.rows for column in values}
        return tuple(column for column in COLUMNS if column in there)

    def only(self, columns: Iterable[Column], where: str) -> Recording:
        """The same with some columns alone; rows that have none of them are left out.

        Raises:
            TraceImportError: A column is not there.
        """
        wanted = set(columns)
        for column in wanted - set(self.columns):
            raise TraceImportError(
                f"it has no {column}", where=where, hint=f"it has {', '.join(self.columns)}"
            )
        rows = [(t_s, {k: v for k, v in values.items() if k in wanted}) for t_s, values in self.rows]
        kept = tuple(row for row in rows if row[1])
        loaded = self.loaded_rtt if "latency_ms" in wanted else None
        return attrs.evolve(self, rows=kept, loaded_rtt=loaded)


@attrs.frozen
class ColumnSummary:
    """One column: how many rows have it, and their least, median and greatest value."""

    column: Column
    source: str
    count: int
    least: float
    median: float
    most: float


@attrs.frozen
class Gap:
    """An interval without rows that is much longer than the others; the row before it holds on."""

    start_s: float
    length_s: float


def summarize(recording: Recording) -> list[ColumnSummary]:
    """Summarize each column.

    Args:
        recording: Any.
    """
    found = []
    for column in recording.columns:
        values = [row[column] for _, row in recording.rows if column in row]
        found.append(
            ColumnSummary(
                column,
                recording.sources.get(column, ""),
                len(values),
                min(values),
                statistics.median(values),
                max(values),
            )
        )
    return found


def gaps(recording: Recording) -> list[Gap]:
    """Find intervals between measured rows that are more than three times as long as the median one.

    Args:
        recording: Any.
    """
    times_s = [t_s for t_s, _ in recording.rows] if recording.is_sampled else []
    intervals = [b - a for a, b in itertools.pairwise(times_s)]
    if len(intervals) < 2:
        return []
    limit = _GAP_FACTOR * statistics.median(intervals)
    return [Gap(t_s, each) for t_s, each in zip(times_s, intervals, strict=False) if each > limit]


def refuse_double_queueing(recording: Recording, where: str, *, allowed: bool) -> None:
    """Refuse a rate together with latencies that contain the queue in front of that rate.

    The emulation builds the queue itself, from the rate and the traffic that runs over it.

    Raises:
        TraceImportError: Both are there, and it is not allowed.
    """
    columns = set(recording.columns)
    if allowed or recording.loaded_rtt is None or not {"latency_ms", "rate_bps"} <= columns:
        return
    raise TraceImportError(
        f"rate and latency together would replay queueing twice: {recording.loaded_rtt}; "
        "the emulated queue would add its delay to theirs",
        where=where,
        hint="import one of them, --only rate or --only latency,jitter,loss, and set the other by hand "
        "(latency of the idle path); --allow loaded-rtt takes both, if the path was idle",
    )
