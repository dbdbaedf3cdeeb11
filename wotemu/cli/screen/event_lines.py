"""Events of a run that another process drives, a line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wotemu.cli.screen.clock import RunClock
from wotemu.cli.screen.terminal import harmless
from wotemu.records import Event
from wotemu.records.event_kinds import EVENT_KINDS, Severity, severity_of

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: dict[Severity, str] = {"routine": "dim", "info": "", "warning": "yellow", "error": "red"}


class EventLines:
    """Prints events; times count from the first event until T0 is known."""

    def __init__(self, clock: RunClock, out: Console) -> None:
        """Print on `out`, with times by `clock`."""
        self.clock = clock
        self.out = out

    def __repr__(self) -> str:
        return f"EventLines({self.clock!r})"

    def take(self, event: Event) -> None:
        """Learn T0 from an event."""
        self.clock.see(event)

    def show(self, event: Event, *, as_json: bool) -> None:
        """Print an event."""
        print(self.json_line(event), flush=True) if as_json else self._print(event)

    def json_line(self, event: Event) -> str:
        """As ``wotemu run --json`` prints it: its fields, and ``at``, seconds after T0 (null before)."""
        at_s = self.clock.since_t0(event.t)
        content = {
            "t": event.t,
            "at": None if at_s is None else round(at_s, 6),
            "kind": event.kind,
            "source": event.source,
            "message": event.message,
            "data": event.data,
        }
        return json.dumps(content, default=str)

    def _print(self, event: Event) -> None:
        from rich.text import Text

        severity = severity_of(event.kind) if event.kind in EVENT_KINDS else "info"
        line = f"{self.clock.stamp(event):>9} {event.kind:<16} {event.source:<20} {event.message}"
        self.out.print(Text(harmless(line).rstrip(), style=_STYLES[severity]))
        self.out.file.flush()
