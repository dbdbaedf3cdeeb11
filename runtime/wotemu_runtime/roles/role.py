"""What all roles have in common: the bus, its clock, readiness, T0 and the timeline."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from wotemu.errors import HostError
from wotemu.records import Change as ChangeRecord
from wotemu.records import Event
from wotemu.scenario.timeline import Change, Timeline
from wotemu_runtime.bus import BusClock, Consumer, Publisher, Streams, connect
from wotemu_runtime.bus.codec import unpack
from wotemu_runtime.bus.consumer import MAX_ENTRIES
from wotemu_runtime.roles.addresses import Member, OnMember, announce, follow
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.host_report import HostClaim, host_name, is_told_its_host, report_host
from wotemu_runtime.roles.pending_changes import Agenda

Apply = Callable[[Change], Awaitable[None] | None]


class Role:
    """One role's hold on the bus. Times that it reads and gives are the bus's clock."""

    def __init__(self, assignment: Assignment, client: Redis, clock: BusClock) -> None:
        self.assignment = assignment
        self.clock = clock
        self.now = clock.now
        self.t0: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.stopping = asyncio.Event()
        self._agenda = Agenda()
        self._agenda_changed = asyncio.Event()
        self._commands: set[str] = set()
        self._told = asyncio.Event()
        self._client = client
        self._streams = Streams(assignment.stack)
        self.publisher = Publisher(client, self._streams, assignment.name, self.now)

    def __repr__(self) -> str:
        return f"Role({self.assignment.name!r}, t0={self.t0.done()}, stopping={self.stopping.is_set()})"

    def event(self, kind: str, message: str, **data: Any) -> None:
        """Tell that something happened, now."""
        self.publisher.put(Event(self.now(), kind, self.assignment.name, message, data))

    def ready(self, **data: Any) -> None:
        """Tell that this role has all that it needs for T0."""
        offset = self.clock.offset
        clock = {"offset_s": offset.offset_s, "offset_error_s": offset.error_s}
        self.event("role.ready", f"{self.assignment.name} is ready", host=self.host, **clock, **data)

    def unable(self, error: HostError) -> None:
        """Tell that this role's machine can't do what is asked of it: the run can't be."""
        self.event("role.unable", error.message, where=error.where, hint=error.hint)

    @property
    def host(self) -> str:
        """The machine that this role runs on."""
        return host_name()

    async def announce(self, network: str, address: str) -> None:
        """Tell all others where this role is on a network."""
        member = Member(self.assignment.name, network, address, self.host)
        await announce(self._client, self._streams, member)

    async def follow_members(self, on_member: OnMember) -> None:
        """Hear where every role is, and of each that moves, until cancelled."""
        await follow(self._client, self._streams, on_member)

    async def keep_time(self) -> None:
        """Compare this machine's clock with the bus's from time to time, until cancelled."""
        await self.clock.follow(self._client, self._agenda_changed.set)

    async def report_host(self) -> None:
        """Tell this machine's load where no other role does, until cancelled."""
        claim = HostClaim(self._client, self._streams.host(self.host), self.assignment.name)
        await report_host(self.host, self.assignment.name, claim, self.clock, self.publisher.put)

    async def listen(self) -> None:
        """Take the coordinator's commands until told to stop."""
        consumer = Consumer(self._client, [self._streams.commands])
        async for entries in consumer.batches():
            for _, _, fields in entries:
                await self._take(unpack(fields))
            if not consumer.is_away and len(entries) < MAX_ENTRIES:
                self._told.set()
            if self.stopping.is_set():
                return

    async def _take(self, command: dict[str, Any]) -> None:
        """Take a command, unless it came before: one that was not confirmed is sent again."""
        if command["id"] in self._commands:
            return
        self._commands.add(command["id"])
        self._command(command)
        if command["command"] == "mute":
            await self._mute()

    def _command(self, command: dict[str, Any]) -> None:
        match command["command"]:
            case "timeline":
                self._agenda.put(Timeline.from_dict(command["timeline"]).for_applier(self.assignment.name))
                self._agenda_changed.set()
            case "changes":
                changes = (Change(**change) for change in command["changes"])
                self._agenda.put(change for change in changes if change.applier == self.assignment.name)
                self._agenda.drop(command["drop"])
                self._agenda_changed.set()
            case "t0" if not self.t0.done():
                self.t0.set_result(command["t0"])
            case "stop" if not ("but" in command and self.assignment.name.startswith(command["but"])):
                self.stopping.set()

    async def _mute(self) -> None:
        """The run is over and this role goes on: nobody takes its records any more."""
        await self.publisher.mute(lambda records: self._account("role.muted", "goes on unrecorded", records))

    def done(self, records: Mapping[str, int]) -> Event:
        """A role's last event; `records` is how many of each table it published."""
        return self._account("role.done", "has ended", records)

    def _account(self, kind: str, text: str, records: Mapping[str, int]) -> Event:
        name = self.assignment.name
        data = {"records": dict(records), "clock_error_s": self.clock.worst_error_s}
        return Event(self.now(), kind, name, f"{name} {text}", data)

    async def until(self, t: float) -> None:
        """Sleep until `t` on the bus's clock."""
        while (left_s := self.clock.left_s(t)) > 0:  # noqa: ASYNC110  # a loop's timers may be a millisecond early
            await asyncio.sleep(left_s)

    async def informed(self) -> None:
        """Return once this role has heard all commands that were given before it came."""
        await self._told.wait()

    def missed(self) -> list[Change]:
        """What was due before this role came, where it takes another's place; to be taken all at once.

        They are this role's to answer when they have taken hold: `took_over`. A role that may come late waits
        until it is `informed` first.
        """
        changes: list[Change] = []
        while self.t0.done() and (change := self._agenda.next) is not None:
            if self.t0.result() + change.at_s > self.now():
                break
            self._agenda.pop()
            changes.append(change)
        return changes

    def took_over(self, changes: list[Change]) -> None:
        """Answer what `missed` gave. The coordinator has those that were answered before already."""
        if not changes:
            return
        t0, now = self.t0.result(), self.now()
        for change in changes:
            self._record(change, t0 + change.at_s, now, "")
        text = f"{self.assignment.name} took the {len(changes)} changes that were due before it came"
        self.event("role.took_over", text, changes=len(changes))

    async def follow_timeline(self, apply: Apply) -> None:
        """Apply this role's changes, each when it is due, and answer each with when it took hold.

        Goes on until cancelled, since guards may add changes at any time.
        """
        t0 = await self.t0
        while True:
            change = await self._next_due(t0)
            due = t0 + change.at_s
            error = ""
            try:
                waited = apply(change)
                if waited is not None:
                    await waited
            except Exception as failure:  # whatever it is, packets go on and the change is answered
                error = f"{type(failure).__name__}: {failure}"
            self._answer(change, due, self.now(), error)

    async def _next_due(self, t0: float) -> Change:
        """The next change, once it is due."""
        while True:
            self._agenda_changed.clear()
            change = self._agenda.next
            left_s = None if change is None else self.clock.left_s(t0 + change.at_s)
            if change is not None and left_s is not None and left_s <= 0:
                self._agenda.pop()
                return change
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._agenda_changed.wait()

    def _answer(self, change: Change, due: float, applied: float, error: str) -> None:
        self._record(change, due, applied, error)
        what = f"{change.action} of {change.target}"
        if error:
            self.event("change.failed", f"{what}: {error}", id=change.id)
        else:
            self.event("change.applied", f"{what}: {_brief(change)}", id=change.id, late_s=applied - due)

    def _record(self, change: Change, due: float, applied: float, error: str) -> None:
        before, after = json.dumps(change.before), json.dumps(change.after)
        self.publisher.put(
            ChangeRecord(
                change.id, due, applied, change.action, change.target, before, after, not error, error
            )
        )


def _brief(change: Change) -> str:
    """What is different afterwards, in a few words."""
    if isinstance(change.after, dict) and isinstance(change.before, dict):
        changed = {
            key: change.after.get(key)
            for key in {**change.before, **change.after}
            if change.before.get(key) != change.after.get(key)
        }
        return ", ".join(f"{key} {value}" for key, value in changed.items()) or "as before"
    return json.dumps(change.after)


@asynccontextmanager
async def on_bus(assignment: Assignment) -> AsyncIterator[tuple[Role, asyncio.TaskGroup]]:
    """A role that publishes and listens until the block is left, with a group for its own tasks."""
    client = await connect(assignment.bus)
    try:
        role = Role(assignment, client, await BusClock.measured(client, assignment.bus.anchor_s))
        async with taking_part(role) as group:
            yield role, group
    finally:
        await client.aclose()


@asynccontextmanager
async def taking_part(role: Role) -> AsyncIterator[asyncio.TaskGroup]:
    """Have a role publish and listen until the block is left; the group is for its own tasks."""
    async with asyncio.TaskGroup() as publishing:
        publishing.create_task(role.publisher.run(), name="publisher")
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(role.listen(), name="commands")
                side = [group.create_task(role.keep_time(), name="clock")]
                if is_told_its_host():
                    side.append(group.create_task(role.report_host(), name="host"))
                listening.add_done_callback(lambda _: [task.cancel() for task in side])
                yield group
        finally:
            role.publisher.close(role.done)
