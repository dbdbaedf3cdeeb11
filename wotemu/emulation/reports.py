"""The report of a recorded run: as a page, and as JSON."""

from __future__ import annotations

from pathlib import Path

from wotemu_runtime.recording.run_directory import is_being_recorded, tabulate


def write_report(run_dir: Path, out_dir: Path | None = None) -> Path:
    """Write a run's report, also of one that was killed or that goes on.

    Args:
        run_dir: The run directory. Tables that the run could not make yet are made first.
        out_dir: Where the report goes; None for the run directory's ``report``.

    Returns:
        The report's page.
    """
    # Imported here: a run needs neither Polars nor Altair before its report.
    from wotemu_report import write_report as write

    return write(run_dir, out_dir, tabulate(run_dir), goes_on=is_being_recorded(run_dir))


def report_json(run_dir: Path) -> str:
    """The data of a run's report as JSON: see `wotemu_report.export.as_json`."""
    from wotemu_report import report_json as as_json

    return as_json(run_dir, tabulate(run_dir), goes_on=is_being_recorded(run_dir))
