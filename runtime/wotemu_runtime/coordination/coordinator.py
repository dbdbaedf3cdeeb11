"""The life of a run: deploy, wait until all are ready, set T0, drive the scenario, wind down, remove."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from redis.asyncio import Redis

from wotemu.errors import HostError, WotemuError
from wotemu.scenario.resolver import Resolver
from wotemu.scenario.timeline import Timeline
from wotemu.wording import counted
from wotemu_runtime.bus import BusAddress, BusClient, BusClock, OtherVersionError, connect
from wotemu_runtime.control.bus_transport import serve_over_bus
from wotemu_runtime.control.server import serve_connection
from wotemu_runtime.coordination.captures import StoredCaptures
from wotemu_runtime.coordination.command_log import CommandLog
from wotemu_runtime.coordination.command_sender import CommandSender
from wotemu_runtime.coordination.coordinator_lease import Lease
from wotemu_runtime.coordination.live_control import LiveControl
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.coordination.published_ports import PublishedPorts
from wotemu_runtime.coordination.readiness import all_ready, learn_places
from wotemu_runtime.coordination.shutdown import wind_down
from wotemu_runtime.coordination.succession import Card, hold, leased, take_over
from wotemu_runtime.coordination.watches import watch_guards, watch_host, watch_roles, watch_silence
from wotemu_runtime.engines.engine import Deployed, Engine
from wotemu_runtime.fidelity import Thresholds
from wotemu_runtime.planning.models import CAPTURES, Plan
from wotemu_runtime.recording.recorder import Durable, Listener
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.recording.totals import Totals

T0_LEAD_S = 0.25
"""From the command that sets T0 until it comes: every role has to have it by then, on any machine."""
T0_LEAD_ON_ONE_MACHINE_S = 0.1
"""T0 is so far ahead that every role has received it by then."""
BUS_DEADLINE_S = 60.0
"""A server that was placed a moment ago may still read what it kept."""

SWARM = "swarm"
"""The engine whose coordinator may be on another machine than whoever controls the run."""

Connect = Callable[[BusAddress, float], Awaitable[BusClient]]


class Coordinator:
    """Runs one plan on one engine, once.

    Args:
        listener: gets every event as it is recorded.
        resolver: resolves the timeline again when a guard fires or a change is made by hand.
        thresholds: what the certificate is judged by; None means the defaults.
        card: what another coordinator needs to take over, as JSON values.
        code: the deployment's bundle, for the same purpose.
        resume: continue the run of a coordinator that died.
        keep: let the nodes go on, unrecorded, when the run is over.
        durable: the checkpoint up to which the bus may forget records; None means the run directory's own.
        connect_to: makes a client of the bus, within a deadline in seconds.
        clock: the bus's clock.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        directory: RunDirectory,
        listener: Listener,
        resolver: Resolver,
        thresholds: Thresholds | None = None,
        *,
        card: Mapping[str, Any] | None = None,
        code: bytes = b"",
        resume: bool = False,
        keep: bool = False,
        durable: Durable = lambda: None,
        connect_to: Connect = connect,
        clock: BusClock | None = None,
    ) -> None:
        self.live = LiveRun.assemble(
            plan,
            engine,
            directory,
            clock or BusClock(),
            resolver,
            listener=listener,
            durable=durable,
            resumed=resume,
        )
        self.outcome = self.live.outcome
        self.control = LiveControl(self.live)
        """Changes the run while it goes on, and answers what is asked about it."""
        self._thresholds = thresholds
        self._card = Card(card or {}, code)
        self._resume = resume
        self._keep = keep
        self._connect = connect_to
        self._log = CommandLog()
        self._ports = PublishedPorts(self.live, resume=resume)

    def __repr__(self) -> str:
        return f"Coordinator({self.live.plan.stack!r}, {self.outcome.status}, t0={self.outcome.t0})"

    @property
    def totals(self) -> Totals:
        """Totals of what has been recorded so far."""
        return self.live.recorder.totals

    @property
    def timeline(self) -> Timeline:
        """The planned changes, with those of guards that have fired and those made by hand."""
        return self.live.timeline

    def stop(self, *, at_once: bool = False) -> None:
        """End the run as soon as it can be ended cleanly; `at_once`: without what the roles still know."""
        self.live.control.stop(at_once=at_once)

    async def run(self) -> Outcome:
        """Run it all, and return how it went; what is wrong with the emulation is the outcome's `error`.

        Cancelling it ends the emulation at once, and loses what the roles had not sent yet.
        """
        run = self.live
        try:
            with self._ports.listening():
                await self._live()
        except WotemuError as error:
            run.fail(error)
        except asyncio.CancelledError:
            self.outcome.status = "interrupted"
            raise
        except BaseException:
            self.outcome.status = "failed"
            raise
        finally:
            await self._remove()
            self.outcome.ended = run.now()
            run.report("run.done", f"the run is {self.outcome.status}")
        return self.outcome

    async def _live(self) -> None:
        run = self.live
        if not self._resume:
            self._report_start()
        deployed = await run.control.unless_stopped(run.engine.deploy(run.plan))
        if deployed is None:
            self.outcome.status = "interrupted"
            return
        self.outcome.deployed = deployed
        try:
            async with (
                aclosing(await self._connected(deployed)) as client,
                leased(client, run.streams, run.engine, resume=self._resume) as lease,
            ):
                await self._prepare(client, deployed)
                await self._coordinate(client, deployed, lease)
        except ExceptionGroup as errors:  # a task of the group failed
            raise _explained(_first(errors), run.engine.image) from errors

    async def _connected(self, deployed: Deployed) -> BusClient:
        try:
            return await self._connect(deployed.bus, BUS_DEADLINE_S)
        except BaseException:
            if self._resume:  # what can't be coordinated stays as it is
                self.live.engine.leave()
            raise

    async def _prepare(self, client: Redis, deployed: Deployed) -> None:
        """Begin a run, or take over one that another coordinator began; publish what a successor needs."""
        run = self.live
        await run.clock.measure(client, deployed.bus.anchor_s)
        self._log = await CommandLog.read(client, run.streams)
        if self._resume:
            await take_over(run, client, self._log)
        else:
            self._report_limits(deployed.devices, deployed.unenforced)
        await self._card.publish(client, run.streams, run.recorder.directory.last.run)

    async def _coordinate(self, client: BusClient, deployed: Deployed, lease: Lease) -> None:
        """Drive the run to its end or failure and wind it down, while tasks record it and watch its roles."""
        run, sender = self.live, CommandSender(client, self.live.streams)
        self.control.attach(client, sender)
        captures = StoredCaptures(run, client, sender, run.recorder.directory.run_dir / CAPTURES)
        async with asyncio.TaskGroup() as group:
            recording = group.create_task(run.recorder.run(client, run.streams), name="recorder")
            others = [
                group.create_task(watch_roles(run, client), name="roles"),
                group.create_task(watch_silence(run), name="silence"),
                group.create_task(run.clock.follow(client), name="clock"),
                group.create_task(watch_host(run, client), name="host"),
                group.create_task(watch_guards(run, sender), name="guards"),
                group.create_task(hold(lease, run.engine), name="lease"),
            ]
            if run.engine.name == SWARM:  # a local run's socket is all that anybody needs
                serving = serve_over_bus(client, run.streams, self._serve_control)
                others.append(group.create_task(serving, name="control"))
            self._ports.start(group, client)
            try:
                await self._drive(client, sender, deployed, lambda: captures.start(group))
            except WotemuError as error:
                run.fail(error)
            await self._ports.end()
            await wind_down(
                run,
                client,
                sender,
                deployed,
                recording=recording,
                others=others,
                keep=self._keep,
                thresholds=self._thresholds,
            )
            if run.control.abort_requested or self._keep:
                captures.end()
        await self._card.publish_end(client, run.streams, self.outcome.status)

    async def _serve_control(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: str
    ) -> None:
        await serve_connection(self.control, reader, writer, lambda: who)

    async def _drive(
        self,
        client: Redis,
        sender: CommandSender,
        deployed: Deployed,
        before_t0: Callable[[], Awaitable[None]],
    ) -> None:
        """From the first command to the last moment of the scenario."""
        run, log, duration_s = self.live, self._log, self.live.plan.timeline.duration_s
        if log.timeline_hash is None:
            await sender.send(command="timeline", timeline=self.timeline.to_dict())
        t0 = log.t0 or await self._set_t0(client, sender, deployed, before_t0)
        if t0 is None or (log.stopped and run.now() < t0 + duration_s):
            self.outcome.status = "interrupted"
            return
        for phase in self.timeline.phases:
            if not await run.control.until_time(t0 + phase.start_s):
                break
            if phase.name not in run.state.phases:
                run.report("run.phase", f"phase {phase.name}", phase=phase.name, start_s=phase.start_s)
        is_whole = await run.control.until_time(t0 + duration_s)
        if is_whole:
            await run.guards.decide()
        self.outcome.status = "done" if is_whole else "interrupted"

    async def _set_t0(
        self,
        client: Redis,
        sender: CommandSender,
        deployed: Deployed,
        before_t0: Callable[[], Awaitable[None]],
    ) -> float | None:
        """Wait until all are ready, and set T0; None where the run is stopped before."""
        run = self.live
        if not await all_ready(run, deployed):
            return None
        await learn_places(run, client)
        if (found := self.outcome.deployed) is not None:  # what the engine did not know before
            self._report_limits(
                found.devices[len(deployed.devices) :], found.unenforced[len(deployed.unenforced) :]
            )
        await before_t0()
        is_on_one_machine = deployed.bus.anchor_s is not None
        t0 = run.now() + (T0_LEAD_ON_ONE_MACHINE_S if is_on_one_machine else T0_LEAD_S)
        run.begin_at(t0)
        await sender.send(command="t0", t0=t0)
        run.report("run.t0", f"T0: all {len(deployed.roles)} roles are ready", t0=t0)
        return t0

    def _report_limits(self, devices: Sequence[str], unenforced: Sequence[str]) -> None:
        """Report what makes nodes as fast as devices, and what of limits is not enforced."""
        for what in devices:
            self.live.report("device.speed", what)
        for what in unenforced:
            self.live.report("limit.unenforced", f"not enforced: {what}")

    def _report_start(self) -> None:
        nodes, networks = len(self.live.plan.replicas), len(self.live.plan.networks)
        size = f"{counted(nodes, 'node')} on {counted(networks, 'network')}"
        self.live.report("deploy.started", f"deploying {size}", nodes=nodes, networks=networks)

    async def _remove(self) -> None:
        """Remove what was deployed; what is left of it is an error, but the run is as it was."""
        try:
            await self.live.engine.remove()
        except WotemuError as error:
            self.live.report("run.left", str(error))
            self.outcome.error = self.outcome.error or error


def _explained(error: Exception, image: str | None) -> Exception:
    """The error, or one about the image where that made it."""
    if not isinstance(error, OtherVersionError) or image is None:
        return error
    return HostError(
        f"the image {image} is of another version of WoTemu than this command",
        where="swarm",
        hint=f"build it anew, and load or push it for every machine: docker build -t {image} . "
        "(and the images of nodes that are made from it)",
    )


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """What made a group of tasks fail: the first error of WoTemu's in it, else the first of any kind."""
    ours = errors.subgroup(WotemuError)
    error: Exception = ours or errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
