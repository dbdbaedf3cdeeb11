"""The examples are valid, and run: the deployments with the command, that of the Python API as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from tests.conftest import Require
from wotemu.cli import main
from wotemu.deployment_file import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NO_DEPLOYMENTS = {"live.py"}
DEPLOYMENTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.name not in NO_DEPLOYMENTS)
RUN_ELSEWHERE = {"quickstart", "roaming"}
"""Examples that other tests run."""
PROGRAMS = {"mixed_languages": ("cc", "node", "bash")}
"""What examples need that WoTemu does not."""


def need_programs(name: str, require: Require) -> None:
    """Skip where this machine lacks a program of the example's."""
    for program in PROGRAMS.get(name, ()):
        require(shutil.which(program) is not None, f"there is no program `{program}` here")


def test_each_is_in_the_list() -> None:
    text = (EXAMPLES / "README.md").read_text()
    files = [*(f"{name}.py" for name in DEPLOYMENTS), "live.py", "api.ipynb"]
    assert [name for name in files if f"[{name}]({name})" not in text] == []


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, require: Require) -> None:
    """The deployment is refused before anything starts."""
    require(shutil.which("bash") is not None, "there is no program `bash` here")
    found = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, *a, **k: None if name == "node" else found(name, *a, **k)
    )
    done = CliRunner().invoke(main, ["validate", str(EXAMPLES / "mixed_languages.py")])
    assert done.exit_code == 2, done.output
    assert "there is no program 'node'" in " ".join(done.output.split())


def test_loading_starts_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is only looked at leaves the machine as it was."""

    def refuse(*given: object, **_: object) -> None:
        raise AssertionError(f"{given} is started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    for name in DEPLOYMENTS:
        load(EXAMPLES / f"{name}.py")


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_run_would_start(name: str, require: Require) -> None:
    need_programs(name, require)
    done = CliRunner().invoke(main, ["validate", str(EXAMPLES / f"{name}.py")])
    assert done.exit_code == 0, done.output


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("name", [each for each in DEPLOYMENTS if each not in RUN_ELSEWHERE])
def test_it_runs(name: str, tmp_path: Path, require: Require) -> None:
    """For eight seconds: its nodes interact, and none crashes but the one that is there to crash."""
    need_programs(name, require)
    if name.startswith("surveillance"):
        require(find_spec("cv2") is not None, "OpenCV is not installed: the extra `vision`")
    argv = [sys.executable, "-m", "wotemu.cli", "run", str(EXAMPLES / f"{name}.py"), "--duration", "8s", "-q"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: an objective needs a longer run
    run_dir = tmp_path / "runs" / name
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    crashed = {event["source"] for event in events if event["kind"] == "app.crashed"}
    assert crashed <= {"agent:flaky"}, done.stdout
    interactions = pl.read_parquet(run_dir / "tables" / "interactions.parquet")
    assert interactions.filter(pl.col("role") == "consumer", pl.col("status") == "ok").height > 10
    assert (run_dir / "report" / "index.html").is_file()


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
def test_the_live_example_runs_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "live.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert "set phone@field latency=300ms" in done.stdout
    assert done.stdout.count("done") == 4, "the runs of its sweep"
    assert (tmp_path / "runs" / "live" / "events.jsonl").is_file()
