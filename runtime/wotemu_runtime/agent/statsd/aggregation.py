"""Turns the samples of one node into values of its metrics: totals, levels, and single observations."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from wotemu_runtime.agent.statsd.lines import COUNTER, GAUGE, SET, ReportedEvent, Sample, parse

MAX_KEYS = 1000
"""Different keys that one node may report."""
MAX_MEMBERS = 100_000
"""Different members of all sets of one node."""
MAX_EVENTS = 1000
"""Events that one node may report in a run."""
MAX_EXAMPLE = 100
"""Bytes of a refused line that are shown."""


@attrs.define
class Refused:
    """Lines that are no samples: how many, and the last one with the reason."""

    count: int = 0
    example: str = ""
    why: str = ""

    def add(self, line: bytes, why: str) -> None:
        """Count one line."""
        self.count += 1
        shown = line[:MAX_EXAMPLE].decode("ascii", errors="backslashreplace")
        self.example = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
        self.why = why


class Aggregation:
    """The metrics of one node since the run began.

    A gauge and an observation (``ms``, ``h``, ``d``) are values at once. A counter's value is its total so
    far, that of a set the number of its different members so far; `changed` yields those that changed.
    """

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._gauges: dict[str, float] = {}
        self._sets: dict[str, set[int]] = {}
        self._changed: dict[str, float] = {}
        self._keys: set[str] = set()
        self._members = self._events = 0
        self.refused = Refused()

    def __repr__(self) -> str:
        return f"<Aggregation keys={len(self._keys)} refused={self.refused.count}>"

    def take(self, packet: bytes) -> Iterator[tuple[str, float] | ReportedEvent]:
        """Take the lines of one packet; yields what is to be recorded at once, keys with their values."""
        for line in packet.split(b"\n"):
            stripped = line.strip(b" \t\r\0")
            if stripped:
                yield from self._take(stripped)

    def _take(self, line: bytes) -> Iterator[tuple[str, float] | ReportedEvent]:
        try:
            for each in parse(line):
                if isinstance(each, ReportedEvent):
                    self._admit_event()
                    yield each
                elif (value := self._apply(each)) is not None:
                    yield each.key, value
        except ValueError as error:
            self.refused.add(line, str(error))

    def changed(self) -> Iterator[tuple[str, float]]:
        """The counters and sets that changed since the last call, with their values."""
        changed, self._changed = self._changed, {}
        yield from changed.items()

    def _apply(self, sample: Sample) -> float | None:
        """Apply a sample; the value to record at once, if any."""
        self._admit(sample.key)
        if sample.kind == SET:
            self._add_member(sample.key, str(sample.value))
            return None
        value = float(sample.value)
        if sample.kind == COUNTER:
            self._totals[sample.key] = self._changed[sample.key] = self._totals.get(sample.key, 0.0) + value
            return None
        if sample.kind == GAUGE:
            value += self._gauges.get(sample.key, 0.0) if sample.is_relative else 0.0
            self._gauges[sample.key] = value
        return value

    def _add_member(self, key: str, member: str) -> None:
        members = self._sets.setdefault(key, set())
        number = hash(member)  # a set of texts would take many times the memory
        if number in members:
            return
        if self._members >= MAX_MEMBERS:
            raise ValueError(f"the node's sets have {MAX_MEMBERS:,} members already")
        self._members += 1
        members.add(number)
        self._changed[key] = len(members)

    def _admit(self, key: str) -> None:
        if key not in self._keys:
            if len(self._keys) >= MAX_KEYS:
                raise ValueError(f"the node has reported {MAX_KEYS:,} different metrics already")
            self._keys.add(key)

    def _admit_event(self) -> None:
        self._events += 1
        if self._events > MAX_EVENTS:
            raise ValueError(f"the node has reported {MAX_EVENTS:,} events already")
