"""A role: its session on the bus, its records, its readiness, T0 and its scheduled changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from wotemu.errors import HostError
from wotemu.records import Event
from wotemu.scenario.timeline import Change, Timeline
from wotemu_runtime.bus import Publisher
from wotemu_runtime.roles.address_stream import RoleAddress
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.change_schedule import ChangeSchedule
from wotemu_runtime.roles.host_report import shares_coordinators_host
from wotemu_runtime.roles.session import BusSession, bus_session

COMMAND_MAX_AGE_S = 10.0
"""A command for a node that comes later is not run any more."""


class Role:
    """What one role publishes and is commanded. All its times are on the bus's clock.

    Args:
        assignment: What the role serves.
        session: The process's session on the bus; roles of one process may share it.
    """

    def __init__(self, assignment: Assignment, session: BusSession) -> None:
        self.assignment = assignment
        self.session = session
        self._takes_part_in = frozenset(assignment.data.get("takes_part_in", ()))
        """Kinds of changes that gateways apply and of which this role does what is to be done in its node."""
        self.clock = session.clock
        self.now = session.clock.now
        self.t0: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        """Resolves to T0, in seconds since the epoch, once the coordinator has set it."""
        self.stopping = asyncio.Event()
        """Set once the coordinator has commanded this role to stop."""
        self.commands_to_run: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        """Commands that somebody wants to run in this role's node; see `agent.node_commands`."""
        self.publisher = Publisher(session.client, session.streams, assignment.name, self.now)
        self.changes = ChangeSchedule(assignment.name, self.clock, self.t0, self.publisher.put, self.event)

    def __repr__(self) -> str:
        return f"Role({self.assignment.name!r}, t0={self.t0.done()}, stopping={self.stopping.is_set()})"

    def event(self, kind: str, message: str, /, **data: Any) -> None:
        """Publish an event of now."""
        self.publisher.put(Event(self.now(), kind, self.assignment.name, message, data))

    def ready(self, **data: Any) -> None:
        """Report that this role has all that it needs for T0."""
        offset = self.clock.offset
        clock = {"offset_s": offset.offset_s, "offset_error_s": offset.error_s}
        text = f"{self.assignment.name} is ready"
        self.event("role.ready", text, host=self.session.host, **clock, **data)

    def unable(self, error: HostError) -> None:
        """Report that this role's machine lacks what the role needs, which ends the run."""
        self.event("role.unable", error.message, where=error.where, hint=error.hint)

    async def announce_address(self, network: str, address: str) -> None:
        """Publish this role's address on a network."""
        own = RoleAddress(self.assignment.name, network, address, self.session.host)
        await self.session.addresses.announce(own)

    async def handle(self, command: dict[str, Any]) -> None:
        """Carry out a command of the coordinator; see `CommandHandler`."""
        name = self.assignment.name
        match command["command"]:
            case "timeline":
                self.changes.update(filter(self._has_part, Timeline.from_dict(command["timeline"]).changes))
            case "changes":
                changes = (Change(**change) for change in command["changes"])
                self.changes.update(filter(self._has_part, changes), discard=command["drop"])
            case "t0" if not self.t0.done():
                self.t0.set_result(command["t0"])
            case "stop" if not name.startswith(tuple(command.get("but", ()))):
                self.stopping.set()
            # Who reads the stream again, after a restart, must not run again what was run long ago.
            case "exec" | "capture" if (
                command["role"] == name and self.now() - command["t"] < COMMAND_MAX_AGE_S
            ):
                self.commands_to_run.put_nowait(command)
            case "mute":
                # The run is over, and this role goes on: nobody reads its records any more.
                await self.publisher.mute(
                    lambda totals: self._account("role.muted", "goes on unrecorded", totals)
                )

    def _has_part(self, change: Change) -> bool:
        """Whether this role applies a change, or takes part in it."""
        name = self.assignment.name
        return change.applier == name or (
            change.action in self._takes_part_in and f"agent:{change.node}" == name
        )

    def done(self, records: Mapping[str, int]) -> Event:
        """The role's last event; `records` is the number of records that it published, by table."""
        return self._account("role.done", "has ended", records)

    def _account(self, kind: str, text: str, records: Mapping[str, int]) -> Event:
        name = self.assignment.name
        data = {"records": dict(records), "clock_error_s": self.clock.worst_error_s}
        return Event(self.now(), kind, name, f"{name} {text}", data)


@asynccontextmanager
async def on_bus(assignment: Assignment) -> AsyncIterator[tuple[Role, asyncio.TaskGroup]]:
    """A role with a session of its own, running until the block is left.

    Yields:
        The role, and a group for its own tasks.
    """
    async with bus_session(assignment.bus, assignment.stack) as session:
        role = Role(assignment, session)
        async with running(role) as group:
            yield role, group


@asynccontextmanager
async def running(*roles: Role, reports_host: bool = True) -> AsyncIterator[asyncio.TaskGroup]:
    """Publish and handle commands for roles that share one session, until the block is left.

    The session's clock is kept, and the first role reports the machine's load for all. Both end once every
    role is stopping; each role's publisher then sends what it has left and its last event.

    Args:
        roles: The roles.
        reports_host: Whether the first may report the machine's load.

    Yields:
        A group for the roles' own tasks.
    """
    session = roles[0].session
    began_s = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as publishing:
        for role in roles:
            publishing.create_task(role.publisher.run(began_s), name=f"publisher of {role.assignment.name}")
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(session.commands.run(roles), name="commands")
                upkeep = [group.create_task(session.keep_time(lambda: _recompute(roles)), name="clock")]
                if reports_host and not shares_coordinators_host():
                    report = session.report_host(roles[0].assignment.name, roles[0].publisher.put)
                    upkeep.append(group.create_task(report, name="host"))
                reading.add_done_callback(lambda _: [task.cancel() for task in upkeep])
                yield group
        finally:
            for role in roles:
                role.publisher.close(role.done)


def _recompute(roles: tuple[Role, ...]) -> None:
    for role in roles:
        role.changes.recompute()


__all__ = ["Role", "on_bus", "running"]
