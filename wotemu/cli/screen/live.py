"""The live view on a terminal: events scroll by above a panel with the phase, the time and the counters."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from wotemu.cli.screen.base import SHOWN_AT_THE_END, RunView, drops_text, start_text
from wotemu.cli.screen.narrator import Weight, Words
from wotemu.cli.screen.terminal import harmless, without_echoed_control_keys
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.wording import duration
from wotemu_runtime.bus import steady_time

RATE_WINDOW_S = 5.0
"""Rates are means over so long."""
WIDTH = 100
"""The panel is no wider, so that its figures stay together."""

_MARKS: dict[Weight, tuple[str, str]] = {
    "noise": (" ", "dim"),
    "plain": ("·", ""),
    "good": ("●", "green"),
    "change": ("◆", "cyan"),
    "phase": ("▶", "bold magenta"),
    "warning": ("▲", "yellow"),
    "error": ("✖", "bold red"),
}
_ENDINGS = {
    "run.stopping": "stopping the nodes",
    "run.done": "closing the record",
    "report.started": "writing the report",
}
# Events that only change what the panel says.
_PANEL_ONLY = {*_ENDINGS, *SHOWN_AT_THE_END, "report.written"}


class LiveView(RunView):
    """Shows events above a panel that is redrawn."""

    tick_s: ClassVar[float] = 0.25

    def __init__(self, emulation: ReportedRun) -> None:
        """Prepare the panel; it is drawn once the view is entered."""
        super().__init__(emulation)
        self.console.soft_wrap = False
        self._phase = ""
        self._ending = ""
        self._totals: deque[tuple[float, int]] = deque()
        self._restore: Callable[[], None] | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=self.console,
            auto_refresh=False,  # events and ticks redraw it; a thread of rich's would draw in between
            transient=True,
            # Nothing else prints: what apps print goes to files.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._restore = without_echoed_control_keys(sys.stdin)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._may_be_unread():
            self._live.stop()
        if self._restore is not None:
            self._restore()

    def show_start(self) -> None:
        """Print what is about to run, above the panel."""
        self.console.print(Text.assemble(("wotemu ", "bold"), start_text(self.emulation)))

    def show(self, event: Event, words: Words) -> None:
        """Print an event above the panel, or change the panel alone."""
        if event.kind == "run.phase":
            self._phase = event.data["phase"]
        self._ending = _ENDINGS.get(event.kind, self._ending)
        if words.weight == "noise" or event.kind in _PANEL_ONLY:
            self.show_counters()
        else:
            self._live.update(self._panel())  # printing above it redraws it
            self.console.print(self._line(event, words))

    def _line(self, event: Event, words: Words) -> RenderableType:
        mark, style = _MARKS[words.weight]
        text = Text(
            harmless(words.text), style=style if words.weight in ("error", "phase", "warning") else ""
        )
        if words.detail:
            text.append(f"  {harmless(words.detail)}", style="not bold dim")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", width=9, style="dim")
        grid.add_column(width=1)
        grid.add_column()
        grid.add_row(self.clock.stamp(event), Text(mark, style=style), text)
        return grid

    def show_counters(self) -> None:
        """Redraw the panel."""
        self._live.update(self._panel(), refresh=True)

    def _panel(self) -> RenderableType:
        if self._ending:
            self._spinner.update(text=self._ending)
            return self._spinner
        rows = [self._deployment()] if self.clock.t0 is None else [self._time(), self._counts()]
        return Panel(
            Group(*rows),
            title=self._title(),
            title_align="left",
            subtitle="[dim]Ctrl-C ends the run and writes its report[/]",
            subtitle_align="right",
            box=box.ROUNDED,
            border_style="dim",
            width=min(WIDTH, self.console.width),
            padding=(0, 1),
        )

    def _title(self) -> Text:
        phases = [phase.name for phase in self.emulation.timeline.phases]
        title = Text(self.emulation.name, style="bold")
        if self.clock.t0 is None or len(phases) < 2:
            return title
        title.append(" ─ ", style="dim")
        current = phases.index(self._phase) if self._phase in phases else -1
        if (
            sum(map(len, phases)) + 3 * len(phases) + len(self.emulation.name)
            > min(WIDTH, self.console.width) - 12
        ):
            title.append(f"{harmless(self._phase)} ({current + 1}/{len(phases)})", style="bold magenta")
            return title
        for number, name in enumerate(phases):
            style = "bold magenta" if number == current else "dim"
            title.append(harmless(name), style=style)
            title.append(" › " if number < len(phases) - 1 else "", style="dim")
        return title

    def _deployment(self) -> RenderableType:
        ready, roles = len(self.narrator.ready), self.narrator.roles
        bar = ProgressBar(
            total=roles, completed=ready, pulse=not ready, complete_style="cyan", pulse_style="cyan"
        )
        return _bar(bar, f"{ready}/{roles} ready")

    def _time(self) -> RenderableType:
        whole_s = self.emulation.timeline.duration_s
        gone_s = min(max(0.0, self.clock.since_t0(steady_time()) or 0.0), whole_s)
        return _bar(
            ProgressBar(total=whole_s, completed=gone_s, complete_style="magenta", finished_style="magenta"),
            f"{_time_text(gone_s)} of {_time_text(whole_s)}, {_time_text(whole_s - gone_s)} left",
        )

    def _counts(self) -> RenderableType:
        counters, planned = self.emulation.counters, len(self.emulation.timeline.changes)
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim")
        grid.add_column(justify="right", min_width=8)
        grid.add_column()
        if any(replica.app is not None for replica in self.emulation.plan.replicas):
            failed = Text(
                f"{counters.failed_requests:,} failed", style="red" if counters.failed_requests else "dim"
            )
            grid.add_row(
                "interactions",
                f"{self._rate():,.1f}/s",
                Text.assemble(f"{counters.requests + counters.items:,} so far, ", failed),
            )
        grid.add_row("packets", f"{counters.packets:,}", f"delivered, {drops_text(self.emulation)}")
        if planned:
            p95 = counters.late_s(0.95)
            late = "" if p95 is None else f"p95 {duration(p95)} late"
            if counters.failed_changes:
                late += f", {counters.failed_changes} failed"
            grid.add_row("changes", f"{counters.changes}/{planned}", late)
        return grid

    def _rate(self) -> float:
        """Interactions a second, over the last `RATE_WINDOW_S`."""
        counters, now = self.emulation.counters, time.monotonic()
        self._totals.append((now, counters.requests + counters.items))
        while now - self._totals[0][0] > RATE_WINDOW_S:
            self._totals.popleft()
        (then, before), (_, total) = self._totals[0], self._totals[-1]
        # Records come in batches of up to a second: a rate over less jumps between 0 and peaks.
        return (total - before) / (now - then) if now - then > 1 else 0.0


def _bar(bar: ProgressBar, text: str) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    grid.add_row(bar, Text(text))
    return grid


def _time_text(seconds: float) -> str:
    """``42 s``, ``2:05 min``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60}:{whole % 60:02} min"
