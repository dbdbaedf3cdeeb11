"""Recorded tables to figures to one offline HTML page."""

from __future__ import annotations

from pathlib import Path

__all__ = ["report_json", "write_report"]


def write_report(run_dir: Path, out_dir: Path | None = None) -> Path:
    """Write the report of the run in `run_dir` to `out_dir`/index.html; returns that path.

    `out_dir` is `run_dir`/report where none is given. Raises `wotemu.errors.InputError` where `run_dir` holds
    no run, a file of it is damaged, or `out_dir` can't be written.
    """
    # Polars, Altair and the browser bundle take a second to import: only who writes a report pays for it.
    from wotemu_report.page import render, save
    from wotemu_report.recorded.dataset import RunData

    run_dir = Path(run_dir)
    return save(render(RunData.load(run_dir)), Path(out_dir) if out_dir else run_dir / "report")


def report_json(run_dir: Path) -> str:
    """The data of that report as JSON, in the shape that `wotemu_report.export.as_json` tells.

    Raises `wotemu.errors.InputError` where `run_dir` holds no run, or a file of it is damaged.
    """
    from wotemu_report.export.as_json import text_of

    return text_of(Path(run_dir))
