"""What is known of a run from its plan on, whoever drives it."""

from __future__ import annotations

from pathlib import Path

from wotemu.scenario.timeline import Timeline
from wotemu_runtime.runs.run import Run


class PlannedRun:
    """One run of a deployment, `_run`."""

    _run: Run

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._run.settings.name

    @property
    def timeline(self) -> Timeline:
        """The scenario's changes, with those of guards that have fired and those that were made by hand."""
        return self._run.timeline

    @property
    def warnings(self) -> list[str]:
        """What the linter doubts about the scenario."""
        return self._run.warnings

    @property
    def run_dir(self) -> Path | None:
        """Where the run is recorded; None before it starts."""
        return self._run.run_dir
