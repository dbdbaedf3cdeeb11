"""``wotemu logs``: what a node of a run printed, with times."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.completing import EmulationOrRunName, NodeName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option
from wotemu.errors import InputError
from wotemu.suggestions import did_you_mean

if TYPE_CHECKING:
    from wotemu_runtime.control.client import ControlClient
    from wotemu_runtime.recording.timed_log import TimedLog

POLL_S = 0.25
"""A followed log is read so often: it is a file that another process writes."""


@click.command(short_help="Show what a node printed, with times.")
@click.argument("name", type=EmulationOrRunName())
@click.argument("node", type=NodeName())
@click.option("--follow", is_flag=True, help="Go on as it prints more, until the run is over.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each line.")
@debug_option
def logs(name: str, node: str, follow: bool, as_json: bool, debug: bool) -> None:
    """Show what a NODE of the run NAME printed; of a run that is over, as its run directory has it.

    \b
    wotemu logs field phone-2 --follow
    wotemu logs field phone                 # all replicas

    Times are seconds after T0. Lines come within about a second. Logs are on the machine whose process drives
    the run.
    """
    with reporting_errors(debug=debug):
        asyncio.run(_show(name, node, follow=follow, as_json=as_json))


async def _show(name: str, node: str, *, follow: bool, as_json: bool) -> None:
    from wotemu.cli.running import recorded, running
    from wotemu_runtime.recording.timed_log import TimedLog

    found = recorded(name)
    client = None if found is not None else running(name)
    run_dir = found
    known: list[str] = []
    if client is not None:
        run_dir = Path((await client.status()).run_dir)
        known = list((await client.conditions()).apps)
    assert run_dir is not None  # noqa: S101  # one of both is there
    if client is None:
        known = _recorded_nodes(run_dir)
    folder = run_dir / "logs"
    names = replicas_of(node, [*known, *sorted(path.stem for path in folder.glob("*.log"))])
    printer = Printer([(each, TimedLog(folder / f"{each}.log")) for each in names], run_dir, as_json=as_json)
    if client is None or not follow:
        printer.print_new(is_over=client is None)
        return
    await _follow(client, run_dir, printer)


def _recorded_nodes(run_dir: Path) -> list[str]:
    """The replicas of a run that is over, also silent ones; none if its manifest is damaged."""
    from wotemu.recorded_run import RecordedRun

    with contextlib.suppress(InputError):
        return [replica.name for replica in RecordedRun(run_dir).manifest.replicas if replica.kind == "node"]
    return []


async def _follow(client: ControlClient, run_dir: Path, printer: Printer) -> None:
    from wotemu.cli.running import until_over

    over = asyncio.create_task(until_over(client, run_dir))
    while not over.done():
        printer.print_new()
        await asyncio.wait([over], timeout=POLL_S)
    printer.print_new(is_over=True)
    over.result()


def replicas_of(node: str, known: Iterable[str]) -> list[str]:
    """The replicas that a name means, in order: that one, or all of a node.

    Raises:
        InputError: There is none.
    """
    names = list(dict.fromkeys(known))
    pattern = re.compile(rf"{re.escape(node)}-(\d+)")
    if node in names:
        return [node]
    found = [each for each in names if pattern.fullmatch(each)]
    if not found:
        shown = [each for each in names if not each.startswith("_")]
        hint = did_you_mean(node, shown) or "nothing has been printed yet"
        raise InputError(f"there is no log of a node {node!r}", hint=hint)
    return sorted(found, key=lambda each: int(each.rpartition("-")[2]))


def _lines(name: str, log: TimedLog, *, is_over: bool) -> Iterator[tuple[float | None, str, str]]:
    """What was added to a log: each line with its time and node."""
    while new := log.new_lines(is_over=is_over):
        for t, line in new:
            yield t, name, line


class Printer:
    """Prints the lines of logs, those of several nodes in the order of their times."""

    def __init__(self, logs: list[tuple[str, TimedLog]], run_dir: Path, *, as_json: bool) -> None:
        """Take logs with their nodes' names, and the run's directory, which has T0."""
        self._logs = logs
        self._run_dir = run_dir
        self._as_json = as_json
        self._width = max(len(name) for name, _ in logs)
        self._t0: float | None = None

    def __repr__(self) -> str:
        return f"Printer({self._logs!r})"

    def print_new(self, *, is_over: bool = False) -> None:
        """Print what was added since the last time."""
        each_log = (_lines(name, log, is_over=is_over) for name, log in self._logs)
        for t, name, line in heapq.merge(*each_log, key=lambda each: each[0] or 0.0):
            print(self._text(t, name, line), flush=not is_over)

    def _text(self, t: float | None, name: str, line: str) -> str:
        from wotemu.cli.screen.terminal import harmless

        at_s = None if t is None or self.t0 is None else t - self.t0
        if self._as_json:
            at_s = None if at_s is None else round(at_s, 6)
            return json.dumps({"t": t, "at": at_s, "node": name, "line": line})
        stamp = "-" if at_s is None else f"{at_s:+.3f}"
        node = f"{name:<{self._width}} " if len(self._logs) > 1 else ""
        return harmless(f"{stamp:>9} {node}{line}")

    @property
    def t0(self) -> float | None:
        """T0, from the run's events as soon as it is there."""
        if self._t0 is None:
            from wotemu.recorded_run import RecordedRun

            events = RecordedRun(self._run_dir).events("run.t0", "run.resumed")
            found = (event.data["t0"] for event in events if event.data["t0"] is not None)
            self._t0 = next(found, None)
        return self._t0
