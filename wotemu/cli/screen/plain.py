"""Views of a run for pipes and files: one plain line, or one JSON object, for each event."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from wotemu.cli.screen.base import RunView, start_text
from wotemu.cli.screen.narrator import Words
from wotemu.cli.screen.terminal import harmless
from wotemu.emulation.reported_run import Result
from wotemu.records import Event


class Lines(RunView):
    """One plain line for each event: seconds after T0, kind, source, message."""

    is_plain: ClassVar[bool] = True

    def show(self, event: Event, words: Words) -> None:
        """Print one event."""
        line = f"{self.clock.stamp(event):>9} {event.kind:<16} {event.source:<20} {words}"
        print(harmless(line).rstrip(), flush=True)

    def show_start(self) -> None:
        """Print what is about to run, as an event."""
        self.say("run.started", start_text(self.emulation))

    def show_counters(self) -> None:
        """Print the counters, as an event."""
        if self.clock.is_running:
            self.say(
                "run.counters",
                counters_text(self.emulation.counters.to_dict()),
                **self.emulation.counters.to_dict(),
            )


class JsonLines(Lines):
    """One JSON object for each event: its fields, and ``at``, the seconds after T0 (null before)."""

    def show(self, event: Event, words: Words) -> None:
        """Print one event."""
        at_s = self.clock.since_t0(event.t)
        content = {
            "t": event.t,
            "at": None if at_s is None else round(at_s, 6),
            "kind": event.kind,
            "source": event.source,
            "message": str(words),
            "data": event.data,
        }
        print(json.dumps(content, default=str), flush=True)

    def show_result(self, result: Result) -> None:
        """Print the result, as an event."""
        self.say(
            "run.summary",
            f"the run is {result.status}",
            status=result.status,
            error=None if result.error is None else str(result.error),
            run_dir=str(result.run_dir),
            report=None if result.report is None else str(result.report),
            exit_code=result.exit_code,
            objectives=result.objectives.to_dict()["objectives"],
            verdict=None if result.certificate is None else result.certificate.verdict,
            **self.emulation.counters.to_dict(),
        )


def counters_text(data: dict[str, Any]) -> str:
    """Counters in one line of ``name=value``."""
    dropped = " ".join(f"{reason}={number}" for reason, number in data["dropped"].items())
    late = "-" if data["late_p95_s"] is None else f"{data['late_p95_s'] * 1e3:.1f}ms"
    return (
        f"requests={data['requests']} failed={data['failed_requests']}"
        f" cancelled={data['cancelled_requests']} items={data['items']}"
        f" packets={data['packets']} {dropped} changes={data['changes']} late_p95={late}"
    )
