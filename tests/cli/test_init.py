"""``wotemu init``: what it writes plans and runs as it is, and nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, Start


def test_the_deployment_can_be_planned_as_it_is(invoke: Invoke) -> None:
    made = invoke("init", "farm")
    assert made.exit_code == 0, made.output
    assert "wotemu run farm/deployment.py" in made.output
    planned = invoke("plan", "farm/deployment.py", "--json")
    assert planned.exit_code == 0, planned.output
    plan = json.loads(planned.stdout)
    assert plan["warnings"] == [] and plan["changes"]


@pytest.mark.parametrize("name", ["deployment.py", "app.py"])
def test_nothing_is_overwritten(invoke: Invoke, folder: Path, name: str) -> None:
    (folder / name).write_text("mine")
    result = invoke("init", ".")
    assert result.exit_code == 2
    assert "it is there already" in result.stderr and name in result.stderr
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


def test_a_folder_that_can_not_be_made_is_an_error(invoke: Invoke, folder: Path) -> None:
    (folder / "file").write_text("")
    result = invoke("init", "file/farm")
    assert result.exit_code == 2
    assert "can't be written" in result.stderr


@pytest.mark.namespaces
def test_the_deployment_runs_as_it_is(invoke: Invoke, start: Start, folder: Path) -> None:
    invoke("init", "farm")
    running = start("run", "farm/deployment.py", "--name", "farm")
    assert running.finish() == 0, running.errors
    manifest = json.loads((folder / "runs/farm/manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["records"]["interactions"] > 0


def test_what_is_wrong_with_a_compose_file_has_its_path(invoke: Invoke, folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep/compose.yml").write_text("services: [x\n")
    (folder / "deep/other.yml").write_text("services: 5\n")
    assert "where: deep/compose.yml:2:1" in invoke("init", "farm", "--from", "deep/compose.yml").stderr
    assert "where: deep/other.yml:1:11, services" in invoke("init", "farm", "--from", "deep/other.yml").stderr
    assert not (folder / "farm").exists()
