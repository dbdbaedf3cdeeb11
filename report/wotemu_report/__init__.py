"""The report: the tables of a run directory to one offline HTML page, or to JSON for other programs."""

from __future__ import annotations

from pathlib import Path

__all__ = ["report_json", "write_report"]


def write_report(run_dir: Path, out_dir: Path | None = None) -> Path:
    """Write the report of a run.

    Args:
        run_dir: The run directory.
        out_dir: Where to write index.html; `run_dir`/report where None.

    Returns:
        The path of the page.

    Raises:
        wotemu.errors.InputError: `run_dir` holds no run, a file is damaged, or `out_dir` can't be written.
    """
    # Polars, Altair and Vega take a second to import: only callers that write a report pay for it.
    from wotemu_report.page import render, save
    from wotemu_report.recorded.run_data import RunData

    run_dir = Path(run_dir)
    return save(render(RunData.load(run_dir)), Path(out_dir) if out_dir else run_dir / "report")


def report_json(run_dir: Path) -> str:
    """The data of that report as JSON; `wotemu_report.export.as_json` describes its shape.

    Raises:
        wotemu.errors.InputError: `run_dir` holds no run, or a file of it is damaged.
    """
    from wotemu_report.export.as_json import text_of

    return text_of(Path(run_dir))
