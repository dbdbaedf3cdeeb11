"""Times of events for a person: seconds since the command started, and from T0 on seconds after T0."""

from __future__ import annotations

from wotemu.records import Event


class RunClock:
    """Learns T0 from the events of a run."""

    def __init__(self, started: float) -> None:
        """Count from `started`, in seconds since the epoch, until T0 is known."""
        self.started = started
        self.t0: float | None = None
        self.is_running = False
        """Whether the run is between T0 and its end."""

    def see(self, event: Event) -> None:
        """Take an event: T0 and the end are events."""
        if event.kind in ("run.t0", "run.resumed") and event.data["t0"] is not None:
            self.t0 = event.data["t0"]
            self.is_running = True
        elif event.kind == "run.stopping":
            self.is_running = False

    def since_t0(self, t: float) -> float | None:
        """Seconds after T0; None before it is known."""
        return None if self.t0 is None else t - self.t0

    def stamp(self, event: Event) -> str:
        """``+12.345`` after T0; ``0.123`` after the start."""
        at_s = self.since_t0(event.t)
        if at_s is None:
            return f"{event.t - self.started:.3f}"
        return f"{max(0.0, at_s):+.3f}"  # T0 is announced a moment before it comes
