"""The base of all views of a run, which is the quiet view: warnings, errors and the summary."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from rich.text import Text

from wotemu.cli.screen.clock import RunClock
from wotemu.cli.screen.narrator import Narrator, Words
from wotemu.cli.screen.terminal import console, harmless, mute, path_link
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.records import Event
from wotemu.units import Seconds
from wotemu.wording import counted, duration, shortened
from wotemu_report.objectives.outcome import Outcomes
from wotemu_runtime.bus import steady_time

SOURCE = "command line"
SHOWN_AT_THE_END = {"run.failed", "app.never_started", "run.certified"}
"""Events that are not shown as they happen: the final error message or the summary says the same."""


class RunView:
    """Shows a run. This one is quiet; subclasses override the `show` methods."""

    tick_s: ClassVar[float] = 5.0
    """Seconds between calls of `tick`."""
    is_plain: ClassVar[bool] = False
    """Whether there are no colours and links, whatever the environment asks for."""

    def __init__(self, emulation: ReportedRun) -> None:
        """Prepare to show this emulation; times count from now until T0 is known."""
        self.emulation = emulation
        self.clock = RunClock(steady_time())
        self.narrator = Narrator(emulation.plan)
        self.console = console(plain=self.is_plain)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.emulation!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def event(self, event: Event) -> None:
        """Take an event of the run."""
        self.clock.see(event)
        with self._may_be_unread():
            self.show(event, self.narrator.words(event))

    def tick(self) -> None:
        """Show the counters again; called every `tick_s`."""
        with self._may_be_unread():
            self.show_counters()

    def say(self, kind: str, message: str, **data: Any) -> None:
        """Show an event of the command line itself, which is not recorded."""
        self.event(Event(steady_time(), kind, SOURCE, message, data))

    def page_served(self, address: str) -> None:
        """Show where the run's growing page is; "" where it can't be served."""
        if address:
            self.say("page.served", f"live report: {address}", address=address)
        else:
            self.say(
                "run.warning",
                "the live report is not served: `wotemu report RUN --watch` says why",
            )

    def begin(self) -> None:
        """Show what is about to run, and the linter's warnings."""
        with self._may_be_unread():
            self.show_start()
        for warning in self.emulation.warnings:
            self.say("run.warning", warning)

    def end(self, result: Result) -> None:
        """Show the result."""
        with self._may_be_unread():
            self.show_result(result)

    @contextlib.contextmanager
    def _may_be_unread(self) -> Any:
        """Ignore a closed pipe or terminal from now on: the run goes on."""
        try:
            yield
        except OSError:
            mute(sys.stdout)  # else each later print, and the interpreter's last flush, would raise again

    def show(self, event: Event, words: Words) -> None:
        """Show one event."""
        if event.kind in ("page.served", "port.published"):
            self.console.print(str(words))
        if words.weight in ("warning", "error") and event.kind not in SHOWN_AT_THE_END:
            title = "Warning" if words.weight == "warning" else "Error"
            style = "yellow" if words.weight == "warning" else "red"
            line = f" at {self.clock.stamp(event)} s: {words}" if self.clock.t0 else f": {words}"
            self.console.print(Text.assemble((title, style), harmless(line)))

    def show_counters(self) -> None:
        """Show the counters."""

    def show_start(self) -> None:
        """Show what is about to run."""
        self.console.print(f"Running {start_text(self.emulation)}.")

    def show_result(self, result: Result) -> None:
        """Show the summary."""
        for line in summary(self.emulation, result):
            self.console.print(line)


def start_text(emulation: ReportedRun) -> str:
    """``quickstart: 5 nodes on 2 networks for 60s, seed 0``."""
    plan = emulation.plan
    nodes, networks = counted(len(plan.replicas), "node"), counted(len(plan.networks), "network")
    return (
        f"{emulation.name}: {nodes} on {networks} for {Seconds(plan.timeline.duration_s)}, seed {plan.seed}"
    )


_STATUS_STYLES = {"done": "bold green", "interrupted": "bold yellow", "failed": "bold red"}


def summary(emulation: ReportedRun, result: Result) -> list[Text]:
    """How a run went: a line for each kind of fact that there is."""
    facts = {
        "unanswered": ", ".join(emulation.counters.in_vain),
        "interactions": _interactions(emulation),
        "packets": _packets(emulation),
        "changes": _changes(emulation),
        "fidelity": str(result.certificate or ""),
        "losses": losses_text(result.losses),
    }
    # Facts without a text are left out: a run of plain commands has no interactions to speak of.
    lines = [Text.assemble((result.status, _STATUS_STYLES[result.status]), f"  {start_text(emulation)}")]
    lines += [
        Text.assemble((f"  {label:<14}", "dim"), harmless(text)) for label, text in facts.items() if text
    ]
    lines += objective_lines(result.objectives)
    if result.report is not None:
        lines.append(Text.assemble((f"  {'report':<14}", "dim"), path_link(result.report)))
    return lines


_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "bold red")}


def objective_lines(outcomes: Outcomes) -> list[Text]:
    """A line for each objective: a mark, what it is about, its figure and its limit; none without any."""
    if not outcomes.each:
        return []
    lines = [Text.assemble((f"  {'objectives':<14}", "dim"), harmless(outcomes.summary))]
    for outcome in outcomes:
        mark, style = _MARKS.get(outcome.state, ("?", "bold yellow"))
        lines.append(Text.assemble("    ", (mark, style), f" {harmless(outcome.sentence)}"))
    cautions = [Text.assemble("    ", ("!", "bold red"), f" {harmless(each)}") for each in outcomes.cautions]
    return lines + cautions


def _interactions(emulation: ReportedRun) -> str:
    counters = emulation.counters
    others = counters.unmeasured_requests
    served = f"{counted(others, 'request')} of clients that are not measured" if others else ""
    if not counters.requests and not counters.items and not counters.cancelled_requests:
        return served or ("none" if any(replica.app for replica in emulation.plan.replicas) else "")
    failed = f", {counters.failed_requests:,} failed" if counters.requests else ""
    given_up = f", {counters.cancelled_requests:,} cancelled" if counters.cancelled_requests else ""
    parts = [
        f"{counted(counters.requests, 'request')}{failed}{given_up}",
        counted(counters.items, "notification"),
        served,
    ]
    return "; ".join(part for part in parts if part)


def _packets(emulation: ReportedRun) -> str:
    counters = emulation.counters
    return f"{counters.packets:,} delivered; {drops_text(emulation)}"


def drops_text(emulation: ReportedRun) -> str:
    """``12 dropped (3 loss, 9 cut)``."""
    dropped = emulation.counters.dropped
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in dropped.items() if number)
    return f"{dropped.total():,} dropped" + (f" ({reasons})" if reasons else "")


def _changes(emulation: ReportedRun) -> str:
    planned, counters = len(emulation.timeline.changes), emulation.counters
    if not planned:
        return ""
    failed = f", {counters.failed_changes} failed" if counters.failed_changes else ""
    p50, p95 = counters.late_s(0.5), counters.late_s(0.95)
    late = "" if p50 is None or p95 is None else f"; late p50 {duration(p50)}, p95 {duration(p95)}"
    return f"{counters.changes} of {planned} took hold{failed}{late}"


def losses_text(losses: Mapping[tuple[str, str], int]) -> str:
    """Each kind of loss once, with its number and the roles that lost: of hundreds, the first few."""
    by_kind: dict[str, Counter[str]] = {}
    for (source, what), number in sorted(losses.items()):
        by_kind.setdefault(what, Counter())[source] += number
    parts = (f"{lost.total():,} {what} ({shortened(list(lost))})" for what, lost in by_kind.items())
    return ", ".join(parts) or "none"
