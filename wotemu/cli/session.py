"""One run on the event loop, with whom it is shown to and what the signals do."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from wotemu.cli.failures import print_error, print_message
from wotemu.cli.interrupts import Interrupts
from wotemu.cli.screen.base import View
from wotemu.cli.screen.plain import JsonLines, Lines
from wotemu.cli.screen.terminal import is_capable, leave_at_once
from wotemu.emulation import Emulation, Result
from wotemu.errors import EXIT_INTERRUPTED


def run_to_end(emulation: Emulation, *, follow: bool, as_json: bool) -> int:
    """Run it and show it; the exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_show(emulation, _view(emulation, follow=follow, as_json=as_json)))


def _view(emulation: Emulation, *, follow: bool, as_json: bool) -> View:
    if as_json:
        return JsonLines(emulation)
    if not follow:
        return View(emulation)
    if not is_capable(sys.stdout):
        return Lines(emulation)
    from wotemu.cli.screen.live import LiveView

    return LiveView(emulation)


async def _show(emulation: Emulation, view: View) -> int:
    with view:
        view.begin()
        running = asyncio.create_task(emulation.run(view.event), name="run")
        interrupts = Interrupts(
            stop=emulation.stop,
            abandon=lambda: emulation.stop(at_once=True),
            tell=lambda text: view.say("run.interrupted", text),
        )
        with interrupts:
            result = await _finish(running, view)
    if result.report is None and result.report_error is None:
        leave_at_once(EXIT_INTERRUPTED)  # a thread may still be writing it
    view.end(result)
    if result.error is not None:
        print_error(result.error)
    elif result.report_error is not None:
        print_error(result.report_error)
    elif result.is_rejected:
        print_message("the emulation did not do what its scenario says", hint="the reasons head the report")
    return EXIT_INTERRUPTED if interrupts.count and result.error is None else result.exit_code


async def _finish(running: asyncio.Task[Result], view: View) -> Result:
    """Wait for the run's end, with the view kept up to date."""
    while not running.done():
        await asyncio.wait([running], timeout=view.tick_s)
        view.tick()
    return running.result()
