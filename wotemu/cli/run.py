"""``wotemu run``: runs the emulation of a file, shows how it goes, and tells how it went."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from wotemu.cli.failures import EXIT_INTERRUPTED, tell_error, told
from wotemu.cli.terminal import is_capable, leave_at_once
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.cli.view import View
    from wotemu.emulation import Emulation, Result


class Duration(click.ParamType[Seconds]):
    """A duration that is not zero, as ``90s`` or ``2m``."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Seconds:
        """Parse it, or fail as click does."""
        try:
            duration = Seconds.of(value)
        except (ValueError, TypeError) as error:
            self.fail(str(error), param, ctx)
        if not duration:
            self.fail(f"{value!r} is no time at all: write 30s or 2m", param, ctx)
        return duration


@attrs.frozen(kw_only=True)
class Options:
    """What was asked for on the command line."""

    path: str
    follow: bool
    duration: Seconds | None
    seed: int | None
    name: str | None
    out: str | None
    engine: str
    shaper: str
    as_json: bool
    debug: bool


@click.command()
@click.argument("path")
@click.option(
    "--follow", is_flag=True, help="Show what happens as it happens; on a pipe, a plain line an event."
)
@click.option(
    "--duration",
    type=Duration(),
    metavar="TIME",
    help="End after this long, such as 90s or 5m, whatever the scenario says.",
)
@click.option(
    "--seed", type=int, metavar="N", help="Drives every random choice, in place of the scenario's seed."
)
@click.option("--name", help="The run's name; by default the file's.")
@click.option(
    "--out", metavar="DIR", help="The run directory; by default runs/NAME, with a number if it is taken."
)
@click.option(
    "--engine",
    type=click.Choice(["local"]),
    default="local",
    show_default=True,
    help="What places the nodes.",
)
@click.option(
    "--shaper",
    type=click.Choice(["auto", "tun", "netem"]),
    default="auto",
    show_default=True,
    help="What imposes the conditions.",
)
@click.option("--json", "as_json", is_flag=True, help="Follow it, with one JSON object an event on stdout.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def run(**given: object) -> None:
    """Run the deployment that the Python file PATH describes, and write a report of it.

    PATH has a function topology() and may have a function scenario(). The first Ctrl-C ends the run and
    still writes the report, the second one ends it at once.

    Exit codes: 0 done, 2 bad input or a machine that can't do it, 3 the emulation failed, 130 interrupted.
    """
    options = Options(**given)  # type: ignore[arg-type]  # click gives what is declared above
    emulations: list[Emulation] = []
    with told(debug=options.debug, run_dir=lambda: emulations[0].run_dir if emulations else None):
        emulations.append(_emulation(options))
        sys.exit(_run(emulations[0], options))


def _emulation(options: Options) -> Emulation:
    from wotemu.emulation import Emulation
    from wotemu.load import load

    with contextlib.redirect_stdout(sys.stderr) if options.as_json else contextlib.nullcontext():
        loaded = load(options.path)
    return Emulation(
        loaded,
        name=options.name,
        out=None if options.out is None else Path(options.out),
        duration=options.duration,
        seed=options.seed,
        shaper=options.shaper,
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
    )


def _view(emulation: Emulation, options: Options) -> View:
    from wotemu.cli.lines import JsonLines, Lines
    from wotemu.cli.view import View

    if options.as_json:
        return JsonLines(emulation)
    if not options.follow:
        return View(emulation)
    if not is_capable(sys.stdout):
        return Lines(emulation)
    from wotemu.cli.live import LiveView

    return LiveView(emulation)


def _run(emulation: Emulation, options: Options) -> int:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_show(emulation, _view(emulation, options)))


async def _show(emulation: Emulation, view: View) -> int:
    """Run and show it; the exit code."""
    from wotemu.cli.interrupts import Interrupts

    with view:
        view.begin()
        running = asyncio.create_task(emulation.run(view.event), name="run")
        interrupts = Interrupts(
            emulation.stop, lambda: _cancel(running), lambda text: view.say("run.interrupted", text)
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
    """Wait for the run's end, with the view drawn anew meanwhile; None if it was abandoned."""
    while not running.done():
        await asyncio.wait([running], timeout=view.tick_s)
        view.tick()
    if running.cancelled() and is_abandoned():
        return None
    return running.result()
