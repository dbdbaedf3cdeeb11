"""One run on the event loop, with whom it is shown to and what the signals do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import uvloop

from wotemu.cli.failures import EXIT_INTERRUPTED, tell_error
from wotemu.cli.interrupts import Interrupts
from wotemu.cli.lines import JsonLines, Lines
from wotemu.cli.terminal import is_capable, leave_at_once
from wotemu.cli.view import View
from wotemu.emulation import Emulation, Result


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
    from wotemu.cli.live import LiveView

    return LiveView(emulation)


async def _show(emulation: Emulation, view: View) -> int:
    with view:
        view.begin()
        running = asyncio.create_task(emulation.run(view.event), name="run")
        interrupts = Interrupts(
            stop=emulation.stop,
            abandon=lambda: _cancel(running),
            tell=lambda text: view.say("run.interrupted", text),
        )
        with interrupts:
            result = await _finish(running, view, interrupts.is_abandoned)
    if result is None:
        leave_at_once(EXIT_INTERRUPTED)
    view.end(result)
    if result.error is not None:
        tell_error(result.error)
    return EXIT_INTERRUPTED if interrupts.count and result.error is None else result.exit_code


def _cancel(running: asyncio.Task[Result]) -> None:
    running.cancel()


async def _finish(
    running: asyncio.Task[Result], view: View, is_abandoned: Callable[[], bool]
) -> Result | None:
    """Wait for the run's end, with the view kept up to date; None if it was abandoned."""
    while not running.done():
        await asyncio.wait([running], timeout=view.tick_s)
        view.tick()
    if running.cancelled() and is_abandoned():
        return None
    return running.result()
