"""The API: run a deployment, watch it and change it while it goes on.

async with Emulation(topology, scenario) as emulation:
    await emulation.ready()
    await emulation.set(link, latency="300ms")
    await emulation.wait_for(metric("phone.errors") > 5, timeout="30s")
print(emulation.result.certificate)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from wotemu.deployment_file import Deployment
from wotemu.emulation.judged_run import execute
from wotemu.emulation.live_verbs import LiveVerbs
from wotemu.emulation.node_commands import WHO, NodeCommands, seconds_of
from wotemu.emulation.planned_run import PlannedRun
from wotemu.emulation.run_options import (
    CAPTURE_SIZE,
    ENGINES,
    SHAPERS,
    EngineName,
    ShaperName,
    capture_of,
    check_choice,
    check_type,
    checked_name,
)
from wotemu.emulation.run_thread import RunThread
from wotemu.errors import InputError, NotInTimeError, NotRunningError
from wotemu.fidelity import Thresholds
from wotemu.recorded_run import RecordedRun
from wotemu.records import Event
from wotemu.records.event_kinds import EVENT_KINDS
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, target_names
from wotemu.scenario.vocabulary.when import Condition, EventCondition, MetricCondition
from wotemu.suggestions import did_you_mean
from wotemu.topology.topology import Topology
from wotemu.units import QuantityLike, Seconds
from wotemu_runtime.control.live_changes import LiveChange
from wotemu_runtime.control.requests import Changed
from wotemu_runtime.coordination.live_control import LiveControl
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.engines.local.engine import LocalEngine
from wotemu_runtime.engines.local.host_check import check_host
from wotemu_runtime.recording.event_log import EventLog
from wotemu_runtime.recording.run_directory import EVENTS, tabulate
from wotemu_runtime.runs.new_run import NewRun
from wotemu_runtime.runs.run import Run, RunSettings

if TYPE_CHECKING:
    import polars as pl


class Emulation(PlannedRun, LiveVerbs, NodeCommands):
    """One run of a deployment, which goes on while the block of an ``async with`` does.

    Entering the block starts the run; `ready` waits for T0, `done` for the end of the scenario. Leaving the
    block ends the run, early where `done` was not awaited, and removes all that was started, whatever
    happened. A cancellation ends it at once, without what its nodes had not sent yet. Then `result` has the
    record.

    The run has a thread and an event loop of its own: code of the block that computes for long holds up
    neither packets nor the scenario. What fails the run is raised by whatever is awaited of it then, and else
    when the block is left.
    """

    def __init__(
        self,
        topology: Topology,
        scenario: Scenario | None = None,
        *,
        engine: EngineName = "local",
        shaper: ShaperName = "auto",
        name: str = "emulation",
        out: str | Path | None = None,
        root: str | Path | None = None,
        duration: QuantityLike | None = None,
        seed: int | None = None,
        thresholds: Thresholds | None = None,
        pcap: bool | NodeTarget = False,
        pcap_size: QuantityLike = CAPTURE_SIZE,
    ) -> None:
        """Check everything and plan the run. Nothing is started, and no device opened: this works anywhere.

        Args:
            topology: What to run.
            scenario: What changes and when; None for a minute in which nothing does.
            engine: What places the nodes on machines: namespaces of this one, or Docker Swarm.
            shaper: What gateways impose conditions with: the kernel's NetEm, or ``tun`` in user space.
            name: Name of the run.
            out: The run directory; None for ``runs/NAME``, numbered if taken.
            root: The folder that relative paths of the topology start from; None for the working directory.
            duration: In place of the scenario's, such as ``"30s"``.
            seed: Seed of the random number generators, in place of the scenario's.
            thresholds: Limits of the fidelity certificate; None for the defaults.
            pcap: Nodes whose packets are stored as ``captures/NODE.pcapng`` in the run directory; True: all.
            pcap_size: The size of such a file at most; what comes later is counted alone.

        Raises:
            InputError: A value is not what it has to be.
        """
        check_type(topology, Topology, "topology", "make one: Topology([Node(...), ...])")
        check_type(scenario, Scenario | None, "scenario", "make one: Scenario(duration=..., events=[...])")
        check_type(thresholds, Thresholds | None, "thresholds", "make wotemu.Thresholds(...)")
        check_type(name, str, "name", 'write name="field-test"')
        check_choice(engine, ENGINES, "engine")
        check_choice(shaper, SHAPERS, "shaper")
        checked_name(name, "name")
        folder = Path.cwd() if root is None else Path(root).absolute()
        self._topology = topology
        self._run = Run(
            Deployment(topology, scenario or Scenario(), folder / f"{name}.py"),
            RunSettings(
                name=name,
                engine=engine,
                thresholds=thresholds,
                capture=capture_of(topology, pcap, pcap_size, engine),
            ),
            NewRun(
                name=name, engine=engine, shaper=shaper, root=folder, out=None if out is None else Path(out)
            ),
            duration=duration,
            seed=seed,
        )
        self._thread: RunThread[tuple[Path, Outcome]] | None = None
        self._log: EventLog | None = None
        self._known_events = 0, False
        self._has_events = asyncio.Event()

    def __repr__(self) -> str:
        return f"Emulation({self.name!r}, {self._state})"

    @property
    def _state(self) -> str:
        if self._thread is None:
            return "not started"
        if self._thread.result.done():
            return "over"
        with contextlib.suppress(NotRunningError):
            now_s = self._run.control.now_s
            return "starting" if now_s is None else f"at {now_s:.1f} s"
        return "starting"

    # The life of the run

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise InputError(
                "it has been run already", where=f"emulation {self.name!r}", hint="make another Emulation"
            )
        if self._run.settings.engine == LocalEngine.name:
            check_host()
        loop = asyncio.get_running_loop()
        self._run.on_events = lambda count, is_closed: _soon(loop, self._take_events, count, is_closed)
        self._thread = RunThread(f"emulation {self.name!r}", self._execute)
        try:
            await self._thread.call(self._begin)
        except BaseException:
            await self._leave(at_once=True)
            if self._thread.result.exception() is not None:
                self._thread.result.result()  # why it could not begin
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(at_once=kind is not None and not issubclass(kind, Exception))
        if kind is None:
            _, outcome = self._running.result.result()
            if outcome.error is not None:
                raise outcome.error

    async def _execute(self) -> tuple[Path, Outcome]:
        self._executing = asyncio.ensure_future(execute(self._run, lambda _: None))
        run_dir, outcome, _ = await self._executing
        if not self._run.abort_requested.is_set():
            with contextlib.suppress(OSError):  # a full disk: tables are read from the spool, then
                tabulate(run_dir)
        return run_dir, outcome

    async def _begin(self) -> None:
        """In the run's thread: wait until the run can be controlled, or has failed before."""
        begun = asyncio.ensure_future(self._run.begun.wait())
        await asyncio.wait([begun, self._executing], return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if not self._run.begun.is_set():
            self._executing.result()  # raises why it could not begin

    async def _leave(self, *, at_once: bool) -> None:
        """End the run, and wait until all of it is removed, also where this is cancelled."""
        thread, is_cancelled = self._running, False
        thread.post(lambda: self._run.stop(at_once=at_once))
        while not thread.result.done():
            try:
                await thread.join()
            except asyncio.CancelledError:
                is_cancelled = True
                thread.post(lambda: self._run.stop(at_once=True))
        if is_cancelled:
            raise asyncio.CancelledError

    @property
    def _running(self) -> RunThread[tuple[Path, Outcome]]:
        if self._thread is None:
            raise NotRunningError(
                "it has not been started", where=f"emulation {self.name!r}", hint="use it in an async with"
            )
        return self._thread

    async def ready(self) -> None:
        """Wait for T0, when all nodes are ready and the scenario begins.

        Raises:
            WotemuError: What failed the run before.
            NotRunningError: The run was ended before.
        """
        await self._wait(lambda control: control.until_begun())

    async def done(self) -> None:
        """Wait until the scenario is over and all nodes have ended.

        Raises:
            WotemuError: What failed the run.
        """
        thread = self._running
        await thread.join()
        _, outcome = thread.result.result()
        if outcome.error is not None:
            raise outcome.error

    async def at(self, time: QuantityLike) -> None:
        """Wait until a moment of the scenario, such as ``"45s"`` after T0; at once where it is past.

        Raises:
            InputError: The time can't be read, or the scenario ends before.
            WotemuError: What failed the run before.
            NotRunningError: The run was ended before.
        """
        at_s = seconds_of(time, "at")
        if at_s > self.timeline.duration_s:
            raise InputError(
                f"the scenario ends at {Seconds(self.timeline.duration_s)}", where=f"at({time!r})"
            )
        await self._wait(lambda control: control.until_moment(at_s))

    async def wait_for(self, condition: Condition, *, timeout: QuantityLike | None = None) -> None:
        """Wait until a condition holds: ``metric("phone.errors") > 5``, or ``event("app.crashed")``.

        A metric's last value counts, an event since the run began.

        Args:
            condition: What `when` takes.
            timeout: How long to wait; None for as long as the run goes on.

        Raises:
            InputError: It is no condition, or names a node that there is not.
            NotInTimeError: It did not hold within the timeout.
            WotemuError: What failed the run meanwhile.
            NotRunningError: The run ended meanwhile.
        """
        if not isinstance(condition, MetricCondition | EventCondition):
            hint = 'write metric("node.key") > 2.0 or event("app.ready")'
            raise InputError(f"{condition!r} is no condition", where="wait_for", hint=hint)
        wanted = condition.to_dict(self._topology, f"wait_for({condition})")
        limit_s = None if timeout is None else seconds_of(timeout, "timeout")
        try:
            async with asyncio.timeout(limit_s):
                await self._wait(lambda control: control.until_holds(wanted))
        except TimeoutError as error:
            if isinstance(error, NotInTimeError):
                raise
            found = self._run.control.describe(wanted)
            raise NotInTimeError(f"not within {timeout}: {found}", where=str(condition)) from None

    async def _wait(self, wait: Any) -> None:
        control = self._control
        await self._running.call(lambda: wait(control))

    @property
    def _control(self) -> LiveControl:
        """What controls the run, while it goes on; what has failed it is raised."""
        if (result := self._running.result).done():
            if (error := result.result()[1].error) is not None:
                raise error
            raise NotRunningError("the run is over", where=f"emulation {self.name!r}")
        return self._run.control

    # What is known of it

    @property
    def topology(self) -> Topology:
        """What runs."""
        return self._topology

    @property
    def now(self) -> float:
        """Seconds since T0; negative until then, and minus infinity before T0 is set.

        Raises:
            NotRunningError: The run has not been started, or is over.
        """
        now_s = self._control.now_s
        return float("-inf") if now_s is None else now_s

    @property
    def result(self) -> RecordedRun:
        """The record of the run, once it is over.

        Raises:
            NotRunningError: It is not over.
        """
        thread = self._running
        if not thread.result.done():
            raise NotRunningError(
                "the run is not over",
                where=f"emulation {self.name!r}",
                hint="await done(), or leave the block",
            )
        run_dir, _ = thread.result.result()
        return RecordedRun(run_dir)

    def table(self, name: str) -> pl.LazyFrame:
        """A table of what is stored so far; see `RecordedRun.table`. Records come within about a second.

        Raises:
            InputError: There is no such table.
            NotRunningError: The run has not been started.
        """
        if self._running and self.run_dir is None:
            raise NotRunningError("nothing is stored yet", where=f"emulation {self.name!r}")
        return RecordedRun(self.run_dir or Path()).table(name)

    async def events(self, *kinds: str, since: QuantityLike | None = None) -> AsyncGenerator[Event, None]:
        """Events as they are recorded, until the run is over. A slow reader slows nothing and loses nothing.

        Args:
            kinds: Patterns of their kinds, such as ``"app.*"``; none means all.
            since: From when on: an offset from T0, or ``"now"``; None for the begin of the run.

        Raises:
            InputError: No kind of event is like a pattern.
            NotRunningError: The run has not been started.
        """
        for kind in kinds:
            if not any(fnmatchcase(known, kind) for known in EVENT_KINDS):
                raise InputError(
                    f"no kind of event is like {kind!r}", where="events", hint=did_you_mean(kind, EVENT_KINDS)
                )
        since_s = None if since in (None, "now") else seconds_of(since, "since")
        known = self._known_events[0] if since == "now" else 0
        if self._running and self._log is None:
            await self._has_events.wait()
        assert self._log is not None  # noqa: S101  # it is set before the event is
        async with contextlib.aclosing(self._log.read(kinds, after=known)) as found:
            async for _, event in found:
                if since_s is None or self._offset_s(event) >= since_s:
                    yield event

    def _offset_s(self, event: Event) -> float:
        """When an event happened, in seconds after T0; before T0 minus infinity."""
        t0 = self._run.control.t0
        return float("-inf") if t0 is None else event.t - t0

    def _take_events(self, count: int, is_closed: bool) -> None:
        """In the user's loop: the run has stored more events, or no more come."""
        self._known_events = count, is_closed
        if self._log is None:
            self._log = EventLog((self.run_dir or Path()) / EVENTS)
            self._has_events.set()
        self._log.notify(count)
        if is_closed:
            self._log.close()

    # Changes

    def _names(self, target: HopTarget | NodeTarget, where: str) -> tuple[str, ...]:
        return target_names(target, self._topology, where)

    async def _change(self, change: LiveChange) -> Changed:
        control = self._control
        changed = await self._running.call(lambda: control.change(change, WHO))
        changed.check()
        return changed


def _soon(loop: asyncio.AbstractEventLoop, callback: Any, *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the user's loop is closed: nobody listens any more
        loop.call_soon_threadsafe(callback, *args)
