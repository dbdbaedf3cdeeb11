"""How far the figures of several runs of one design lie apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from wotemu_report.comparison.differences import CONFIDENCE
from wotemu_report.comparison.figures import Design
from wotemu_report.comparison.samples import RunSamples, samples
from wotemu_report.comparison.student_t import quantile
from wotemu_report.recorded.run_data import RunData, reading


@attrs.frozen
class Spread:
    """One figure in several runs.

    Attributes:
        name: Of the figure, as in a comparison.
        subject: Phase, node group, affordance, operation, binding.
        values: Of each run that has it.
    """

    name: str
    subject: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The run in the middle."""
        return statistics.median(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of runs; None for one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def error(self) -> float | None:
        """By how much the mean of the runs may be off, with 95 %; None for one run."""
        if self.deviation is None:
            return None
        count = len(self.values)
        return quantile(CONFIDENCE, count - 1) * self.deviation / math.sqrt(count)

    def to_dict(self) -> dict[str, object]:
        """As JSON has it."""
        phase, group, name, op, binding = self.subject
        return {
            "figure": self.name,
            "phase": phase,
            "group": group,
            "name": name,
            "op": op,
            "binding": binding,
            "median": self.median,
            "low": min(self.values),
            "high": max(self.values),
            "deviation": self.deviation,
            "error": self.error,
            "values": list(self.values),
        }


def spread(run_dirs: Mapping[Path, Sequence[str]]) -> tuple[list[Spread], dict[Path, tuple[str, ...]]]:
    """Every figure of several runs, in the order of the first one's phases and subjects.

    Args:
        run_dirs: The run directories, and what is known to be missing of each.

    Returns:
        The figures; and of each run that is damaged, what its figures lack, a sentence each.

    Raises:
        InputError: A run can't be read.
    """
    read = {path: reading(path, _read, damages) for path, damages in run_dirs.items()}
    found = spread_of([Design([sampled], by_runs=False) for sampled, _ in read.values()])
    return found, {path: damages for path, (_, damages) in read.items() if damages}


def _read(run: RunData) -> tuple[RunSamples, tuple[str, ...]]:
    return samples(run), run.gaps


def spread_of(runs: Sequence[Design]) -> list[Spread]:
    """`spread` of designs that have one run each."""
    found: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for run in runs:
        for figure in run.figures():
            if figure.value is not None and figure.has_enough:
                found.setdefault((figure.name, figure.subject), []).append(figure.value)
    return [Spread(name, subject, tuple(values)) for (name, subject), values in found.items()]
