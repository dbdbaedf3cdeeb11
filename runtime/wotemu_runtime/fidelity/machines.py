"""Sums up the samples of a machine's load and clock, of a gateway's load, and the stalls of a role. Pure."""

from __future__ import annotations

from array import array
from collections import deque
from statistics import median

import attrs

from wotemu.fidelity.evidence import GatewayEvidence, HostEvidence, StallEvidence
from wotemu.records import GatewayLoad, Host

WINDOW_S = 5.0
"""A gateway that is busy for a shorter time has only a burst to work off."""


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


@attrs.define
class GatewayLog:
    """The load of one gateway: its samples of the last `WINDOW_S`, and the busiest such window so far."""

    _window: deque[GatewayLoad] = attrs.field(factory=deque)
    _lasted_s: float = 0.0
    _cpu_s: float = 0.0
    _packets: int = 0
    _busiest: GatewayEvidence | None = None

    def take(self, sample: GatewayLoad, t0: float) -> None:
        """Take a sample; `t0` is when the run began."""
        self._window.append(sample)
        self._lasted_s += sample.interval
        self._cpu_s += sample.cpu
        self._packets += sample.packets
        while self._lasted_s - self._window[0].interval >= WINDOW_S:
            oldest = self._window.popleft()
            self._lasted_s -= oldest.interval
            self._cpu_s -= oldest.cpu
            self._packets -= oldest.packets
        if self._lasted_s < WINDOW_S:
            return
        cpu = self._cpu_s / self._lasted_s
        if self._busiest is None or cpu > self._busiest.cpu:
            self._busiest = GatewayEvidence(
                role=f"gateway:{sample.network}",
                since_s=sample.t - self._lasted_s - t0,
                lasted_s=self._lasted_s,
                cpu=cpu,
                packets_per_s=self._packets / self._lasted_s,
            )

    def evidence(self) -> GatewayEvidence | None:
        """The busiest window; None if the run was shorter than one."""
        return self._busiest
