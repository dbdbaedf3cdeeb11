"""The coordinator: deploys, waits until all are ready, sets T0, waits for the end, and stops everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import AppStartError, EmulationError, WotemuError
from wotemu.records import PASSING, Change, Event, Host, Probe, to_row
from wotemu.scenario.resolve import Resolver
from wotemu.scenario.timeline import Timeline
from wotemu_gateways.fidelity import Certificate, Thresholds, Witness, judge
from wotemu_runtime.bus import Consumer, Streams, connect, decode_batch, measure_offset
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.counters import Counters
from wotemu_runtime.engines.engine import Deployed, Engine
from wotemu_runtime.guards import Guards
from wotemu_runtime.host_load import sample_host
from wotemu_runtime.plan import Plan
from wotemu_runtime.probe_plan import places_of
from wotemu_runtime.recorder import Recorder

T0_LEAD_S = 0.25
"""T0 is so far ahead that every role has heard of it when it comes."""
READY_DEADLINE_S = 60.0
READY_DEADLINE_PER_ROLE_S = 2.0
STOP_DEADLINE_S = 12.0
DRAIN_BLOCK_MS = 200

SOURCE = "coordinator"
Status = Literal["done", "interrupted", "failed"]
Listener = Callable[[Event], None]


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
    """Runs one plan on one engine. `listener` gets every event as it is recorded."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        recorder: Recorder,
        listener: Listener,
        resolver: Resolver | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._recorder = recorder
        self._listener = listener
        self._streams = Streams(plan.stack)
        self._stop_asked = asyncio.Event()
        self._at_once = asyncio.Event()
        self._ready: set[str] = set()
        self._ended: set[str] = set()
        self._answered: set[int] = set()
        self._news = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._offset_s = 0.0
        self._draining = False
        self.outcome = Outcome()
        self.counters = Counters()
        self._thresholds = thresholds
        self._witness = Witness(places_of(plan), lambda: self.timeline)
        self._guards = None if resolver is None else Guards(resolver, self._event, self._now)
        self._t0: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @property
    def timeline(self) -> Timeline:
        """What is to happen, with the guards that have fired."""
        return self._guards.timeline if self._guards is not None else self._plan.timeline

    def stop(self, *, at_once: bool = False) -> None:
        """End the run as soon as it can be ended cleanly; `at_once` without what the roles still know."""
        self._stop_asked.set()
        if at_once:
            self._at_once.set()
        self._news.set()

    async def run(self) -> Outcome:
        """The whole run; never raises for what is wrong with the emulation: see the outcome's `error`.

        Cancelling it ends the emulation at once, with whatever the roles had not sent yet lost.
        """
        try:
            await self._run()
        except WotemuError as error:
            self.outcome.status, self.outcome.error = "failed", error
            self._event("run.failed", str(error))
        except asyncio.CancelledError:
            self.outcome.status = "interrupted"
            raise
        finally:
            await self._engine.remove()
            self.outcome.ended = self._now()
            self._event("run.done", f"the run is {self.outcome.status}")
        return self.outcome

    async def _run(self) -> None:
        nodes, networks = len(self._plan.replicas), len(self._plan.networks)
        size = f"{nodes} node{'s' * (nodes != 1)} on {networks} network{'s' * (networks != 1)}"
        self._event("deploy.started", f"deploying {size}", nodes=nodes, networks=networks)
        deployed = await self._until_stopped(self._engine.deploy(self._plan))
        if deployed is None:
            self.outcome.status = "interrupted"
            return
        self.outcome.deployed = deployed
        for what in deployed.unenforced:
            self._event("limit.unenforced", f"not enforced: {what}")
        client = await connect(deployed.bus)
        try:
            self._offset_s = await measure_offset(client)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._record(client), name="recorder"),
                    group.create_task(self._watch_roles(), name="roles"),
                    group.create_task(sample_host("localhost", self._now, self._take_host), name="host"),
                    group.create_task(self._guard(client), name="guards"),
                ]
                failure = await self._driven(client, deployed)
                await self._wind_down(client, deployed, tasks)
            if failure is not None:
                raise failure
        except ExceptionGroup as errors:  # a task of the group's failed
            raise _first(errors) from errors
        finally:
            await client.aclose()

    async def _driven(self, client: Redis, deployed: Deployed) -> WotemuError | None:
        """Drive the run to its end, or to what it failed of."""
        try:
            await self._drive(client, deployed)
        except WotemuError as error:
            return error
        return None

    async def _drive(self, client: Redis, deployed: Deployed) -> None:
        """From the first command to the last moment of the scenario."""
        await self._command(client, command="timeline", timeline=self.timeline.to_dict())
        if not await self._all_ready(deployed):
            self.outcome.status = "interrupted"
            return
        t0 = self._now() + T0_LEAD_S
        self.outcome.t0 = t0
        self._t0.set_result(t0)
        self._witness.begin(t0)
        await self._command(client, command="t0", t0=t0)
        self._event("run.t0", f"T0: all {len(deployed.roles)} roles are ready", t0=t0)
        for phase in self.timeline.phases:
            if not await self._sleep_until(t0 + phase.start_s):
                break
            self._event("run.phase", f"phase {phase.name}", phase=phase.name, start_s=phase.start_s)
        whole = await self._sleep_until(t0 + self.timeline.duration_s)
        if whole and self._guards is not None:
            await self._guards.decide()
        self.outcome.status = "done" if whole else "interrupted"

    async def _wind_down(self, client: Redis, deployed: Deployed, tasks: list[asyncio.Task[None]]) -> None:
        """Have the roles stop and send the rest, and record it."""
        self._witness.end(self._now())
        self._event("run.stopping", "stopping the nodes")
        with contextlib.suppress(EmulationError, TimeoutError):
            async with asyncio.timeout(STOP_DEADLINE_S):
                await self._command(client, command="stop")
                while not deployed.roles <= self._ended and not self._at_once.is_set():
                    self._news.clear()
                    await self._news.wait()
        self._draining = True
        at_once = asyncio.create_task(self._at_once.wait())
        recording, *others = tasks
        waited_for = [recording, at_once]
        await asyncio.wait(waited_for, timeout=STOP_DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        for task in (*waited_for, *others):
            task.cancel()
        self._miss_changes()
        self._certify()

    def _certify(self) -> None:
        """Judge what ran, unless nothing did or nobody waits for it."""
        if self.outcome.t0 is None or self._at_once.is_set():
            return
        self._store_probes(self._witness.finish())
        certificate = self.outcome.certificate = judge(self._witness.evidence(), self._thresholds)
        reasons = [reason.text for reason in certificate.reasons]
        self._event("run.certified", str(certificate), verdict=certificate.verdict, reasons=reasons)

    def _miss_changes(self) -> None:
        """Count the changes that should have been answered and were not."""
        if self.outcome.t0 is None:
            return
        lasted_s = (
            self._now() - self.outcome.t0 if self.outcome.status != "done" else self.timeline.duration_s
        )
        due = [c for c in self.timeline.changes if c.at_s < lasted_s - 1 or self.outcome.status == "done"]
        missing = [change for change in due if change.id not in self._answered]
        if missing:
            self._lose(SOURCE, "changes without an answer", len(missing))

    # Waiting

    async def _until_stopped(self, deploying: Any) -> Any:
        """The result of `deploying`, or None if the run is stopped meanwhile."""
        task = asyncio.ensure_future(deploying)
        stop = asyncio.ensure_future(self._stop_asked.wait())
        try:
            await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task])  # `await task` would swallow this one's own cancellation

    async def _all_ready(self, deployed: Deployed) -> bool:
        """The readiness barrier; False if the run is stopped before."""
        deadline_s = READY_DEADLINE_S + READY_DEADLINE_PER_ROLE_S * len(deployed.roles)
        try:
            async with asyncio.timeout(deadline_s):
                while not deployed.roles <= self._ready:
                    await self._news_or_failure()
                    if self._stop_asked.is_set():
                        return False
        except TimeoutError:
            missing = ", ".join(sorted(deployed.roles - self._ready))
            raise EmulationError(f"not ready after {deadline_s:g} s: {missing}") from None
        return True

    async def _news_or_failure(self) -> None:
        self._news.clear()
        if not self._failure.done() and not self._stop_asked.is_set():
            await self._news.wait()
        if self._failure.done():
            self._failure.result()

    async def _sleep_until(self, t: float) -> bool:
        """Sleep until `t` on the bus's clock; False if the run is stopped before. Raises what failed."""
        while (left_s := t - self._now()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news_or_failure()
            if self._stop_asked.is_set():
                return False
        return True

    # What goes on meanwhile

    async def _record(self, client: Redis) -> None:
        """Store everything that comes over the bus, until it is drained."""
        consumer = Consumer(client, self._streams.all_records())
        async for entries in consumer.batches(DRAIN_BLOCK_MS):
            for _, _, fields in entries:
                table, rows = decode_batch(fields)
                if table not in PASSING:
                    self._store(table, rows)
                self.counters.take(table, rows)
                self._witness.take(table, rows)
                if self._guards is not None:
                    self._guards.observe(table, rows)
                for row in rows:
                    if table == Event.TABLE:
                        self._observe(Event(*row))
                    elif table == Change.TABLE:
                        self._answered.add(row[0])
            self._store_probes(self._witness.settle(self._now()))
            self._flush()
            if entries:
                with contextlib.suppress(OSError, RedisError):
                    await consumer.trim({stream for stream, _, _ in entries})
            elif self._draining:
                return

    async def _guard(self, client: Redis) -> None:
        """Watch the scenario's guards from T0 on."""
        if self._guards is None:
            return
        try:
            await self._guards.run(await self._t0, partial(self._command, client))
        except EmulationError as error:
            self._fail(error)

    def _store_probes(self, probes: list[Probe]) -> None:
        if probes:
            self._store(Probe.TABLE, [to_row(probe) for probe in probes])

    def _store(self, table: str, rows: list[list[Any]]) -> None:
        try:
            self._recorder.store(table, rows)
        except OSError as error:
            raise self._unwritable(error) from error

    def _flush(self) -> None:
        try:
            self._recorder.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> EmulationError:
        where = f"run directory {self._recorder.run_dir}"
        return EmulationError(f"can't write to it: {error.strerror}", where=where, hint="is its disk full?")

    def _observe(self, event: Event) -> None:
        """What an event of a role's means for the run."""
        match event.kind:
            case "role.ready":
                self._ready.add(event.source)
                self._news.set()
            case "records.lost":
                self._losses(event)
            case "interface.dropped":
                self.outcome.losses[event.source, "frames before the gateway took them"] += event.data[
                    "count"
                ]
            case "app.never_started":
                node = self._plan.replica(event.source.partition(":")[2]).node
                where = f"Node {node!r}" + (f", {event.data['where']}" if event.data["where"] else "")
                hint = (
                    event.data["hint"] or "mend the app, or its parameters; its whole output is in the logs"
                )
                self._fail(AppStartError(event.data["error"] or "it ended at once", where=where, hint=hint))
        self._listener(event)

    def _losses(self, event: Event) -> None:
        self.outcome.losses[event.source, event.data["what"]] += event.data["count"]

    def _lose(self, source: str, what: str, count: int) -> None:
        self.outcome.losses[source, what] += count
        self._event("records.lost", f"{count} {what}", what=what, count=count)

    async def _watch_roles(self) -> None:
        async for ended in self._engine.ended_roles():
            self._ended.add(ended.role)
            self._news.set()
            if not self._draining and not self._stopping:
                hint = f"what it printed is in {self._recorder.run_dir / 'logs' / '_wotemu.log'}"
                self._fail(EmulationError(f"it ended by itself: {ended.status}", where=ended.role, hint=hint))

    @property
    def _stopping(self) -> bool:
        return self.outcome.status != "failed" or self._failure.done()

    def _fail(self, error: WotemuError) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
            self._news.set()

    def _take_host(self, sample: Host) -> None:
        self._recorder.store(Host.TABLE, [to_row(sample)])
        self._witness.take(Host.TABLE, [to_row(sample)])

    # Speaking

    async def _command(self, client: Redis, **command: Any) -> None:
        try:
            await client.xadd(self._streams.commands, pack(command))  # type: ignore[arg-type]
        except (OSError, RedisError) as error:
            raise EmulationError(f"it does not answer: {error}", where="event bus") from error

    def _now(self) -> float:
        return time.time() + self._offset_s

    def _event(self, kind: str, message: str, **data: Any) -> None:
        event = Event(self._now(), kind, SOURCE, message, data)
        self._recorder.event(event)
        self._listener(event)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """What made a group of tasks fail: the first error of ours in it, else the first of any kind."""
    ours = errors.subgroup(WotemuError)
    error: Exception = ours or errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
