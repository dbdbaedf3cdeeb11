"""A comparison of designs: every figure of the baseline beside those of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from wotemu.errors import InputError
from wotemu_report.comparison import FIGURES
from wotemu_report.comparison.comparability import RecordedBase, cautions, obstacles
from wotemu_report.comparison.differences import (
    CONFIDENCE,
    FALSE_ALARMS,
    SAME,
    Difference,
    differences,
    exceeding,
)
from wotemu_report.comparison.figures import PERCENTILES, designs, effect_sizes
from wotemu_report.comparison.samples import SUBJECT, RunSamples, samples
from wotemu_report.recorded.run_data import RunData, reading

SCHEMA = 1


@attrs.frozen
class Comparison:
    """Designs beside a baseline.

    Attributes:
        baseline: Its name.
        runs: The run directories of each design.
        by_runs: Whether runs were resampled; blocks of time within them otherwise.
        role: Whose requests are compared: ``consumer``, or ``producer`` where no consumer was measured.
        differences: Of each other design, by its name.
        cautions: What to know before figures are believed.
        version: WoTemu's, that recorded the baseline.
    """

    baseline: str
    runs: Mapping[str, Sequence[str]]
    by_runs: bool
    role: str
    differences: Mapping[str, Sequence[Difference]]
    cautions: tuple[str, ...]
    version: str

    def blind(self, name: str) -> tuple[int, int]:
        """Of how many figures of a design a difference of `SAME` would not have been seen, and of all."""
        all_of_it = self.differences[name]
        return sum(each.sees is None or each.sees > SAME for each in all_of_it), len(all_of_it)

    def worse_by(self, share: float) -> list[Difference]:
        """The figures that are surely worse by more than a share; of shares, by so many points."""
        return [each for rows in self.differences.values() for each in exceeding(rows, share)]

    def to_dict(self) -> dict[str, Any]:
        """The comparison for programs; fields are those of `Difference`."""
        return {
            "schema": SCHEMA,
            "baseline": self.baseline,
            "runs": dict(self.runs),
            "resampled": "runs" if self.by_runs else "blocks of time",
            "confidence": CONFIDENCE,
            "false_alarms": FALSE_ALARMS,
            "role": self.role,
            "cautions": list(self.cautions),
            "differences": [
                {"design": name, **dict(zip(SUBJECT, each.subject, strict=True)), **_plain(each)}
                for name, found in self.differences.items()
                for each in found
            ],
        }


def compare(
    folders: Mapping[str, Mapping[Path, Sequence[str]]],
    *,
    anyway: bool = False,
    figures: Sequence[str] = FIGURES,
    seed: int = 0,
) -> Comparison:
    """Compare designs with the first one.

    Args:
        folders: The run directories of each design, by its name, and what is known to be missing of each;
            at least two designs.
        anyway: Compare also what should not be: other timelines, INVALID runs.
        figures: Which figures; fewer ones see smaller differences.
        seed: Of the resampling.

    Raises:
        InputError: They can't be compared, or a run can't be read.
    """
    bases: dict[str, list[RecordedBase]] = {}
    measured: dict[str, list[RunSamples]] = {}
    for name, paths in folders.items():
        for path, damages in paths.items():
            base, sampled = reading(path, _read, damages)
            bases.setdefault(name, []).append(base)
            measured.setdefault(name, []).append(sampled)
    against = obstacles(bases)
    if against and not anyway:
        raise InputError(
            f"the runs can't be compared: {'; '.join(against)}", hint="--anyway compares what they share"
        )
    (baseline, before), *others = designs(measured).items()
    # The two sides are drawn with different seeds: their errors are independent.
    usual = before.figures(figures, seed)
    found = {
        name: differences(
            usual,
            after.figures(figures, seed + 1),
            by_runs=before.by_runs,
            deltas=effect_sizes(before, after) if set(figures) & set(PERCENTILES) else None,
        )
        for name, after in others
    }
    if not any(found.values()):
        raise InputError(
            "the runs have no figure in common", hint="do their phases and nodes have the same names?"
        )
    return Comparison(
        baseline,
        {name: [str(path) for path in paths] for name, paths in folders.items()},
        before.by_runs,
        measured[baseline][0].role,
        found,
        tuple(dict.fromkeys([*against, *cautions(bases)])),
        bases[baseline][0].manifest.wotemu_version,
    )


def _read(run: RunData) -> tuple[RecordedBase, RunSamples]:
    base = RecordedBase(str(run.run_dir), run.manifest, run.timeline, run.gaps)
    return base, samples(run)


def _plain(difference: Difference) -> dict[str, Any]:
    values = attrs.asdict(difference)
    del values["subject"]
    # `name` is the affordance's in the row.
    return {"figure": values.pop("name"), **values}
