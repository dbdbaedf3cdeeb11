"""The state of a run by its events: phases, guards, losses and roles so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wotemu.errors import AppStartError, HostError, WotemuError
from wotemu.records import Event, Published, Record
from wotemu_runtime.coordination.run_control import RunControl
from wotemu_runtime.planning.models import Plan


class RunState:
    """Takes every event of a run in order, also those that an earlier coordinator stored.

    Wakes `control` with each event, and fails the run where one says that it can't go on.
    """

    def __init__(self, plan: Plan, control: RunControl) -> None:
        self._plan = plan
        self.control = control
        self.ended: set[str] = set()
        """Roles whose process ended, as the engine reports."""
        self.not_running: dict[str, str] = {}
        """Why roles' containers do not run, as the engine reports."""
        self.muted: set[str] = set()
        """Roles that go on unrecorded."""
        self.phases: set[str] = set()
        """Phases that have begun."""
        self.guards: set[int] = set()
        """Guards that have fired or been skipped."""
        self.live_changes = 0
        """How many changes were made by hand."""
        self.published: dict[int, Published] = {}
        """The latest counts of each published port."""
        self.losses: Counter[tuple[str, str]] = Counter()
        """Records that never came, by the role that lost them and what they were."""

    def __repr__(self) -> str:
        return f"RunState({len(self.over)} roles over, {self.losses.total()} records lost)"

    @property
    def over(self) -> set[str]:
        """Roles from which nothing more comes."""
        return self.ended | self.muted

    def take_running(self, role: str, why: str) -> None:
        """Take into account why a role's container does not run; "" once it does."""
        if why:
            self.not_running[role] = why
        else:
            self.not_running.pop(role, None)

    tables = frozenset({Event.TABLE, Published.TABLE})
    """See `Sink`."""

    def take(self, records: Iterable[Record]) -> None:
        """Take the events and the counts of published ports among the records into account."""
        for record in records:
            if isinstance(record, Event):
                self._take(record)
            elif isinstance(record, Published):
                self.published[record.port] = record

    def _take(self, event: Event) -> None:
        if (failure := self._failure(event)) is not None:
            self.control.fail(failure)
        match event.kind:
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
            case "control.change":
                self.live_changes += 1
        self.control.news()

    def _failure(self, event: Event) -> WotemuError | None:
        match event.kind:
            case "role.unable":
                return HostError(event.message, where=event.data["where"], hint=event.data["hint"])
            case "app.never_started":
                return self._never_started(event)
        return None

    def _never_started(self, event: Event) -> AppStartError:
        node = self._plan.replica(event.source.partition(":")[2]).node
        where = f"Node {node!r}" + (f", {event.data['where']}" if event.data["where"] else "")
        hint = event.data["hint"] or "correct the app, or its parameters; its whole output is in the logs"
        return AppStartError(event.data["error"] or "it ended at once", where=where, hint=hint)
