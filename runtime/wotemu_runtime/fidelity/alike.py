"""Compares probes with what was expected of them: those of like expectations with each other. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence

from wotemu.fidelity import MEDIANS_SCATTER
from wotemu.fidelity.evidence import Delays

MIN_PROBES = 5
"""Fewer say nothing of a delay."""

_ALIKE = 1.05
_ALIKE_S = 0.0005
"""Expectations are alike that differ by less than this factor, or this time."""

_SLIGHT_S = 0.03
"""Below this delay an error counts by itself, above it by its share of the delay."""


class Samples:
    """Of the probes that crossed one hop: what was expected, and by how much each was off, in seconds."""

    __slots__ = ("_clocks_s", "_errors_s", "_expected_s", "_spread_s")

    def __init__(self) -> None:
        self._expected_s, self._errors_s = array("d"), array("d")
        self._spread_s, self._clocks_s = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._errors_s)

    def add(self, expected_s: float, error_s: float, spread_s: float, clocks_s: float) -> None:
        """One probe; its delay scatters by `spread_s` itself, its two agents' clocks may be so far apart."""
        self._expected_s.append(expected_s)
        self._errors_s.append(error_s)
        self._spread_s.append(spread_s)
        self._clocks_s.append(clocks_s)

    def furthest(self) -> Delays | None:
        """The probes that are furthest off: of like expectations, or all; None where there is no probe.

        All of them tell of small errors that jitter hides in each group.
        """
        if not self._errors_s:
            return None
        order = sorted(range(len(self)), key=self._expected_s.__getitem__)
        return max((self._delays(group) for group in (*self._groups(order), order)), key=_offence)

    def _groups(self, order: Sequence[int]) -> Iterator[Sequence[int]]:
        """Probes in the order of their expectations, parted; no part but an only one has too few."""
        expected_s = self._expected_s
        start, limit_s = 0, _limit_s(expected_s[order[0]])
        for at, number in enumerate(order):
            if expected_s[number] <= limit_s or at - start < MIN_PROBES:
                continue
            if len(order) - at < MIN_PROBES:
                break
            yield order[start:at]
            start, limit_s = at, _limit_s(expected_s[number])
        yield order[start:]

    def _delays(self, group: Sequence[int]) -> Delays:
        expected_s = _median([self._expected_s[number] for number in group])
        error_s = _median([self._errors_s[number] for number in group])
        variance = math.fsum(self._spread_s[number] ** 2 for number in group)
        return Delays(
            probes=len(group),
            expected_s=expected_s,
            measured_s=expected_s + error_s,
            error_s=error_s,
            scatter_s=MEDIANS_SCATTER * math.sqrt(variance) / len(group),
            clocks_s=max(self._clocks_s[number] for number in group),
        )


def _limit_s(first_s: float) -> float:
    return max(first_s * _ALIKE, first_s + _ALIKE_S)


def _median(values: list[float]) -> float:
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _offence(delays: Delays) -> float:
    unexplained_s = abs(delays.error_s) - delays.scatter_s - delays.clocks_s
    return unexplained_s / max(delays.expected_s, _SLIGHT_S)


__all__ = ["MEDIANS_SCATTER", "MIN_PROBES", "Samples"]
