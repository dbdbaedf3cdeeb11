"""The report: the tables of a run directory to one offline HTML page, or to JSON for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wotemu_report.objectives.outcome import Outcomes

__all__ = ["judge_objectives", "report_json", "write_report"]


def write_report(
    run_dir: Path, out_dir: Path | None = None, damages: Sequence[str] = (), *, goes_on: bool = False
) -> Path:
    """Write the report of a run: one that is over, goes on, or was cut short.

    Of a run that is over it also writes ``objectives.json``, where its scenario has objectives. What can't be
    read of a table is left out, and the page says so.

    Args:
        run_dir: The run directory.
        out_dir: Where to write index.html; `run_dir`/report where None.
        damages: What is known already to be missing, a sentence each.
        goes_on: Whether the run is known to go on.

    Returns:
        The path of the page.

    Raises:
        wotemu.errors.InputError: `run_dir` holds no run, a JSON file of it is damaged, or `out_dir` can't be
            written.
    """
    # Polars, Altair and Vega take a second to import: only callers that write a report pay for it.
    from wotemu_report.objectives.evaluate import keep_outcomes
    from wotemu_report.page import render, save
    from wotemu_report.recorded.run_data import RunData, reading

    def page(run: RunData) -> str:
        keep_outcomes(run)
        return render(run)

    run_dir = Path(run_dir)
    html = reading(run_dir, page, damages, goes_on=goes_on)
    return save(html, Path(out_dir) if out_dir else run_dir / "report")


def report_json(run_dir: Path, damages: Sequence[str] = (), *, goes_on: bool = False) -> str:
    """The data of that report as JSON; `wotemu_report.export.as_json` describes its shape.

    Args:
        run_dir: The run directory.
        damages, goes_on: See `write_report`.

    Raises:
        wotemu.errors.InputError: `run_dir` holds no run, or a file of it is damaged.
    """
    from wotemu_report.export.as_json import text_of

    return text_of(Path(run_dir), damages, goes_on=goes_on)


def judge_objectives(run_dir: Path, damages: Sequence[str] = (), *, goes_on: bool = False) -> Outcomes:
    """The outcomes of the objectives of a run's scenario, by what is recorded by now.

    Args:
        run_dir: The run directory.
        damages, goes_on: See `write_report`.

    Raises:
        wotemu.errors.InputError: `run_dir` holds no run, or a JSON file of it is damaged.
    """
    from wotemu_report.objectives.evaluate import keep_outcomes
    from wotemu_report.recorded.run_data import reading

    return reading(Path(run_dir), keep_outcomes, damages, goes_on=goes_on)
