"""Sums up the samples of a machine's load and clock, and the stalls of a role. Pure."""

from __future__ import annotations

from array import array
from statistics import median

import attrs

from wotemu.fidelity.evidence import HostEvidence, StallEvidence
from wotemu.records import Host


@attrs.define
class HostLog:
    """The samples of one machine; of each only its clock's offset is kept, 8 bytes a second."""

    _cpu_percent: float = 0.0
    _steal_percent: float = 0.0
    _clock_error_s: float = 0.0
    _offsets_s: array[float] = attrs.field(factory=lambda: array("d"))

    def take(self, sample: Host) -> None:
        """Take a sample."""
        self._cpu_percent += sample.cpu_percent
        self._steal_percent += sample.steal_percent
        self._clock_error_s = max(self._clock_error_s, sample.clock_error)
        self._offsets_s.append(sample.clock_offset)

    def evidence(self, name: str) -> HostEvidence:
        """All of it; there has to be a sample."""
        count = len(self._offsets_s)
        return HostEvidence(
            name,
            cpu=self._cpu_percent / count / 100,
            steal=self._steal_percent / count / 100,
            clock_offset_s=median(self._offsets_s),
            clock_error_s=self._clock_error_s,
        )


@attrs.define
class StallLog:
    """The stalls of one role."""

    count: int = 0
    longest_s: float = 0.0

    def take(self, duration_s: float) -> None:
        """Take a stall."""
        self.count += 1
        self.longest_s = max(self.longest_s, duration_s)

    def evidence(self, source: str) -> StallEvidence:
        """All of it."""
        return StallEvidence(source, self.count, self.longest_s)
