"""A run on an event loop, with the view that shows it and the signals that end it."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from wotemu.cli.failures import print_error, print_message
from wotemu.cli.interrupts import Interrupts
from wotemu.cli.live_page import LivePage
from wotemu.cli.screen.base import RunView
from wotemu.cli.screen.plain import JsonLines, Lines
from wotemu.cli.screen.terminal import is_capable, leave_at_once
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.errors import EXIT_INTERRUPTED, EXIT_OBJECTIVE_FAILED
from wotemu.records import Event


def run_to_end(emulation: ReportedRun, *, follow: bool, as_json: bool, live: bool = False) -> int:
    """Run an emulation and show it.

    Args:
        emulation: What to run.
        follow: Show events as they happen.
        as_json: Print events as JSON lines.
        live: Serve its growing report from T0 on.

    Returns:
        The command's exit code.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_show(emulation, _view(emulation, follow=follow, as_json=as_json), live=live))


def _view(emulation: ReportedRun, *, follow: bool, as_json: bool) -> RunView:
    if as_json:
        return JsonLines(emulation)
    if not follow:
        return RunView(emulation)
    if not is_capable(sys.stdout):
        return Lines(emulation)
    from wotemu.cli.screen.live import LiveView

    return LiveView(emulation)


async def _show(emulation: ReportedRun, view: RunView, *, live: bool) -> int:
    page = LivePage(view.page_served)

    def listen(event: Event) -> None:
        if live and event.kind in ("run.t0", "run.resumed") and emulation.run_dir is not None:
            page.start(emulation.run_dir)
        view.event(event)

    with view:
        view.begin()
        running = asyncio.create_task(emulation.run(listen), name="run")
        interrupts = Interrupts(
            stop=emulation.stop,
            abort=lambda: emulation.stop(at_once=True),
            announce=lambda text: view.say("run.interrupted", text),
        )
        with interrupts:
            try:
                result = await _finish(running, view)
            finally:
                await page.end()
    if result.report is None and result.report_error is None:
        # Interrupted while the report was written: a thread still writes it, and would hold up the exit.
        leave_at_once(EXIT_INTERRUPTED)
    view.end(result)
    if result.error is not None:
        print_error(result.error)
    elif result.report_error is not None:
        print_error(result.report_error)
    elif result.is_rejected:
        print_message("the emulation did not do what its scenario says", hint="the reasons head the report")
    elif result.exit_code == EXIT_OBJECTIVE_FAILED:
        ended = f"ended early by {result.ended_by}" if result.ended_by else None
        print_message(result.objectives.summary or "an objective is not met", hint=ended)
    # A run that was interrupted before T0 or at its very end may have another status.
    return EXIT_INTERRUPTED if interrupts.count and result.error is None else result.exit_code


async def _finish(running: asyncio.Task[Result], view: RunView) -> Result:
    """Wait for the run's end, and have the view redraw its counters meanwhile."""
    while not running.done():
        await asyncio.wait([running], timeout=view.tick_s)
        view.tick()
    return running.result()
