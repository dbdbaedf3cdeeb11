"""Run directories of this machine: those under ``runs/``, and the one that a command names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from wotemu.errors import InputError
from wotemu.suggestions import did_you_mean
from wotemu.wording import counted

RUNS = Path("runs")
"""Where runs are recorded unless ``--out`` says otherwise."""


@attrs.frozen
class LocalRun:
    """A run directory at a glance.

    Attributes:
        name: The directory's name.
        started: Epoch seconds; None where the manifest can't be read.
        length_s: From T0 to its end; None where it did not get to T0, or goes on.
        status: ``running``, ``done``, ``interrupted``, ``failed``; ``unreadable`` with a damaged manifest.
        verdict: The certificate's; "" without one.
        bytes: Of all its files.
    """

    name: str
    run_dir: Path
    started: float | None
    length_s: float | None
    status: str
    verdict: str
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**attrs.asdict(self), "run_dir": str(self.run_dir)}


def run_folders(folder: Path = RUNS) -> list[Path]:
    """The run directories in a folder, by name."""
    try:
        return sorted(each for each in folder.iterdir() if (each / "manifest.json").is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"it can't be read: {error.strerror}", where=str(folder)) from error


def folders_of_runs(folder: Path = RUNS) -> dict[Path, int]:
    """The folders in a folder that `wotemu repeat`, `search` or a sweep made, and how many runs each has."""
    with contextlib.suppress(OSError):
        found = sorted(each for each in folder.iterdir() if (each / "sweep.json").is_file())
        return {each: len(run_folders(each)) for each in found}
    return {}


def page_of_runs(given: str) -> Path | None:
    """The page of a folder of runs, by its path or its name under ``runs/``: `wotemu search` writes one."""
    pages = (
        folder / "index.html" for folder in (Path(given), RUNS / given) if (folder / "sweep.json").is_file()
    )
    return next((page for page in pages if page.is_file()), None)


def local_runs(folder: Path = RUNS) -> list[LocalRun]:
    """The runs that are recorded in a folder, the newest last."""
    return sorted(map(_local_run, run_folders(folder)), key=lambda run: run.started or 0.0)


def found_run(given: str) -> Path:
    """The run directory that a user means: a path, or the name of one under ``runs/``.

    Raises:
        InputError: There is none.
    """
    for path in (Path(given), RUNS / given):
        if (path / "manifest.json").is_file():
            return path
    for folder in (Path(given), RUNS / given):
        if (folder / "sweep.json").is_file() and (runs := run_folders(folder)):
            count = counted(len(runs), "run")
            raise InputError(f"it is a folder of {count}", where=given, hint=f"give one, such as {runs[0]}")
    what = "there is no run here" if Path(given).is_dir() else "there is no such run"
    known = [path.name for path in (*run_folders(), *folders_of_runs())]
    hint = did_you_mean(given, known) if known else None
    raise InputError(what, where=given, hint=hint or "give a run's directory, or its name under runs/")


def newest_run() -> Path:
    """The run under ``runs/`` that began last.

    Raises:
        InputError: There is none.
    """
    runs = local_runs()
    if not runs:
        raise InputError("there are no runs", where=f"{RUNS}/", hint="give a run's directory, or run one")
    return runs[-1].run_dir


def _local_run(run_dir: Path) -> LocalRun:
    from wotemu.recorded_run import RecordedRun
    from wotemu_runtime.recording.run_directory import is_being_recorded

    size = sum(_sizes(run_dir))
    try:
        manifest = RecordedRun(run_dir).manifest
    except InputError:
        return LocalRun(run_dir.name, run_dir, None, None, "unreadable", "", size)
    is_over = manifest.t0 is not None and manifest.ended is not None
    goes_on = is_being_recorded(run_dir)
    return LocalRun(
        name=run_dir.name,
        run_dir=run_dir,
        started=manifest.started,
        length_s=manifest.ended - manifest.t0 if is_over and not goes_on else None,  # type: ignore[operator]
        status="running" if goes_on else manifest.status,
        verdict=manifest.certificate.verdict if manifest.certificate is not None else "",
        bytes=size,
    )


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a run that goes on replaces files
                yield Path(parent, name).lstat().st_size
