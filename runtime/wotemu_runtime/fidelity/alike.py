"""Compares probes with what was expected of them: those of like expectations with each other. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from wotemu.fidelity import MEDIANS_SCATTER
from wotemu.fidelity.evidence import Delays
from wotemu.percentiles import RELATIVE_ERROR

MIN_PROBES = 5
"""Fewer say nothing of a delay."""

_ALIKE = 1.05
_ALIKE_S = 0.0005
"""Expectations are alike that differ by less than this factor, or this time."""

_SLIGHT_S = 0.03
"""Below this delay an error counts by itself, above it by its share of the delay."""


_CELL = 0.005
_CELL_S = 0.01
"""Expectations share a cell that differ by about 0.5 %, or 50 us: far less than alike ones may."""

_BIN = 2 * RELATIVE_ERROR
_BIN_S = 2e-5
"""Errors share a bin that differ by about 4 %, or 1 us: the middle of a bin is off by half as much."""


class _Cell:
    """Probes of one expectation."""

    __slots__ = ("clocks_s", "count", "errors", "expected_s", "variance")

    def __init__(self) -> None:
        self.count = 0
        self.expected_s = 0.0
        self.errors: dict[int, int] = {}
        """How many probes are in each bin of errors."""
        self.variance = 0.0
        self.clocks_s = 0.0

    def add(self, expected_s: float, error_s: float, spread_s: float, clocks_s: float) -> None:
        self.count += 1
        self.expected_s += (expected_s - self.expected_s) / self.count
        number = round(math.asinh(error_s / _BIN_S) / _BIN)
        self.errors[number] = self.errors.get(number, 0) + 1
        self.variance += spread_s**2
        self.clocks_s = max(self.clocks_s, clocks_s)


class Samples:
    """Of the probes that crossed one hop: what was expected, and by how much each was off, in seconds.

    Their memory is that of the different expectations and errors, not of the probes: a run may last for days.
    """

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells: dict[int, _Cell] = {}

    def __len__(self) -> int:
        return sum(cell.count for cell in self._cells.values())

    def add(self, expected_s: float, error_s: float, spread_s: float, clocks_s: float) -> None:
        """One probe; its delay scatters by `spread_s` itself, its two agents' clocks may be so far apart."""
        number = round(math.log1p(expected_s / _CELL_S) / _CELL)
        cell = self._cells.get(number)
        if cell is None:
            cell = self._cells[number] = _Cell()
        cell.add(expected_s, error_s, spread_s, clocks_s)

    def furthest(self) -> Delays | None:
        """The probes that are furthest off: of like expectations, or all; None where there is no probe.

        All together show small errors that jitter hides in each group.
        """
        if not self._cells:
            return None
        cells = [cell for _, cell in sorted(self._cells.items())]
        return max((_delays(group) for group in (*_groups(cells), cells)), key=_offence)


def _groups(cells: Sequence[_Cell]) -> Iterator[Sequence[_Cell]]:
    """Cells in the order of their expectations, parted; no part but an only one has too few probes."""
    left = sum(cell.count for cell in cells)
    start, probes, limit_s = 0, 0, _limit_s(cells[0].expected_s)
    for at, cell in enumerate(cells):
        if cell.expected_s > limit_s and probes >= MIN_PROBES:
            if left < MIN_PROBES:
                break
            yield cells[start:at]
            start, probes, limit_s = at, 0, _limit_s(cell.expected_s)
        probes += cell.count
        left -= cell.count
    yield cells[start:]


def _delays(cells: Sequence[_Cell]) -> Delays:
    errors: Counter[int] = Counter()
    for cell in cells:
        errors.update(cell.errors)
    count = errors.total()
    expected_s = _median([(cell.expected_s, cell.count) for cell in cells])
    error_s = _median([(_BIN_S * math.sinh(number * _BIN), n) for number, n in sorted(errors.items())])
    return Delays(
        probes=count,
        expected_s=expected_s,
        measured_s=expected_s + error_s,
        error_s=error_s,
        scatter_s=MEDIANS_SCATTER * math.sqrt(math.fsum(cell.variance for cell in cells)) / count,
        clocks_s=max(cell.clocks_s for cell in cells),
    )


def _limit_s(first_s: float) -> float:
    return max(first_s * _ALIKE, first_s + _ALIKE_S)


def _median(values: Sequence[tuple[float, int]]) -> float:
    """The median of ascending values, of each of which there are so many."""
    count = sum(n for _, n in values)
    return (_ranked(values, (count - 1) // 2) + _ranked(values, count // 2)) / 2


def _ranked(values: Sequence[tuple[float, int]], rank: int) -> float:
    for value, n in values:
        rank -= n
        if rank < 0:
            return value
    return values[-1][0]


def _offence(delays: Delays) -> float:
    unexplained_s = abs(delays.error_s) - delays.scatter_s - delays.clocks_s
    return unexplained_s / max(delays.expected_s, _SLIGHT_S)


__all__ = ["MEDIANS_SCATTER", "MIN_PROBES", "Samples"]
