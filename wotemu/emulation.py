"""The programmatic way to run an emulation; the command line is a thin shell around it.

async def main():
    deployment = load("deployment.py")
    emulation = Emulation(deployment, duration="30s")
    result = await emulation.run(print)
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import attrs
import psutil

from wotemu.deployment_file import Deployment
from wotemu.errors import EXIT_FAILED, EXIT_INTERRUPTED, EmulationError, HostError, InputError, WotemuError
from wotemu.records import SCHEMA_VERSION, Event
from wotemu.scenario import Resolver
from wotemu.topology._fields import HOST_NAME, MAX_NAME
from wotemu.units import Like
from wotemu_runtime.bus import steady_time
from wotemu_runtime.coordination.coordinator import SOURCE, Coordinator, Outcome
from wotemu_runtime.engines.engine import Engine
from wotemu_runtime.engines.local.engine import LocalEngine, check_host
from wotemu_runtime.engines.swarm import needing_docker_client
from wotemu_runtime.fidelity import Certificate, Thresholds
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import RunDirectory, losses, new_run_dir, own_run_dir, tabulate
from wotemu_runtime.recording.totals import Totals

Listener = Callable[[Event], None]

EngineName = Literal["local", "swarm"]
ShaperName = Literal["auto", "tun", "netem"]
ENGINES: tuple[str, ...] = get_args(EngineName)
SHAPERS: tuple[str, ...] = get_args(ShaperName)


@attrs.frozen
class Result:
    """How a run ended and what it left.

    `report` is None where none was written: `report_error` says why, or else the run was ended at once.
    """

    status: str
    run_dir: Path
    report: Path | None
    error: WotemuError | None
    losses: Mapping[tuple[str, str], int] = attrs.field(factory=dict, repr=False)
    """Records that never reached the run directory: by who lost them, and what."""
    certificate: Certificate | None = None
    """Whether the emulation did what its scenario says; None where T0 was never reached."""
    strict: bool = False
    report_error: WotemuError | None = None

    @property
    def is_rejected(self) -> bool:
        """Whether the certificate says INVALID and that was asked to be a failure."""
        return self.strict and self.certificate is not None and self.certificate.verdict == "INVALID"

    @property
    def exit_code(self) -> int:
        """The command's: 0 done, 2 bad input, 3 the emulation failed, 130 interrupted.

        A report that could not be written is a failure, and with `strict` an INVALID certificate, too.
        """
        if self.error is not None:
            return self.error.exit_code
        if self.is_rejected or self.report_error is not None:
            return EXIT_FAILED
        return {"done": 0, "interrupted": EXIT_INTERRUPTED}.get(self.status, EXIT_FAILED)


class Emulation:
    """One run of one file. All of its input is checked when it is made; `run` starts it, once."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        name: str | None = None,
        out: str | Path | None = None,
        duration: Like | None = None,
        seed: int | None = None,
        shaper: ShaperName = "auto",
        command: list[str] | None = None,
        thresholds: Thresholds | None = None,
        strict: bool = False,
        engine: EngineName = "local",
        keep: bool = False,
    ) -> None:
        """Check everything and plan the run; nothing is started.

        Args:
            deployment: The topology and scenario, and their file: see `wotemu.deployment_file.load`.
            name: The run's name; the file's where None.
            out: The run directory; ``runs/NAME``, numbered if taken, where None.
            duration: In place of the scenario's, such as ``"30s"``.
            seed: In place of the scenario's: the seed of the random number generators.
            shaper: What gateways impose conditions with.
            command: The command line that asked for the run, for the manifest.
            thresholds: The certificate's; its defaults where None.
            strict: Whether an INVALID certificate makes `Result.exit_code` 3.
            engine: What places the nodes on machines.
            keep: Whether the emulation stays on the swarm after the run's end.

        Raises:
            InputError: A value is not what it has to be.
            HostError: This machine can't run the local engine.
        """
        _check_kind(
            deployment, Deployment, "deployment", "read the file with wotemu.deployment_file.load(path)"
        )
        _check_kind(
            thresholds, Thresholds | None, "thresholds", "make wotemu_runtime.fidelity.Thresholds(...)"
        )
        _check_choice(engine, ENGINES, "engine")
        _check_choice(shaper, SHAPERS, "shaper")
        self.name = _name_of(deployment.path) if name is None else checked_name(name)
        self._loaded = deployment
        self._out = None if out is None else Path(out)
        self._command = command or []
        self._thresholds = thresholds
        self._strict = strict
        scenario = deployment.scenario.overridden(duration=duration, seed=seed)
        self._resolver = Resolver(deployment.topology, scenario)
        self.timeline, self.warnings = self._resolver.timeline, self._resolver.warnings
        self._plan_hash = self.timeline.hash
        self._engine_name, self._keep, self._shaper = engine, keep, shaper
        self._started: float | None = None
        is_local = engine == LocalEngine.name
        if keep and is_local:
            raise InputError(
                "the local engine's emulation ends with the process that runs it",
                where="--keep",
                hint="keep it on a cluster: --engine swarm",
            )
        self.plan = make_plan(
            deployment.topology,
            self.timeline,
            stack=self.name,
            root=deployment.root,
            on_this_machine=is_local,
        )
        if is_local:
            check_host()
        self.run_dir: Path | None = None
        """Where the run is recorded; None before it starts."""
        self._anew = True
        """Whether the run begins, instead of going on where another coordinator died."""
        self._coordinator: Coordinator | None = None
        self._stop_asked = False
        self._at_once = asyncio.Event()

    def __repr__(self) -> str:
        return f"Emulation({self.name!r}, {len(self.plan.replicas)} replicas, {self.timeline.duration_s:g} s)"

    def stop(self, *, at_once: bool = False) -> None:
        """End the run early and cleanly; the report is written.

        `at_once` waits for nothing but the removal of all that was started, and writes no report: what was
        recorded until then stays, for `write_report` to read.
        """
        self._stop_asked = True
        if at_once:
            self._at_once.set()
        if self._coordinator is not None:
            self._coordinator.stop(at_once=at_once)

    @property
    def counters(self) -> Totals:
        """Totals of what has been recorded so far."""
        return self._coordinator.counters if self._coordinator is not None else Totals()

    async def run(self, listener: Listener = lambda _: None) -> Result:
        """Run it to its end and write the report. `listener` gets every event as it happens.

        Raises `InputError` or `HostError` where nothing could be started; then nothing is left of the run.
        Cancelling it removes all that was started, too. A second call raises `InputError`.
        """
        if self.run_dir is not None:
            raise InputError(
                "it has been run already",
                where=f"emulation {self.name!r}",
                hint="make another Emulation for another run",
            )
        self._started = self._started or steady_time()
        run_dir = self.run_dir = self._make_run_dir()
        recorder = RunDirectory(run_dir)
        if not recorder.is_resumed:
            recorder.write_json("topology.json", self._loaded.topology.to_dict())
            recorder.write_json("timeline.json", self.timeline.to_dict())
        outcome = await self._emulate(run_dir, recorder, listener)
        if outcome.deployed is None and isinstance(outcome.error, InputError | HostError):
            if not recorder.is_resumed:
                self._remove(run_dir)
            raise outcome.error
        report: Path | WotemuError | None = None
        if not self._at_once.is_set():
            report = await self._report(run_dir, listener)
        return Result(
            outcome.status,
            run_dir,
            report if isinstance(report, Path) else None,
            outcome.error,
            outcome.losses,
            certificate=outcome.certificate,
            strict=self._strict,
            report_error=report if isinstance(report, WotemuError) else None,
        )

    async def _report(self, run_dir: Path, listener: Listener) -> Path | WotemuError | None:
        """Write the report: its path, why it can't be, or None if the run is to end at once before."""
        listener(Event(steady_time(), "report.started", SOURCE, "writing the report"))
        writing = asyncio.create_task(asyncio.to_thread(write_report, run_dir))
        at_once = asyncio.create_task(self._at_once.wait())
        try:
            await asyncio.wait([writing, at_once], return_when=asyncio.FIRST_COMPLETED)
        finally:
            at_once.cancel()
            writing.cancel()  # a thread can't be cancelled; nobody waits for it any more
        if not writing.done():
            return None
        if (error := writing.exception()) is not None:
            failure = _report_failure(error, run_dir)
            listener(Event(steady_time(), "report.failed", SOURCE, str(failure)))
            return failure
        report = writing.result()
        listener(Event(steady_time(), "report.written", SOURCE, str(report), {"path": str(report)}))
        return report

    async def _emulate(self, run_dir: Path, recorder: RunDirectory, listener: Listener) -> Outcome:
        """From the first process to the last; the manifest always says how far it came."""
        engine = self._make_engine(run_dir)

        def heard(event: Event) -> None:
            if event.kind in ("run.t0", "run.resumed"):
                save_manifest(attrs.evolve(coordinator.outcome, error=killed))
            listener(event)

        def save_manifest(outcome: Outcome) -> None:
            recorder.write_json("manifest.json", self._manifest(outcome, recorder))

        coordinator = self._coordinator = Coordinator(
            self.plan,
            engine,
            recorder,
            heard,
            self._resolver,
            self._thresholds,
            card=self._card(run_dir),
            code=await asyncio.to_thread(self._code),
            resume=not self._anew,
            keep=self._keep,
            kept=self._kept,
        )
        killed = EmulationError("WoTemu itself was killed before the end of the run")
        if not recorder.is_resumed:
            save_manifest(Outcome(error=killed))
        if self._stop_asked:
            coordinator.stop()
        try:
            return await coordinator.run()
        finally:
            await engine.remove()
            if coordinator.timeline is not self.timeline:  # guards have fired; the plan keeps its hash
                self.timeline = coordinator.timeline
                recorder.write_json("timeline.json", {**self.timeline.to_dict(), "hash": self._plan_hash})
            recorder.close()
            save_manifest(coordinator.outcome)

    def _card(self, run_dir: Path) -> dict[str, Any]:
        """What a coordinator that takes over has to know."""
        scenario = self.timeline
        return {
            "source": self._loaded.path.name,
            "seed": scenario.seed,
            "duration_s": scenario.duration_s,
            "timeline": self._plan_hash,
            "command": self._command,
            "thresholds": None if self._thresholds is None else self._thresholds.to_dict(),
            "strict": self._strict,
            "keep": self._keep,
            "started": self._started,
            "host": platform.node(),
            "run_dir": str(run_dir.absolute()),
        }

    def _code(self) -> bytes:
        """The deployment's folder for who takes over; nothing where that can't be, or it is too large."""
        if self._engine_name == LocalEngine.name or not self._anew:
            return b""
        try:
            return code_bundle.pack(self._loaded.root)
        except InputError:
            return b""

    def _kept(self) -> Checkpoint | None:
        """What the bus may forget; None: what the recorder has."""
        return None

    def _make_engine(self, run_dir: Path) -> Engine:
        if self._engine_name == LocalEngine.name:
            return LocalEngine(run_dir / "logs" / "_wotemu.log", shaper=self._shaper)
        with needing_docker_client("engine swarm"):
            from wotemu_runtime.engines.swarm.engine import SwarmEngine
        return SwarmEngine(keep=self._keep, shaper=self._shaper)

    def _make_run_dir(self) -> Path:
        if self._out is not None:
            return own_run_dir(self._out)
        return new_run_dir(Path("runs"), self.name)

    def _remove(self, run_dir: Path) -> None:
        """Leave nothing of a run that never started, nor an empty ``runs``."""
        shutil.rmtree(run_dir)
        if self._out is None:
            with contextlib.suppress(OSError):
                run_dir.parent.rmdir()

    def _manifest(self, outcome: Outcome, recorder: RunDirectory) -> dict[str, Any]:
        deployed = outcome.deployed
        return {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "wotemu_version": version("wotemu"),
            "engine": self._engine_name,
            "shaper": deployed.shaper if deployed else "",
            "python": platform.python_version(),
            "kernel": platform.release(),
            "host": {
                "name": platform.node(),
                "cpus": psutil.cpu_count(),
                "mem_bytes": psutil.virtual_memory().total,
            },
            "source": self._loaded.path.name,
            "command": self._command,
            "seed": self.timeline.seed,
            "timeline_hash": self._plan_hash,
            "started": self._started,
            "t0": outcome.t0,
            "ended": outcome.ended or None,
            "duration_s": self.timeline.duration_s,
            "status": outcome.status,
            "error": str(outcome.error or ""),
            "warnings": self.warnings,
            "unenforced": list(deployed.unenforced) if deployed else [],
            "replicas": {
                replica.name: {
                    "node": replica.node,
                    "kind": replica.kind,
                    "addresses": deployed.addresses.get(replica.name, {}) if deployed else {},
                    "app": replica.runs,
                }
                for replica in self.plan.replicas
            },
            "wotpy_fixes": {
                replica.node: list(replica.app.wotpy_fixes)
                for replica in self.plan.replicas
                if replica.app is not None and replica.app.wotpy_fixes
            },
            "losses": losses(outcome.losses),
            "certificate": outcome.certificate.to_dict() if outcome.certificate else None,
            "records": dict(recorder.counts),
        }


def _report_failure(error: BaseException, run_dir: Path) -> WotemuError:
    """Why there is no report of a run that is recorded."""
    cause = str(error) if isinstance(error, WotemuError | OSError) else f"{type(error).__name__}: {error}"
    failure = EmulationError(
        f"the report could not be written: {cause}",
        where=f"run directory {run_dir}",
        hint=f"the run is recorded; wotemu report --run {run_dir} writes its report",
    )
    failure.__cause__ = error
    return failure


def _check_kind(value: object, kind: Any, what: str, hint: str) -> None:
    if not isinstance(value, kind):
        raise InputError(f"{value!r:.80} is a {type(value).__name__}", where=what, hint=hint)


def _check_choice(value: object, choices: tuple[str, ...], what: str) -> None:
    if value not in choices:
        raise InputError(f"there is no {what} {value!r}", where=what, hint=f"one of {', '.join(choices)}")


def write_report(run_dir: Path, out_dir: Path | None = None) -> Path:
    """Write a run's report; its tables are made first if the run was killed before it could."""
    from wotemu_report import write_report as write

    tabulate(run_dir)
    return write(run_dir, out_dir)


def report_json(run_dir: Path) -> str:
    """The data of a run's report as JSON: see `wotemu_report.export.as_json`."""
    from wotemu_report import report_json as data_of

    tabulate(run_dir)
    return data_of(run_dir)


def _name_of(path: Path) -> str:
    """The run's name after its file's; what a host name can't hold becomes a dash."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem)[:MAX_NAME].strip("-_") or "run"


def checked_name(name: str, where: str = "--name") -> str:
    """The name, if it can be a run's; else `InputError`."""
    if not HOST_NAME.match(name) or len(name) > MAX_NAME:
        raise InputError(f"{name!r} can't name a run", where=where, hint="use letters, digits, '-' and '_'")
    return name
