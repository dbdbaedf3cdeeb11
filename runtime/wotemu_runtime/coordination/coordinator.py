"""The coordinator: deploys, waits until all are ready, sets T0, waits for the end, and stops everything.

It may take over from one that died: what that one told the roles is on the bus, and what it recorded is in
its run directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal
from uuid import uuid4

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError, WotemuError
from wotemu.records import Event, Hop, Host, Probe, to_row
from wotemu.scenario.resolve import Resolver
from wotemu.scenario.timeline import Timeline
from wotemu_runtime.bus import BusAddress, BusClock, Streams, connect, redirect
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.coordination.command_log import CommandLog, read_command_log
from wotemu_runtime.coordination.coordinator_lease import Lease
from wotemu_runtime.coordination.guards import Guards
from wotemu_runtime.coordination.run_control import RunControl
from wotemu_runtime.coordination.run_state import RunState
from wotemu_runtime.engines.engine import BusAt, Deployed, Engine, RoleEnded, RoleLost, Unplaced
from wotemu_runtime.fidelity import Certificate, Thresholds, Witness, judge
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.probe_schedule import places_of
from wotemu_runtime.recording.ingest import Ingest
from wotemu_runtime.recording.liveness import SOURCE as SOURCE
from wotemu_runtime.recording.recorder import Kept, Recorder
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.recording.totals import Totals
from wotemu_runtime.roles.address_stream import AddressStream, addresses_by_replica
from wotemu_runtime.roles.host_report import HostClaim, host_name, report_host

T0_LEAD_S = 0.25
"""T0 is so far ahead that every role has heard of it when it comes."""
READY_DEADLINE_S = 60.0
BUS_DEADLINE_S = 60.0
"""A server that was placed a moment ago may still read what it kept."""
READY_DEADLINE_PER_ROLE_S = 2.0
STOP_DEADLINE_S = 12.0
STOP_DEADLINE_PER_ROLE_S = 0.25
UNHEARD_GRACE_S = 1.0
"""Roles that have sent nothing by then get no longer to end: most likely they were never placed."""
SENDS_NO_MORE_S = 5.0
SENDING_DEADLINE_S = 60.0
"""Roles that are to end and still send records get so long."""
BUS_AWAY_DEADLINE_S = 60.0
"""A bus that is away so long does not come back: Swarm starts it again within seconds."""
_RETRY_S = 0.2

GATEWAY = "gateway:"
"""What the names of gateways' roles begin with."""
BEFORE = "coordinator before"
"""Who lost what a coordinator that died had recorded, where its run directory is not at hand."""
Status = Literal["done", "interrupted", "failed"]
Listener = Callable[[Event], None]
Connect = Callable[[BusAddress, float], Awaitable[Redis]]


@attrs.define
class Outcome:
    """How a run went."""

    status: Status = "failed"
    error: WotemuError | None = None
    t0: float | None = None
    ended: float = 0.0
    deployed: Deployed | None = None
    losses: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    certificate: Certificate | None = None


class Coordinator:
    """Runs one plan on one engine. `listener` gets every event as it is recorded.

    `card` is what another coordinator has to know to take over, `code` the deployment's bundle. `resume`:
    continue the run of a coordinator that died. With `keep`, the roles go on unrecorded when the run is over.
    The bus forgets what `kept` says is safe; None means what the recorder has. `connect_to` gives a client of
    the bus, `clock` is its time.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        recorder: RunDirectory,
        listener: Listener,
        resolver: Resolver | None = None,
        thresholds: Thresholds | None = None,
        *,
        card: Mapping[str, Any] | None = None,
        code: bytes = b"",
        resume: bool = False,
        keep: bool = False,
        kept: Kept = lambda: None,
        connect_to: Connect = connect,
        clock: BusClock | None = None,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._recorder = recorder
        self._listener = listener
        self._streams = Streams(plan.stack)
        self._card = dict(card or {})
        self._code = code
        self._resume = resume
        self._keep = keep
        self._ended: set[str] = set()
        self._connect = connect_to
        self._clock = clock or BusClock()
        self._waiting = RunControl(self._clock.now)
        self._replaying = False
        self._told = CommandLog()
        self._seen = RunState(plan)
        self.outcome = Outcome(losses=self._seen.losses)
        self._thresholds = thresholds
        self._witness = Witness(places_of(plan), lambda: self.timeline)
        self._guards = None if resolver is None else Guards(resolver, self._event, self._now)
        self._t0: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._reception = Ingest(self._tell, self._lost_on_the_way, self._now, resumed=resume)
        self._recording = Recorder(
            recorder, self._witness, self._take, self._now, kept, reception=self._reception
        )

    @property
    def counters(self) -> Totals:
        """Totals of what has been recorded so far."""
        return self._recording.counters

    @property
    def timeline(self) -> Timeline:
        """What is to happen, with the guards that have fired."""
        return self._guards.timeline if self._guards is not None else self._plan.timeline

    def stop(self, *, at_once: bool = False) -> None:
        """End the run as soon as it can be ended cleanly; `at_once` without what the roles still know."""
        self._waiting.stop(at_once=at_once)

    async def run(self) -> Outcome:
        """The whole run; never raises for what is wrong with the emulation: see the outcome's `error`.

        Cancelling it ends the emulation at once, with whatever the roles had not sent yet lost.
        """
        try:
            await self._run()
        except WotemuError as error:
            self._fail(error)
        except asyncio.CancelledError:
            self.outcome.status = "interrupted"
            raise
        finally:
            await self._remove()
            self.outcome.ended = self._now()
            self._event("run.done", f"the run is {self.outcome.status}")
        return self.outcome

    def _fail(self, error: WotemuError) -> None:
        """Report why the run fails, as soon as that is known; only the first reason counts."""
        self.outcome.status = "failed"
        if self.outcome.error is None:
            self.outcome.error = error
            self._event("run.failed", str(error))

    async def _remove(self) -> None:
        """Remove what was deployed; what is left of it is an error, but the run is as it was."""
        try:
            await self._engine.remove()
        except WotemuError as error:
            self._event("run.left", str(error))
            self.outcome.error = self.outcome.error or error

    async def _run(self) -> None:
        if not self._resume:
            nodes, networks = len(self._plan.replicas), len(self._plan.networks)
            size = f"{nodes} node{'s' * (nodes != 1)} on {networks} network{'s' * (networks != 1)}"
            self._event("deploy.started", f"deploying {size}", nodes=nodes, networks=networks)
        deployed = await self._waiting.unless_stopped(self._engine.deploy(self._plan))
        if deployed is None:
            self.outcome.status = "interrupted"
            return
        self.outcome.deployed = deployed
        try:
            async with self._coordinating(deployed) as (client, lease), asyncio.TaskGroup() as group:
                await self._begin(client, deployed)
                tasks = [
                    group.create_task(self._recording.run(client, self._streams), name="recorder"),
                    group.create_task(self._watch_roles(client), name="roles"),
                    group.create_task(self._watch_silence(), name="silence"),
                    group.create_task(self._clock.follow(client), name="clock"),
                    group.create_task(self._report_host(client), name="host"),
                    group.create_task(self._guard(client), name="guards"),
                    group.create_task(self._hold(lease), name="lease"),
                ]
                try:
                    await self._drive(client, deployed)
                except WotemuError as error:
                    self._fail(error)
                await self._wind_down(client, deployed, tasks)
        except ExceptionGroup as errors:  # a task of the group's failed
            raise _first(errors) from errors

    @asynccontextmanager
    async def _coordinating(self, deployed: Deployed) -> AsyncIterator[tuple[Redis, Lease]]:
        """Be the one who coordinates; who can't take over leaves everything as it is."""
        client: Redis | None = None
        try:
            client = await self._connect(deployed.bus, BUS_DEADLINE_S)
            lease = Lease(client, self._streams)
            await lease.acquire()
        except BaseException:
            if self._resume:
                self._engine.leave()
            if client is not None:
                await client.aclose()
            raise
        try:
            yield client, lease
        finally:
            await lease.release()
            await client.aclose()

    async def _begin(self, client: Redis, deployed: Deployed) -> None:
        """Tell who may take over what to know, or go on from what others told and recorded before."""
        await self._clock.measure(client, deployed.bus.anchor_s)
        self._told = await read_command_log(client, self._streams)
        if not self._resume:
            for what in deployed.unenforced:
                self._event("limit.unenforced", f"not enforced: {what}")
        else:
            await self._take_over(client)
        self._card["run"] = self._recorder.last.run
        await client.set(self._streams.card, json.dumps(self._card))
        if self._code:
            await client.set(self._streams.code, self._code)

    async def _take_over(self, client: Redis) -> None:
        told = self._told
        if told.timeline_hash not in (None, self._plan.timeline.hash):
            self._engine.leave()
            raise EmulationError(
                f"the roles follow another timeline: {told.timeline_hash}, not {self._plan.timeline.hash}",
                where="coordinator",
                hint="a scenario must depend on nothing but its seed",
            )
        if told.t0 is not None:
            self._begin_at(told.t0)
        self._replaying = True
        self._recording.replay()
        self._replaying = False
        when = "before T0" if told.t0 is None else f"{self._now() - told.t0:.1f} s after T0"
        self._event("run.resumed", f"another coordinator takes over {when}", t0=told.t0)
        if self._guards is not None:
            await self._guards.restore(told.fired, self._seen.guards)
        missing = await self._recording.missing(client, self._streams)
        what = {f"{table} records that only its run directory has": n for table, n in missing.items()}
        what |= {f"end of {name}, which its machine had not written": 1 for name in self._recorder.damaged}
        lost = [self._lose(BEFORE, each, count) for each, count in what.items()]
        self._witness.take(Event.TABLE, [to_row(event) for event in lost])

    async def _hold(self, lease: Lease) -> None:
        """Coordinate for as long as no other does."""
        try:
            await lease.hold()
        except EmulationError:
            self._engine.leave()
            raise

    async def _drive(self, client: Redis, deployed: Deployed) -> None:
        """From the first command to the last moment of the scenario."""
        if self._told.timeline_hash is None:
            await self._command(client, command="timeline", timeline=self.timeline.to_dict())
        t0 = self._told.t0 or await self._set_t0(client, deployed)
        if t0 is None or (self._told.over and self._now() < t0 + self.timeline.duration_s):
            self.outcome.status = "interrupted"
            return
        for phase in self.timeline.phases:
            if not await self._waiting.until_time(t0 + phase.start_s):
                break
            if phase.name not in self._seen.phases:
                self._event("run.phase", f"phase {phase.name}", phase=phase.name, start_s=phase.start_s)
        whole = await self._waiting.until_time(t0 + self.timeline.duration_s)
        if whole and self._guards is not None:
            await self._guards.decide()
        self.outcome.status = "done" if whole else "interrupted"

    async def _set_t0(self, client: Redis, deployed: Deployed) -> float | None:
        """T0, once all are ready; None if the run is stopped before."""
        if not await self._all_ready(deployed):
            return None
        await self._learn_places(client)
        t0 = self._now() + T0_LEAD_S
        self._begin_at(t0)
        await self._command(client, command="t0", t0=t0)
        self._event("run.t0", f"T0: all {len(deployed.roles)} roles are ready", t0=t0)
        return t0

    def _begin_at(self, t0: float) -> None:
        self.outcome.t0 = t0
        self.counters.ends = t0 + self.timeline.duration_s
        self._t0.set_result(t0)
        self._witness.begin(t0)

    async def _learn_places(self, client: Redis) -> None:
        """What the roles have said of where they are and what they shape with, unless the engine knows."""
        deployed = self.outcome.deployed
        if deployed is None:
            return
        with contextlib.suppress(OSError, RedisError):
            addresses = addresses_by_replica(await AddressStream(client, self._streams).read())
            self.outcome.deployed = attrs.evolve(
                deployed,
                addresses={**deployed.addresses, **addresses},
                shaper=deployed.shaper or ", ".join(sorted(self._seen.shapers)),
            )

    async def _wind_down(self, client: Redis, deployed: Deployed, tasks: list[asyncio.Task[None]]) -> None:
        """Have the roles stop, or go on unrecorded, and record what they still send."""
        self._witness.end(min(self._now(), (self.outcome.t0 or math.inf) + self.timeline.duration_s))
        if self._keep:
            self._event("run.stopping", "the nodes go on, unrecorded")
        else:
            self._event("run.stopping", "stopping the nodes")
        lost = self._reception.lost
        with contextlib.suppress(EmulationError):
            if self._keep:
                await self._command(client, command="mute")
            else:  # gateways last: until then apps part from each other as they would in the field
                await self._command(client, command="stop", but=GATEWAY)
                await self._all_over({role for role in deployed.roles if not role.startswith(GATEWAY)} - lost)
                await self._command(client, command="stop")
            await self._all_over(deployed.roles - lost)
        recording = tasks[0]
        is_stored = await self._drained(recording)
        for task in tasks:
            task.cancel()
        await asyncio.wait([recording])
        await self._learn_places(client)
        if self._reception.bus_is_away or self._waiting.abort_requested:
            self._reception.finish()
        else:
            if not is_stored:
                await self._recording.leave_the_rest(client, self._streams)
            self._reception.finish(deployed.roles - self._reception.lost)
        self._miss_changes()
        await self._certify()
        with contextlib.suppress(OSError, RedisError):
            await client.set(self._streams.card, json.dumps({**self._card, "status": self.outcome.status}))
        if self._reception.bus_is_away and not self._waiting.abort_requested:
            message = "it was away at the end: what the roles recorded since it went is lost"
            self._fail(EmulationError(message, where="event bus"))

    async def _all_over(self, roles: AbstractSet[str]) -> None:
        """Until the roles have ended, or send no more, or nobody waits for them any longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UNHEARD_GRACE_S):
                await self._waiting.until_over(lambda: roles <= self._over)
                return
        deadline_s = STOP_DEADLINE_S + STOP_DEADLINE_PER_ROLE_S * len(roles)
        asked = self._now()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline_s):
                    await self._waiting.until_over(lambda: roles & self._reception.heard <= self._over)
                    return
            now, deadline_s = self._now(), STOP_DEADLINE_S
            is_sending = now - self._reception.last_heard(roles - self._over) < SENDS_NO_MORE_S
            if not is_sending or now - asked > SENDING_DEADLINE_S:
                return

    @property
    def _over(self) -> AbstractSet[str]:
        """The roles from which nothing more comes."""
        return self._ended | self._seen.muted

    async def _drained(self, recording: asyncio.Task[None]) -> bool:
        """Have the recorder store all that came, unless nobody waits for it; whether it did."""
        draining = asyncio.create_task(self._recording.drain(recording, STOP_DEADLINE_S))
        at_once = asyncio.create_task(self._waiting.until_abort())
        await asyncio.wait([draining, at_once], return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        at_once.cancel()
        return draining.done() and draining.result()

    async def _certify(self) -> None:
        """Judge what ran, unless nothing did or nobody waits for it.

        In a thread, so that meanwhile interrupts are heard: long runs of many nodes take a second or two.
        """
        if self.outcome.t0 is None or self._waiting.abort_requested:
            return
        judging = asyncio.ensure_future(asyncio.to_thread(self._judged))
        at_once = asyncio.create_task(self._waiting.until_abort())
        await asyncio.wait((judging, at_once), return_when=asyncio.FIRST_COMPLETED)
        at_once.cancel()
        if not judging.done():
            return
        probes, certificate = judging.result()
        self._recording.store(*probes)
        self.outcome.certificate = certificate
        reasons = [reason.text for reason in certificate.reasons]
        self._event("run.certified", str(certificate), verdict=certificate.verdict, reasons=reasons)

    def _judged(self) -> tuple[list[Probe], Certificate]:
        """The last probes' fates, and the certificate."""
        probes = self._witness.finish()
        return probes, judge(self._witness.evidence(), self._thresholds)

    def _miss_changes(self) -> None:
        """Count the changes that should have been answered and were not."""
        if self.outcome.t0 is None:
            return
        lasted_s = (
            self._now() - self.outcome.t0 if self.outcome.status != "done" else self.timeline.duration_s
        )
        due = [c for c in self.timeline.changes if c.at_s < lasted_s - 1 or self.outcome.status == "done"]
        missing = [change for change in due if change.id not in self._reception.answered]
        if missing:
            self._lose(SOURCE, "changes without an answer", len(missing))

    async def _all_ready(self, deployed: Deployed) -> bool:
        """The readiness barrier; False if the run is stopped before."""
        deadline_s = READY_DEADLINE_S + READY_DEADLINE_PER_ROLE_S * len(deployed.roles)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._waiting.until(lambda: deployed.roles <= self._reception.ready)
        except TimeoutError:
            missing = ", ".join(sorted(deployed.roles - self._reception.ready))
            raise EmulationError(f"not ready after {deadline_s:g} s: {missing}") from None

    # What goes on meanwhile

    async def _guard(self, client: Redis) -> None:
        """Watch the scenario's guards from T0 on."""
        if self._guards is None:
            return
        try:
            await self._guards.run(await self._t0, partial(self._command, client))
        except EmulationError as error:
            self._waiting.fail(error)

    def _take(self, table: str, rows: list[list[Any]]) -> None:
        """Rows of any table, as they come over the bus, or as they were stored before."""
        if self._guards is not None:
            self._guards.observe(table, rows)
        if table == Event.TABLE:
            for row in rows:
                self._observe(Event(*row))
        elif table == Hop.TABLE and not self._seen.shapers:  # the event that told is in a lost directory
            self._seen.shapers.update(Hop(*row).shaper for row in rows)

    def _observe(self, event: Event) -> None:
        """What an event of a role's means for the run."""
        if (failure := self._seen.take(event)) is not None:
            self._waiting.fail(failure)
        self._waiting.news()
        if not self._replaying:
            if event.kind == "role.ready":
                self._reception.came(event)
            self._listener(event)

    def _lose(self, source: str, what: str, count: int) -> Event:
        self.outcome.losses[source, what] += count
        return self._event("records.lost", f"{count} {what}", what=what, count=count)

    def _lost_on_the_way(self, source: str, what: str, count: int, table: str) -> None:
        self.outcome.losses[source, what] += count
        data = {"what": what, "count": count, "table": table}
        event = self._tell(Event(self._now(), "records.lost", source, f"{count} {what}", data))
        self._witness.take(Event.TABLE, [to_row(event)])

    async def _watch_roles(self, client: Redis) -> None:
        async for news in self._engine.news():
            match news:
                case RoleEnded(role, status):
                    self._ended.add(role)
                    if not self._recording.draining and not self._stopping:
                        log = self._recorder.run_dir / "logs" / "_wotemu.log"
                        hint = f"what it printed is in {log}"
                        self._waiting.fail(
                            EmulationError(f"it ended by itself: {status}", where=role, hint=hint)
                        )
                case RoleLost(role, reason, host) if not self._recording.draining:
                    self._reception.missed(role, reason, host)
                case Unplaced(role, why) if self.outcome.t0 is None:
                    self._waiting.fail(why)
                case Unplaced(role, why):
                    self._event("role.unplaced", f"{role} has no place: {why.message}", role=role)
                case BusAt(address):
                    await redirect(client, address)
            self._waiting.news()

    async def _watch_silence(self) -> None:
        """Tell of roles that say nothing, from T0 to the end."""
        await self._t0
        while not self._stopping:
            self._reception.look_for_silence()
            await asyncio.sleep(1)

    @property
    def _stopping(self) -> bool:
        return self.outcome.status != "failed" or self._waiting.has_failed

    async def _report_host(self, client: Redis) -> None:
        name = host_name()
        claim = HostClaim(client, self._streams.host(name), SOURCE)
        await report_host(name, SOURCE, claim, self._clock, self._take_host)

    def _take_host(self, record: Host | Event) -> None:
        if isinstance(record, Host):
            self._recording.take_host(record)
        else:
            self._tell(record)

    # Speaking

    async def _command(self, client: Redis, **command: Any) -> None:
        """Tell all roles. One that is not confirmed is sent again; its id has roles take it once."""
        entry = pack({**command, "id": uuid4().hex})
        last: Exception | None = None
        try:
            async with asyncio.timeout(BUS_AWAY_DEADLINE_S):
                while True:
                    try:
                        await client.xadd(self._streams.commands, entry)  # type: ignore[arg-type]
                        return
                    except (OSError, RedisError) as error:
                        last = error
                        await asyncio.sleep(_RETRY_S)  # it tells nobody when it is back
        except TimeoutError:
            raise EmulationError(f"it does not answer: {last}", where="event bus") from last

    def _now(self) -> float:
        return self._clock.now()

    def _event(self, kind: str, message: str, **data: Any) -> Event:
        return self._tell(Event(self._now(), kind, SOURCE, message, data))

    def _tell(self, event: Event) -> Event:
        self._recorder.event(event)
        self._listener(event)
        return event


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """What made a group of tasks fail: the first error of ours in it, else the first of any kind."""
    ours = errors.subgroup(WotemuError)
    error: Exception = ours or errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
