"""One run of a deployment: its plan, and its execution by a coordinator, recorded in a run directory."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import attrs
import psutil

from wotemu.deployment_file import Deployment
from wotemu.errors import EmulationError, HostError, InputError, NotRunningError
from wotemu.fidelity import Thresholds
from wotemu.records import SCHEMA_VERSION, Event
from wotemu.scenario import Resolver
from wotemu.scenario.timeline import Timeline
from wotemu.topology.to_json import topology_to_json
from wotemu.units import QuantityLike
from wotemu_runtime.bus import steady_time
from wotemu_runtime.control.server import control_server
from wotemu_runtime.coordination.coordinator import Coordinator
from wotemu_runtime.coordination.live_control import LiveControl
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.engines.engine import Engine
from wotemu_runtime.engines.local.engine import LocalEngine
from wotemu_runtime.planning.models import Capture
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.event_log import OnNews
from wotemu_runtime.recording.recorder import Listener
from wotemu_runtime.recording.run_directory import RunDirectory, losses
from wotemu_runtime.recording.totals import Totals
from wotemu_runtime.runs.source_revision import source_revision

RUNS = Path("runs")
"""Where run directories are made, in the working directory, unless another one is named."""


class RunContext(Protocol):
    """What differs between runs that begin here, that go on here, and that a stack's coordinator executes."""

    @property
    def started(self) -> float | None:
        """When the coordinator that died began the run, in seconds since the epoch; None for a new run."""
        ...

    def make_directory(self) -> Path:
        """The run directory: made, or the earlier one of a run that goes on.

        Raises:
            InputError: It can't be made, or holds something else.
        """
        ...

    def make_engine(self, run_dir: Path) -> Engine:
        """The engine that places the roles, or has placed them."""
        ...

    def pack_code(self) -> bytes:
        """The deployment's folder for a coordinator that takes over; empty where none is to be stored."""
        ...

    def safe_checkpoint(self) -> Checkpoint | None:
        """How much of the record outlives this process; None for all that is written to the run directory.

        The bus deletes its entries up to there.
        """
        ...


@attrs.frozen(kw_only=True)
class RunSettings:
    """What a run is asked to be, beside its deployment.

    Attributes:
        name: Name of the run, and of its stack.
        engine: ``local`` or ``swarm``.
        command: The command line that asked for it, for the manifest.
        thresholds: The fidelity certificate's; None for the defaults.
        strict: Whether an INVALID certificate is a failure.
        keep: Whether the nodes stay, unrecorded, when the run is over.
        capture: The replicas whose packets are captured; None for none.
    """

    name: str
    engine: str
    command: Sequence[str] = ()
    thresholds: Thresholds | None = None
    strict: bool = False
    keep: bool = False
    capture: Capture | None = None


class Run:
    """One run: planned when it is made, executed once."""

    def __init__(
        self,
        deployment: Deployment,
        settings: RunSettings,
        context: RunContext,
        *,
        duration: QuantityLike | None = None,
        seed: int | None = None,
    ) -> None:
        """Resolve the scenario and plan the run; nothing is started.

        Args:
            deployment: What to run.
            settings: What is asked of the run.
            context: The engine and run directory.
            duration: In place of the scenario's, such as ``"30s"``; None for the scenario's.
            seed: In place of the scenario's; None for the scenario's.

        Raises:
            InputError: The topology or scenario can't be run as it is.
        """
        self.deployment = deployment
        self.settings = settings
        self.started: float | None = None
        """When the run began, in seconds since the epoch; None before it is executed."""
        self._context = context
        self._resolver = Resolver.overriding(
            deployment.topology, deployment.scenario, duration=duration, seed=seed
        )
        self.warnings = [*deployment.warnings, *self._resolver.warnings]
        plan = make_plan(
            deployment.topology,
            self._resolver.timeline,
            stack=settings.name,
            root=deployment.root,
            on_this_machine=settings.engine == LocalEngine.name,
        )
        self.plan = attrs.evolve(plan, capture=settings.capture)
        self.run_dir: Path | None = None
        """Where the run is recorded; None before it is executed."""
        self.abort_requested = asyncio.Event()
        """Set once nothing but the removal of all that was started is to be waited for."""
        self.begun = asyncio.Event()
        """Set once the run can be controlled and asked."""
        self.on_events: OnNews | None = None
        """Is called with each news of the events that are stored; see `EventLog`."""
        self._coordinator: Coordinator | None = None
        self._stop_requested = False
        self._revision: dict[str, Any] = {}

    @property
    def timeline(self) -> Timeline:
        """The scenario's changes, with those of the guards that have fired so far."""
        return self._resolver.timeline if self._coordinator is None else self._coordinator.timeline

    @property
    def totals(self) -> Totals:
        """Totals of what has been recorded so far."""
        return Totals() if self._coordinator is None else self._coordinator.totals

    @property
    def control(self) -> LiveControl:
        """Changes the run while it goes on, and answers what is asked about it.

        Raises:
            NotRunningError: The run has not begun.
        """
        if self._coordinator is None:
            raise NotRunningError("the run has not begun", where=f"emulation {self.settings.name!r}")
        return self._coordinator.control

    def check_timeline(self, expected: str, *, where: str, hint: str) -> None:
        """Raise `EmulationError` where the deployment gives another timeline than the roles follow.

        Args:
            expected: Hash of the timeline that the roles were given.
            where: The deployment's file.
            hint: What can be done about it.
        """
        if self.plan.timeline.hash != expected:
            raise EmulationError(
                f"its timeline is {self.plan.timeline.hash}, and the nodes follow {expected}",
                where=where,
                hint=f"a scenario must depend on nothing but its seed; {hint}",
            )

    def stop(self, *, at_once: bool = False) -> None:
        """End the run early; `at_once` waits for nothing but the removal of all that was started."""
        self._stop_requested = True
        if at_once:
            self.abort_requested.set()
        if self._coordinator is not None:
            self._coordinator.stop(at_once=at_once)

    async def execute(self, listener: Listener) -> tuple[Path, Outcome]:
        """Run it to its end, or to the first failure.

        Args:
            listener: Is called with every event as it is recorded.

        Returns:
            The run directory, and how the run went.

        Raises:
            InputError: Nothing could be started, as the input is wrong; nothing is left of a new run.
            HostError: The same, as this machine lacks something.
        """
        self.started = self._context.started or steady_time()
        run_dir = self.run_dir = self._context.make_directory()
        directory = RunDirectory(run_dir, self.on_events)
        if not directory.is_resumed:  # else they are there, the timeline with the guards that have fired
            directory.write_json("topology.json", topology_to_json(self.deployment.topology))
            directory.write_json("timeline.json", self.timeline.to_dict())
        outcome = await self._coordinate(directory, listener)
        if outcome.deployed is None and isinstance(outcome.error, InputError | HostError):
            if not directory.is_resumed:  # never remove what another coordinator recorded
                _remove(run_dir)
            raise outcome.error
        return run_dir, outcome

    async def _coordinate(self, directory: RunDirectory, listener: Listener) -> Outcome:
        """Have a coordinator run it; the manifest on disk always says how far it came."""
        engine = self._context.make_engine(directory.run_dir)
        killed = EmulationError("WoTemu itself was killed before the end of the run")

        def save_manifest(outcome: Outcome) -> None:
            directory.write_json("manifest.json", self._manifest(outcome, directory))

        def listen(event: Event) -> None:
            if event.kind in ("run.t0", "run.resumed"):
                # If this process is killed from here on, what is on disk has to be a run that can be read.
                save_manifest(attrs.evolve(coordinator.outcome, status="failed", error=killed))
            listener(event)

        # In a thread: packing a large folder takes seconds, in which Ctrl-C has to work.
        code, self._revision = await asyncio.gather(
            asyncio.to_thread(self._context.pack_code), source_revision(self.deployment.path)
        )
        coordinator = self._coordinator = Coordinator(
            self.plan,
            engine,
            directory,
            listen,
            self._resolver,
            self.settings.thresholds,
            card=self._takeover_card(directory.run_dir),
            code=code,
            resume=self._context.started is not None,
            keep=self.settings.keep,
            durable=self._context.safe_checkpoint,
        )
        if not directory.is_resumed:
            save_manifest(Outcome(status="failed", error=killed))
        self.begun.set()
        if self._stop_requested:  # before there was a coordinator, as Ctrl-C during the planning
            coordinator.stop()
        try:
            async with AsyncExitStack() as stack:
                await self._open_control_socket(stack, coordinator)
                return await coordinator.run()
        finally:
            await engine.remove()  # again: a cancelled coordinator may not have got so far
            if coordinator.timeline is not self.plan.timeline:
                # Guards have fired. The hash stays the plan's: a coordinator that takes over compares it.
                timeline = {**coordinator.timeline.to_dict(), "hash": self.plan.timeline.hash}
                directory.write_json("timeline.json", timeline)
            directory.close()
            save_manifest(coordinator.outcome)

    async def _open_control_socket(self, stack: AsyncExitStack, coordinator: Coordinator) -> None:
        """Let the run be controlled from other processes; without that, it goes on all the same."""
        try:
            server = control_server(self.settings.name, coordinator.control)
            coordinator.control.name = await stack.enter_async_context(server)
        except HostError as error:
            coordinator.live.report("control.unavailable", f"it can't be controlled from outside: {error}")

    def _takeover_card(self, run_dir: Path) -> dict[str, Any]:
        """What a coordinator that takes over needs to plan the same run and to find its record."""
        thresholds = self.settings.thresholds
        return {
            "source": self.deployment.path.name,
            "seed": self.plan.timeline.seed,
            "duration_s": self.plan.timeline.duration_s,
            "timeline": self.plan.timeline.hash,
            "command": list(self.settings.command),
            "thresholds": None if thresholds is None else thresholds.to_dict(),
            "strict": self.settings.strict,
            "keep": self.settings.keep,
            "started": self.started,
            "host": platform.node(),
            "run_dir": str(run_dir.absolute()),
        }

    def _manifest(self, outcome: Outcome, directory: RunDirectory) -> dict[str, Any]:
        """The run as ``manifest.json`` holds it: what ran where, and how far it came."""
        deployed, replicas = outcome.deployed, self.plan.replicas
        return {
            "schema": SCHEMA_VERSION,
            "name": self.settings.name,
            "wotemu_version": version("wotemu"),
            "engine": self.settings.engine,
            "shaper": deployed.shaper if deployed else "",
            "scheduling": outcome.scheduling,
            "python": platform.python_version(),
            "kernel": platform.release(),
            "host": {
                "name": platform.node(),
                "cpus": psutil.cpu_count(),
                "mem_bytes": psutil.virtual_memory().total,
            },
            "source": self.deployment.path.name,
            "revision": self._revision,
            "command": list(self.settings.command),
            "seed": self.plan.timeline.seed,
            "timeline_hash": self.plan.timeline.hash,
            "started": self.started,
            "t0": outcome.t0,
            "ended": outcome.ended or None,
            "duration_s": self.plan.timeline.duration_s,
            "status": outcome.status,
            "error": str(outcome.error or ""),
            "warnings": self.warnings,
            "unenforced": list(deployed.unenforced) if deployed else [],
            "devices": list(deployed.devices) if deployed else [],
            "replicas": {
                replica.name: {
                    "node": replica.node,
                    "kind": replica.kind,
                    "addresses": deployed.addresses.get(replica.name, {}) if deployed else {},
                    "app": replica.runs,
                }
                for replica in replicas
            },
            "wotpy_fixes": {
                replica.node: list(replica.app.wotpy_fixes)
                for replica in replicas
                if replica.app is not None and replica.app.wotpy_fixes
            },
            "losses": losses(outcome.losses),
            "certificate": outcome.certificate.to_dict() if outcome.certificate else None,
            "records": dict(directory.counts),
        }


def _remove(run_dir: Path) -> None:
    """Leave nothing of a run that never started, nor an empty ``runs``."""
    shutil.rmtree(run_dir)
    if run_dir.parent == RUNS:
        with contextlib.suppress(OSError):
            RUNS.rmdir()
