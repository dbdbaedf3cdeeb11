"""A run directory as a run leaves it, made once and copied for tests that damage it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wotemu_report import write_report
from wotemu_report.recorded.run_data import RunData

from .synthetic import write_run


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a synthetic quickstart; only to be read."""
    return write_run(tmp_path_factory.mktemp("runs") / "quickstart")


@pytest.fixture(scope="session")
def report(quickstart: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    return write_report(quickstart, tmp_path_factory.mktemp("report"))


@pytest.fixture
def run_dir(quickstart: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(quickstart, tmp_path / "quickstart"))


@pytest.fixture(scope="session")
def run(quickstart: Path) -> RunData:
    """The synthetic quickstart, loaded."""
    return RunData.load(quickstart)
