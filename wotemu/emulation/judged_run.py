"""Executes a run while its objectives are watched."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wotemu.emulation.objective_watch import ObjectiveWatch
from wotemu.records import Event
from wotemu_report.objectives.outcome import Outcomes
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.recording.recorder import Listener
from wotemu_runtime.recording.run_directory import is_being_recorded, tabulate
from wotemu_runtime.runs.run import Run


def judge_objectives(run_dir: Path) -> Outcomes:
    """The outcomes of a run's objectives, by what is recorded by now."""
    from wotemu_report import judge_objectives as judge

    return judge(run_dir, tabulate(run_dir), goes_on=is_being_recorded(run_dir))


async def execute(run: Run, listener: Listener) -> tuple[Path, Outcome, str]:
    """Execute a run; an objective with ``abort=True`` may end it.

    Args:
        run: The run.
        listener: Is called with every event as it is recorded.

    Returns:
        The run directory, how the run went, and the objective that ended it, in words: "" for none.
    """

    async def judge() -> Outcomes:
        return await asyncio.to_thread(judge_objectives, run.run_dir or Path())

    def listen(event: Event) -> None:
        watch.take(event)
        listener(event)

    watch = ObjectiveWatch(run, judge)
    watching = asyncio.create_task(watch.run(), name="objectives")
    try:
        run_dir, outcome = await run.execute(listen)
    finally:
        watch.close()
        # Not cancelled: a thread that still makes tables must not do so while the run's end does.
        await asyncio.wait([watching])
    watching.result()
    return run_dir, outcome, watch.ended_by
