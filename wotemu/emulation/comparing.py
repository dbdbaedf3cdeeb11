"""Compares recorded runs: the same figures side by side, and how sure each difference is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wotemu.emulation.sweep import RecordedSweep
from wotemu.errors import InputError
from wotemu.recorded_run import RecordedRun
from wotemu.suggestions import did_you_mean
from wotemu_report.comparison import FIGURES
from wotemu_runtime.recording.run_directory import tabulate

if TYPE_CHECKING:
    from wotemu_report.comparison.comparison import Comparison

Design = str | Path | RecordedRun | RecordedSweep
"""A run, or several runs of one design: as values, or as their directory."""


def compare(
    *designs: Design, figures: Sequence[str] = FIGURES, anyway: bool = False, seed: int = 0
) -> Comparison:
    """Compare runs with the first one, as ``wotemu compare`` does.

    ``compare("runs/before", "runs/after").differences["after"]`` has each figure's `Difference`.

    Args:
        designs: At least two; the first one is the baseline.
        figures: Which figures: ``p50``, ``p95``, ``p99``, ``errors``, ``availability``, ``throughput``. Fewer
            ones see smaller differences.
        anyway: Compare also runs of other timelines, and INVALID ones.
        seed: Of the resampling.

    Returns:
        The comparison: `differences` by design, `worse_by` for a threshold, `to_dict` for JSON.

    Raises:
        InputError: They can't be compared, there is no such figure, or a run can't be read.
    """
    from wotemu_report.comparison.comparison import compare as compared

    if len(designs) < 2:
        raise InputError("there is nothing to compare", where="compare", hint="give at least two runs")
    for figure in figures:
        if figure not in FIGURES:
            raise InputError(
                f"there is no figure {figure!r}", where="figures", hint=did_you_mean(figure, FIGURES)
            )
    return compared(_named(designs), anyway=anyway, figures=figures, seed=seed)


def write_comparison(comparison: Comparison, out_dir: str | Path) -> Path:
    """Write the page of a comparison, with a chart of all changes.

    Returns:
        Its path: index.html in `out_dir`.

    Raises:
        InputError: `out_dir` can't be written to.
    """
    from wotemu_report.comparison.comparison_page import comparison_page
    from wotemu_report.page.render import save

    return save(comparison_page(comparison), Path(out_dir))


def _named(designs: Iterable[Design]) -> Mapping[str, Mapping[Path, Sequence[str]]]:
    """The run directories of each design, by a name that no other has, and what can't be read of each."""
    found: dict[str, dict[Path, list[str]]] = {}
    for design in designs:
        folder, runs = _runs(design)
        name = folder.resolve().name
        if name in found:
            name = str(folder)
        if name in found:
            raise InputError("it is given twice", where=name)
        found[name] = {path: tabulate(path) for path in runs}
    return found


def _runs(design: Design) -> tuple[Path, list[Path]]:
    """A design's directory, and its run directories."""
    if isinstance(design, str | Path):
        is_folder = (Path(design) / "sweep.json").is_file()
        design = RecordedSweep(design) if is_folder else RecordedRun(design)
    if isinstance(design, RecordedRun):
        return design.run_dir, [design.run_dir]
    begun = [run.run_dir for run in design if run.manifest.t0 is not None]
    if not begun:
        raise InputError("none of its runs reached T0", where=str(design.folder))
    return Path(design.folder), begun
