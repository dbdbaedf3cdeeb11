"""A run from its start to its written report, as the command line has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import attrs

from wotemu.deployment_file import Deployment
from wotemu.emulation.judged_run import execute
from wotemu.emulation.planned_run import PlannedRun
from wotemu.emulation.reports import write_report
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
    name_of,
    numbered,
)
from wotemu.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_OBJECTIVE_FAILED,
    EmulationError,
    InputError,
    WotemuError,
)
from wotemu.fidelity import Certificate, Thresholds
from wotemu.records import Event
from wotemu.scenario.vocabulary.targets import NodeTarget
from wotemu.units import QuantityLike
from wotemu_report.objectives.outcome import Outcomes
from wotemu_runtime.bus import steady_time
from wotemu_runtime.control.socket_path import control_names
from wotemu_runtime.coordination.outcome import Status
from wotemu_runtime.engines.local.engine import LocalEngine
from wotemu_runtime.engines.local.host_check import check_host
from wotemu_runtime.engines.local.monitor import Monitor
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.recording.liveness import SOURCE
from wotemu_runtime.recording.totals import Totals
from wotemu_runtime.runs.new_run import NewRun
from wotemu_runtime.runs.run import Run, RunSettings

Listener = Callable[[Event], None]


@attrs.frozen
class Result:
    """How a run ended and what it left.

    Attributes:
        status: ``done``, ``interrupted`` or ``failed``.
        run_dir: The run directory.
        report: The report's page; None where `report_error` says why, or where the run was ended at once.
        error: Why the run failed; None where it did not.
        losses: How many records never reached the run directory, by the role that lost them and their kind.
        certificate: Whether the emulation did what its scenario says; None where T0 was never reached.
        strict: Whether an INVALID certificate is a failure.
        report_error: Why the report could not be written.
        objectives: What became of the scenario's objectives; empty where it has none, or was not judged.
        ended_by: The objective that ended the run early, in words; "" where none did.
    """

    status: Status
    run_dir: Path
    report: Path | None
    error: WotemuError | None
    losses: Mapping[tuple[str, str], int] = attrs.field(factory=dict, repr=False)
    certificate: Certificate | None = None
    strict: bool = False
    report_error: WotemuError | None = None
    objectives: Outcomes = attrs.field(factory=Outcomes)
    ended_by: str = ""

    @property
    def is_rejected(self) -> bool:
        """Whether the certificate says INVALID, and `strict` makes that a failure."""
        return self.strict and self.certificate is not None and self.certificate.verdict == "INVALID"

    @property
    def exit_code(self) -> int:
        """The command line's: 0 where all is well, else the first that holds of these.

        2 bad input, 3 failed, 4 INVALID and `strict`, 130 interrupted, 1 an objective has not passed.
        """
        if self.error is not None:
            return self.error.exit_code
        if self.report_error is not None:
            return EXIT_FAILED
        if self.is_rejected:
            return EXIT_INVALID
        if self.status == "interrupted" and not self.ended_by:
            return EXIT_INTERRUPTED
        if self.status not in ("done", "interrupted"):
            return EXIT_FAILED
        return 0 if self.objectives.have_passed and not self.ended_by else EXIT_OBJECTIVE_FAILED


class ReportedRun(PlannedRun):
    """One run of a deployment and its report. All input is checked when it is made; `run` starts it, once."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        name: str | None = None,
        out: str | Path | None = None,
        duration: QuantityLike | None = None,
        seed: int | None = None,
        shaper: ShaperName = "auto",
        command: list[str] | None = None,
        thresholds: Thresholds | None = None,
        strict: bool = False,
        engine: EngineName = "local",
        keep: bool = False,
        monitor: Monitor | None = None,
        pcap: bool | NodeTarget = False,
        pcap_size: QuantityLike = CAPTURE_SIZE,
    ) -> None:
        """Check everything and plan the run; nothing is started.

        Args:
            deployment: The topology and scenario, and their file: see `wotemu.deployment_file.load`.
            name: Name of the run; None for the file's, numbered while another run of this name goes on.
            out: The run directory; None for ``runs/NAME``, numbered if taken.
            duration: In place of the scenario's, such as ``"30s"``; None for the scenario's.
            seed: Seed of the random number generators; None for the scenario's.
            shaper: What gateways impose conditions with: the kernel's NetEm, or ``tun`` in user space.
            command: The command line that asked for the run, for the manifest.
            thresholds: Limits of the fidelity certificate; None for the defaults.
            strict: Whether an INVALID certificate makes `Result.exit_code` 4.
            engine: What places the nodes on machines: namespaces of this one, or Docker Swarm.
            keep: Whether the nodes stay on the swarm, unrecorded, when the run is over.
            monitor: The monitor of the local engine's sandbox, where it was started early.
            pcap: Nodes whose packets are captured; True for all.
            pcap_size: The size of each node's capture at most.

        Raises:
            InputError: A value is not what it has to be.
            HostError: This machine can't run the local engine.
        """
        check_type(deployment, Deployment, "deployment", "read the file with wotemu.load(path)")
        check_type(thresholds, Thresholds | None, "thresholds", "make wotemu.fidelity.Thresholds(...)")
        check_choice(engine, ENGINES, "engine")
        check_choice(shaper, SHAPERS, "shaper")
        is_local = engine == LocalEngine.name
        if keep and is_local:
            raise InputError(
                "the local engine's emulation ends with the process that runs it",
                where="--keep",
                hint="keep it on a cluster: --engine swarm",
            )
        name = _free_name(deployment, name) if is_local else _name(deployment, name)
        out = None if out is None else Path(out)
        self._run = Run(
            deployment,
            RunSettings(
                name=name,
                engine=engine,
                command=command or (),
                thresholds=thresholds,
                strict=strict,
                keep=keep,
                capture=capture_of(deployment.topology, pcap, pcap_size, engine, where="--pcap"),
            ),
            NewRun(
                name=name,
                engine=engine,
                shaper=shaper,
                root=deployment.root,
                out=out,
                keep=keep,
                monitor=monitor,
            ),
            duration=duration,
            seed=seed,
        )
        if is_local:
            check_host()  # last: what is wrong with the input is said on any machine

    @classmethod
    def of_run(cls, run: Run) -> Self:
        """An emulation of a run that is planned, such as one that `wotemu attach` takes over."""
        # The checks of __init__ are for what a user gives; a run's own input was checked when it began.
        emulation = cls.__new__(cls)
        emulation._run = run
        return emulation

    def __repr__(self) -> str:
        return (
            f"ReportedRun({self.name!r}, {len(self.plan.replicas)} replicas, {self.timeline.duration_s:g} s)"
        )

    @property
    def plan(self) -> Plan:
        """Which replicas and roles the run has."""
        return self._run.plan

    @property
    def counters(self) -> Totals:
        """Totals of what has been recorded so far."""
        return self._run.totals

    def stop(self, *, at_once: bool = False) -> None:
        """End the run early and cleanly; the report is written.

        Args:
            at_once: Wait for nothing but the removal of all that was started, and write no report;
                `write_report` can write it later, of what was recorded until then.
        """
        self._run.stop(at_once=at_once)

    async def run(self, listener: Listener = lambda _: None) -> Result:
        """Run it to its end and write the report. Cancelling it removes all that was started.

        Args:
            listener: Is called with every event as it happens.

        Returns:
            How it ended; what is wrong with a run that started is the result's `error`.

        Raises:
            InputError: It has been run already, or nothing could be started; then nothing is left of the run.
            HostError: The same, as this machine lacks something.
        """
        if self.run_dir is not None:
            raise InputError(
                "it has been run already",
                where=f"emulation {self.name!r}",
                hint="make another ReportedRun for another run",
            )
        run_dir, outcome, ended_by = await execute(self._run, listener)
        report = None if self._run.abort_requested.is_set() else await self._report(run_dir, listener)
        return Result(
            outcome.status,
            run_dir,
            report if isinstance(report, Path) else None,
            outcome.error,
            outcome.losses,
            certificate=outcome.certificate,
            strict=self._run.settings.strict,
            report_error=report if isinstance(report, WotemuError) else None,
            objectives=self._judged(run_dir) if report is not None else Outcomes(),
            ended_by=ended_by,
        )

    def _judged(self, run_dir: Path) -> Outcomes:
        """What the report has judged; a report that could not be written may have been preceded by it."""
        return (self.timeline.objectives and Outcomes.read(run_dir)) or Outcomes()

    async def _report(self, run_dir: Path, listener: Listener) -> Path | WotemuError | None:
        """Write the report: its path, why it can't be written, or None where the run is to end at once."""
        listener(Event(steady_time(), "report.started", SOURCE, "writing the report"))
        # In a thread: it takes seconds, in which a second Ctrl-C has to work.
        writing = asyncio.create_task(asyncio.to_thread(write_report, run_dir))
        at_once = asyncio.create_task(self._run.abort_requested.wait())
        try:
            await asyncio.wait([writing, at_once], return_when=asyncio.FIRST_COMPLETED)
        finally:
            at_once.cancel()
            writing.cancel()  # a thread can't be cancelled; nothing waits for it any more
        if not writing.done():
            return None
        if (error := writing.exception()) is not None:
            failure = _report_failure(error, run_dir)
            listener(Event(steady_time(), "report.failed", SOURCE, str(failure)))
            return failure
        report = writing.result()
        listener(Event(steady_time(), "report.written", SOURCE, str(report), {"path": str(report)}))
        return report


def _name(deployment: Deployment, given: str | None) -> str:
    return name_of(deployment.path) if given is None else checked_name(given)


def _free_name(deployment: Deployment, given: str | None) -> str:
    """The name of a run on this machine, by which commands find it.

    Raises:
        InputError: The one that is given is that of another run, which goes on.
    """
    name, taken = _name(deployment, given), set(control_names())
    if given is not None and name in taken:
        raise InputError(
            f"a run {name!r} of yours goes on",
            where="--name",
            hint=f"give another name, or end it: wotemu stop {name}",
        )
    return next(each for each in numbered(name) if each not in taken)


def _report_failure(error: BaseException, run_dir: Path) -> WotemuError:
    """Why there is no report of a run that is recorded."""
    cause = str(error) if isinstance(error, WotemuError | OSError) else f"{type(error).__name__}: {error}"
    failure = EmulationError(
        f"the report could not be written: {cause}",
        where=f"run directory {run_dir}",
        hint=f"the run is recorded; wotemu report {run_dir} writes its report",
    )
    failure.__cause__ = error
    return failure
