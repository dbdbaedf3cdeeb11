"""What a run's events say about its roles, its guards and its losses so far. Pure."""

from __future__ import annotations

from collections import Counter

from wotemu.errors import AppStartError, HostError, WotemuError
from wotemu.records import Event
from wotemu_runtime.planning.models import Plan


class RunState:
    """Takes every event of a run, in order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.ready: set[str] = set()
        self.muted: set[str] = set()
        """Roles that go on unrecorded."""
        self.shapers: set[str] = set()
        self.phases: set[str] = set()
        self.guards: set[int] = set()
        """Those that have fired or been given up."""
        self.losses: Counter[tuple[str, str]] = Counter()
        """Records that never came: by who lost them, and what."""

    def __repr__(self) -> str:
        return f"RunState({len(self.ready)} roles ready, {self.losses.total()} records lost)"

    def take(self, event: Event) -> WotemuError | None:
        """Take one; the error where it says that the run can't go on."""
        match event.kind:
            case "role.ready":
                self.ready.add(event.source)
                self.shapers.update({event.data["shaper"]} if "shaper" in event.data else ())
            case "role.muted":
                self.muted.add(event.source)
            case "records.lost":
                self.losses[event.source, event.data["what"]] += event.data["count"]
            case "interface.dropped":
                self.losses[event.source, "frames before the gateway took them"] += event.data["count"]
            case "gateway.moved" if event.data["lost"]:
                self.losses[event.source, "packets under way when a node moved"] += event.data["lost"]
            case "run.phase":
                self.phases.add(event.data["phase"])
            case "guard.fired" | "guard.skipped":
                self.guards.add(event.data["id"])
            case "role.unable":
                return HostError(event.message, where=event.data["where"], hint=event.data["hint"])
            case "app.never_started":
                return self._never_started(event)
        return None

    def _never_started(self, event: Event) -> AppStartError:
        node = self._plan.replica(event.source.partition(":")[2]).node
        where = f"Node {node!r}" + (f", {event.data['where']}" if event.data["where"] else "")
        hint = event.data["hint"] or "mend the app, or its parameters; its whole output is in the logs"
        return AppStartError(event.data["error"] or "it ended at once", where=where, hint=hint)
