"""Run a deployment several times with seeds that follow from one."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from wotemu.deployment_file import Deployment
from wotemu.emulation.emulation import Emulation
from wotemu.emulation.run_options import EngineName, ShaperName, checked_name, name_of
from wotemu.emulation.sweep import RecordedSweep, run_to_record, write_index
from wotemu.errors import InputError
from wotemu.fidelity import Thresholds
from wotemu.recorded_run import RecordedRun
from wotemu.units import QuantityLike
from wotemu_runtime.recording.run_directory import new_run_dir, own_run_dir
from wotemu_runtime.runs.run import RUNS

OnRun = Callable[[RecordedRun], None]


def derived_seeds(seed: int, count: int) -> list[int]:
    """Seeds of 31 bits that follow from one: the first of more are the same as of fewer."""
    digests = (hashlib.sha256(f"{seed}:{number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:4]) >> 1 for digest in digests]


def check_parallel(parallel: int, engine: EngineName) -> None:
    """Refuse more runs at once than this machine can carry.

    Raises:
        InputError: It has fewer cores, or the runs are on a swarm.
    """
    cores = len(os.sched_getaffinity(0))
    if parallel > 1 and engine != "local":
        raise InputError(
            "runs on a swarm would share its machines",
            where=f"--parallel {parallel}",
            hint="leave it out: they run one after the other",
        )
    if parallel > cores:
        raise InputError(
            f"this machine has {cores} cores, and each run needs one at least",
            where=f"--parallel {parallel}",
            hint=f"give at most {cores}; 1 harms no certificate",
        )


async def repeat(
    deployment: Deployment,
    seeds: int | Sequence[int],
    *,
    name: str | None = None,
    out: str | Path | None = None,
    engine: EngineName = "local",
    shaper: ShaperName = "auto",
    duration: QuantityLike | None = None,
    thresholds: Thresholds | None = None,
    parallel: int = 1,
    on_run: OnRun | None = None,
) -> RecordedSweep:
    """Run a deployment once with each seed: ``await repeat(load("deployment.py"), 5)``.

    Runs at the same time share the cores that move packets, and a busy core delays packets and changes: the
    certificate says so then, and figures are worth less. So they run one after the other unless asked for.

    Args:
        deployment: What to run.
        seeds: Of the runs, or how many runs: their seeds follow from the scenario's.
        name: Name of the runs; None for the file's.
        out: The folder of the runs; None for ``runs/NAME-repeat``, numbered if taken.
        engine: ``local`` or ``swarm``.
        shaper: What gateways impose conditions with.
        duration: In place of the scenario's.
        thresholds: Limits of the fidelity certificate; None for the defaults.
        parallel: How many runs at once.
        on_run: Is called with each run when it is over.

    Returns:
        The runs. One that failed is among them, with its error.

    Raises:
        InputError: A value is not what it has to be; nothing is started.
        HostError: This machine lacks something.
    """
    name = checked_name(name_of(deployment.path) if name is None else name, "name")
    seeds = derived_seeds(deployment.scenario.seed, seeds) if isinstance(seeds, int) else seeds
    if not seeds:
        raise InputError("there is no run to make", where="seeds", hint="give at least 1")
    check_parallel(parallel, engine)
    repetition = _Repetition(deployment, seeds, name, parallel, engine, shaper, duration, thresholds)
    repetition.emulation(0)  # what is wrong with it is said before a folder is made
    folder = new_run_dir(RUNS, f"{name}-repeat") if out is None else own_run_dir(Path(out))
    await repetition.run_into(folder, on_run)
    return RecordedSweep(folder)


@attrs.frozen
class _Repetition:
    """A deployment, and a seed for each of its runs."""

    deployment: Deployment
    seeds: Sequence[int]
    name: str
    parallel: int
    engine: EngineName
    shaper: ShaperName
    duration: QuantityLike | None
    thresholds: Thresholds | None

    def emulation(self, number: int, run_dir: Path | None = None) -> Emulation:
        """One of the runs."""
        return Emulation(
            self.deployment.topology,
            self.deployment.scenario,
            # A run's name is also that of its control socket: runs at once need different ones.
            name=self.name if self.parallel == 1 else f"{self.name}-{number:03d}",
            out=run_dir,
            root=self.deployment.root,
            engine=self.engine,
            shaper=self.shaper,
            duration=self.duration,
            seed=self.seeds[number],
            thresholds=self.thresholds,
        )

    async def run_into(self, folder: Path, on_run: OnRun | None) -> None:
        """Make all runs, each in a directory of the folder; `on_run` is called with each that is over."""
        index = {f"{number:03d}": {"seed": seed, "run": number} for number, seed in enumerate(self.seeds)}
        write_index(folder, index)
        free = asyncio.Semaphore(self.parallel)

        async def run(number: int, run_dir: Path) -> None:
            async with free:
                await run_to_record(self.emulation(number, run_dir))
            if on_run is not None:
                on_run(RecordedRun(run_dir, index[run_dir.name]))

        async with asyncio.TaskGroup() as tasks:
            for number, run_name in enumerate(index):
                tasks.create_task(run(number, folder / run_name), name=f"run {run_name}")
