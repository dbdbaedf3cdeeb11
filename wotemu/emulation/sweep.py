"""Run a deployment many times, with other seeds and parameters, and read all of it as one table."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from wotemu.emulation.emulation import Emulation
from wotemu.emulation.run_options import EngineName, ShaperName, check_type, checked_name
from wotemu.errors import AppStartError, EmulationError, InputError
from wotemu.fidelity import Thresholds
from wotemu.recorded_run import RecordedRun
from wotemu.records import TABLES, fields
from wotemu.scenario.scenario import Scenario
from wotemu.suggestions import did_you_mean
from wotemu.topology.topology import Topology
from wotemu.units import QuantityLike
from wotemu_runtime.recording.run_directory import new_run_dir, own_run_dir
from wotemu_runtime.runs.run import RUNS

if TYPE_CHECKING:
    import polars as pl

INDEX = "sweep.json"
"""The file of a sweep's folder that has the parameters of its runs."""
_COLUMNS = frozenset(
    {"s", "phase", "group", "run", *(name for kind in TABLES.values() for name in fields(kind))}
)
"""The columns that tables have: no parameter can have such a name."""

MakesTopology = Topology | Callable[..., Topology]
MakesScenario = Scenario | Callable[..., Scenario] | None


class RecordedSweep(Sequence[RecordedRun]):
    """The runs of a sweep, in order; their tables as one.

    Attributes:
        folder: What has the run directories and ``sweep.json``.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open a sweep's folder.

        Args:
            folder: The folder, also of a sweep that goes on or was interrupted.

        Raises:
            InputError: It holds no sweep.
        """
        self.folder = Path(folder)
        try:
            known = json.loads((self.folder / INDEX).read_bytes())["runs"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"there is no sweep here: {error}", where=str(folder)) from error
        self._runs = [
            RecordedRun(self.folder / name, parameters)
            for name, parameters in known.items()
            if (self.folder / name / "manifest.json").is_file()
        ]

    @overload
    def __getitem__(self, index: int) -> RecordedRun: ...

    @overload
    def __getitem__(self, index: slice) -> list[RecordedRun]: ...

    def __getitem__(self, index: int | slice) -> RecordedRun | list[RecordedRun]:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        return f"RecordedSweep({str(self.folder)!r}, {len(self)} runs)"

    def table(self, name: str) -> pl.LazyFrame:
        """A table of all runs, with a column for each parameter, ``seed`` and ``run`` among them.

        Raises:
            InputError: There is no such table, or no run.
        """
        import polars as pl

        if not self._runs:
            raise InputError("no run has been recorded", where=str(self.folder))
        return pl.concat([run.table(name) for run in self._runs], how="diagonal_relaxed")

    @property
    def frame(self) -> pl.DataFrame:
        """A row per run: its parameters, `status`, `verdict`, `error` and `run_dir`."""
        import polars as pl

        rows = [
            {
                **run.parameters,
                "status": run.status,
                "verdict": run.verdict,
                "error": run.error,
                "run_dir": str(run.run_dir),
            }
            for run in self._runs
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        return self.frame._repr_html_()


async def sweep(
    topology: MakesTopology,
    scenario: MakesScenario = None,
    *,
    seeds: Iterable[int] = (0,),
    name: str = "sweep",
    out: str | Path | None = None,
    root: str | Path | None = None,
    engine: EngineName = "local",
    shaper: ShaperName = "auto",
    duration: QuantityLike | None = None,
    thresholds: Thresholds | None = None,
    **parameters: Iterable[Any],
) -> RecordedSweep:
    """Run a deployment once for each combination of parameters and seed, one after the other.

    ``await sweep(make, seeds=range(5), loss=["0%", "1%"])``, with ``def make(loss): return Topology([...])``,
    makes ten runs.

    Args:
        topology: What to run, or a function that makes it of parameters, which it takes by their names.
        scenario: The same for what changes and when.
        seeds: Seeds of the random number generators.
        name: Name of the sweep.
        out: The folder of its runs; None for ``runs/NAME``, numbered if taken.
        root: The folder that relative paths start from; None for the working directory.
        engine: ``local`` or ``swarm``.
        shaper: What gateways impose conditions with.
        duration: In place of the scenario's.
        thresholds: Limits of the fidelity certificate; None for the defaults.
        parameters: The values of each parameter.

    Returns:
        The runs. One that failed is among them, with its error.

    Raises:
        InputError: A value is not what it has to be, in any of the runs; then none is started.
        HostError: This machine lacks something.
    """
    checked_name(name, "name")
    combinations = _combinations(topology, scenario, parameters, seeds)
    options: dict[str, Any] = {"root": root, "engine": engine, "shaper": shaper, "thresholds": thresholds}
    options["duration"] = duration
    for given in combinations:  # what is wrong with the last one is said before the first one runs
        _emulation(topology, scenario, given, name, None, options)
    folder = new_run_dir(RUNS, name) if out is None else own_run_dir(Path(out))
    known: dict[str, dict[str, Any]] = {}
    for number, given in enumerate(combinations):
        run = f"{number:03d}"
        known[run] = {**{key: _plain(value) for key, value in given.items()}, "run": number}
        write_index(folder, known)
        await run_to_record(_emulation(topology, scenario, given, name, folder / run, options))
    return RecordedSweep(folder)


async def run_to_record(emulation: Emulation) -> None:
    """Run an emulation to its end; what fails it is in the run's record alone."""
    with contextlib.suppress(EmulationError, AppStartError):
        async with emulation:
            await emulation.done()


def write_index(folder: Path, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the file of a folder of runs that has their parameters, by the names of their directories."""
    part = folder / f"{INDEX}.part"
    part.write_text(json.dumps({"runs": known}, indent=2))
    part.replace(folder / INDEX)  # in one step: the folder may be read meanwhile


def _combinations(
    topology: MakesTopology,
    scenario: MakesScenario,
    parameters: Mapping[str, Iterable[Any]],
    seeds: Iterable[int],
) -> list[dict[str, Any]]:
    taken = {name for each in (topology, scenario) if callable(each) for name in _arguments(each)} - {"seed"}
    for name, values in parameters.items():
        if name in _COLUMNS:
            raise InputError(
                "tables have a column of this name", where=f"parameter {name!r}", hint="rename it"
            )
        if name not in taken:
            hint = did_you_mean(name, sorted(taken)) or f"give a function: def topology({name}): ..."
            raise InputError("nothing takes it", where=f"parameter {name!r}", hint=hint)
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise InputError(f"{values!r} is no list of values", where=f"parameter {name!r}")
    if missing := sorted(taken - parameters.keys() - _optional(topology, scenario)):
        raise InputError("it has no values", where=f"parameter {missing[0]!r}", hint=f"{missing[0]}=[...]")
    names = [*parameters, "seed"]
    return [
        dict(zip(names, values, strict=True)) for values in itertools.product(*parameters.values(), seeds)
    ]


def _arguments(maker: Any) -> Iterator[str]:
    yield from inspect.signature(maker).parameters


def _optional(*makers: Any) -> set[str]:
    """The parameters of functions that have defaults."""
    return {
        name
        for maker in makers
        if callable(maker)
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.default is not parameter.empty
    }


def _emulation(
    topology: MakesTopology,
    scenario: MakesScenario,
    given: Mapping[str, Any],
    name: str,
    out: Path | None,
    options: Mapping[str, Any],
) -> Emulation:
    made = _made(topology, given)
    check_type(made, Topology, "topology", "return Topology([...])")
    return Emulation(made, _made(scenario, given), name=name, out=out, seed=given["seed"], **options)


def _made(value: Any, given: Mapping[str, Any]) -> Any:
    """The value, or what a function makes of those parameters that it takes."""
    if not callable(value):
        return value
    names = set(_arguments(value))
    return value(**{name: each for name, each in given.items() if name in names})


def _plain(value: Any) -> Any:
    """A parameter as JSON and tables can hold it."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
