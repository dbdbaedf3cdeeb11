"""Search for the last value of a parameter at which a deployment's objectives hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from wotemu.deployment_file import Deployment, load
from wotemu.emulation.bisection import ParameterRange
from wotemu.emulation.emulation import Emulation
from wotemu.emulation.repetition import derived_seeds
from wotemu.emulation.run_options import EngineName, ShaperName, checked_name, name_of
from wotemu.emulation.sweep import run_to_record, write_index
from wotemu.errors import EmulationError, InputError
from wotemu.forms.document import Item
from wotemu.forms.kinds import Names
from wotemu.forms.objectives import ObjectiveText
from wotemu.recorded_run import RecordedRun
from wotemu.scenario.objectives.expect import Objective
from wotemu.units import QuantityLike
from wotemu_report.comparison.trials import Trial
from wotemu_runtime.recording.run_directory import new_run_dir, own_run_dir, tabulate
from wotemu_runtime.runs.run import RUNS

OnTrial = Callable[[Trial], None]
MAX_TRIALS = 40


@attrs.frozen
class Found:
    """What a search found.

    Attributes:
        folder: The folder of its runs.
        range: The parameter.
        trials: All, in the order in which they were made.
        held: The last value at which the objectives held, from the end where they did; None where they held
            nowhere or everywhere.
        failed: The next value at which they did not.
    """

    folder: Path
    range: ParameterRange
    trials: Sequence[Trial]
    held: float | None
    failed: float | None


def objective_of(text: str) -> Objective:
    """An objective from a line of text, such as ``p95(readproperty) < 500ms during fade``.

    Raises:
        InputError: It is none.
    """
    return ObjectiveText().read(Item(text, "--objective", 1, 1, ""), Names())


async def search(
    path: str | Path,
    parameter: ParameterRange | str,
    objectives: Sequence[Objective | str] = (),
    *,
    runs: int = 1,
    tolerance: float = 0.05,
    seed: int | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    engine: EngineName = "local",
    shaper: ShaperName = "auto",
    duration: QuantityLike | None = None,
    on_trial: OnTrial | None = None,
) -> Found:
    """Bisect a parameter of a file's functions ``topology`` and ``scenario``.

    Objectives hold at a value if they do in most of its runs. Every value has the same seeds, so that values
    differ by as little chance as can be.

    Args:
        path: The file.
        parameter: Its name and range, such as ``latency=10..2000ms``.
        objectives: In place of the scenario's: as `expect` makes them, or as a line of text, such as
            ``p95(readproperty) < 500ms during fade``.
        runs: How many runs each value has.
        tolerance: How close the value has to be found, as a share of it.
        seed: That the runs' seeds follow from; None for the scenario's own.
        name: Name of the runs; None for the file's.
        out: The folder of the runs; None for ``runs/NAME-search``, numbered if taken.
        engine: ``local`` or ``swarm``.
        shaper: What gateways impose conditions with.
        duration: In place of the scenario's.
        on_trial: Is called with each trial when it is over.

    Raises:
        InputError: The file does not take the parameter or a value of it, or there is no objective; nothing
            is started, unless it is a value in the middle that is refused.
        EmulationError: A run failed or was INVALID: it says nothing of the objectives.
    """
    name = checked_name(name_of(Path(path)) if name is None else name, "name")
    varied = ParameterRange.parse(parameter) if isinstance(parameter, str) else parameter
    expected = tuple(objective_of(each) if isinstance(each, str) else each for each in objectives)
    varying = _Varying(Path(path), varied, expected, name, engine, shaper, duration)
    base = varying.check(seed)
    seeds = derived_seeds(base, runs) if runs > 1 else [base]
    folder = new_run_dir(RUNS, f"{name}-search") if out is None else own_run_dir(Path(out))
    trials: list[Trial] = []
    index: dict[str, dict[str, str | int | float]] = {}
    while len(trials) < MAX_TRIALS:
        known = {each.value: each.holds for each in trials}
        value = varied.next_value(known, tolerance)
        if value is None:
            break
        trials.append(await varying.tried(value, seeds, folder, index))
        if on_trial is not None:
            on_trial(trials[-1])
    edge = varied.edge({each.value: each.holds for each in trials})
    return Found(folder, varied, trials, *(edge or (None, None)))


@attrs.frozen
class _Varying:
    """A file whose parameter varies, and what all runs of a search have in common.

    Attributes:
        objectives: In place of the scenario's; none: its own.
    """

    path: Path
    parameter: ParameterRange
    objectives: tuple[Objective, ...]
    name: str
    engine: EngineName
    shaper: ShaperName
    duration: QuantityLike | None

    def deployment(self, value: float) -> Deployment:
        """The deployment with a value of the parameter."""
        loaded = load(self.path, parameters={self.parameter.name: self.parameter.given(value)})
        if not self.objectives:
            return loaded
        return attrs.evolve(loaded, scenario=attrs.evolve(loaded.scenario, expect=self.objectives))

    def emulation(self, made: Deployment, seed: int, run_dir: Path | None = None) -> Emulation:
        """A run of a deployment that `deployment` made."""
        return Emulation(
            made.topology,
            made.scenario,
            name=self.name,
            out=run_dir,
            root=made.root,
            engine=self.engine,
            shaper=self.shaper,
            duration=self.duration,
            seed=seed,
        )

    def check(self, seed: int | None) -> int:
        """Find what is wrong at either end of the range before the first run.

        Args:
            seed: Of the runs; None for the scenario's own.

        Returns:
            That seed.

        Raises:
            InputError: There is no objective, or a value is refused.
        """
        ends = [self.deployment(value) for value in (self.parameter.low, self.parameter.high)]
        if not all(each.scenario.overridden(duration=self.duration).expect for each in ends):
            raise InputError(
                "there is no objective to hold",
                where=str(self.path),
                hint='write Scenario(expect=[...]), or give --objective "p95(readproperty) < 500ms"',
            )
        base = ends[0].scenario.seed if seed is None else seed
        for each in ends:
            self.emulation(each, base)
        return base

    async def tried(
        self,
        value: float,
        seeds: Sequence[int],
        folder: Path,
        index: dict[str, dict[str, str | int | float]],
    ) -> Trial:
        """Run a value once with each seed, into `folder`; `index` has all runs of it, and gets these."""
        made = self.deployment(value)
        run_dirs: dict[Path, Sequence[str]] = {}
        for seed in seeds:
            run_dir = folder / f"{len(index):03d}"
            index[run_dir.name] = {
                self.parameter.name: self.parameter.given(value), "seed": seed, "run": len(index)
            }  # fmt: skip
            write_index(folder, index)
            await run_to_record(self.emulation(made, seed, run_dir))
            run_dirs[run_dir] = _tables_made(run_dir)
        return Trial.of_runs(value, run_dirs)


def _tables_made(run_dir: Path) -> list[str]:
    """Make the tables of a run that can be judged; returns what could not be read, a sentence each."""
    run = RecordedRun(run_dir)
    if run.status != "done" or run.verdict == "INVALID":
        why = run.error or (run.verdict if run.status == "done" else run.status)
        raise EmulationError(
            f"a run says nothing of the objectives: {why}", where=str(run_dir), hint="its report says why"
        )
    return tabulate(run_dir)
