"""The commands about emulations on a cluster: their arguments, and what they say where there is no swarm."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click
import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu.cli import main
from wotemu.cli.commands.ps import age_text, tasks_text
from wotemu_runtime.engines.swarm.inventory import Inventory, ServiceState
from wotemu_runtime.runs.emulations import ListedEmulation


@pytest.fixture(autouse=True)
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ps", "field"], "unexpected extra argument"),
        (["rm"], "give either NAMEs, or --all"),
        (["rm", "field", "--all"], "give either NAMEs, or --all"),
        (["attach"], "Missing argument 'NAME'"),
        (["attach", "no name!"], "can't name a run"),
        (["attach", "field", "other"], "unexpected extra argument"),
        (["ps"], "no answer"),
        (["rm", "--all"], "no answer"),
        (["attach", "field"], "no answer"),
    ],
)
def test_what_can_not_be_done_is_reported(invoke: Invoke, arguments: list[str], message: str) -> None:
    """With exit code 2, and no traceback."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_an_address_that_is_none_is_told(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "nonsense")
    for command in (["ps"], ["rm", "a"], ["attach", "a"], ["report", "--stack", "a"]):
        result = invoke(*command)
        assert result.exit_code == 2, result.output
        assert "DOCKER_HOST" in result.output


def test_the_local_engine_keeps_nothing(invoke: Invoke, write: Write, folder: Path) -> None:
    result = invoke("run", write(TWO_NODES), "--keep")
    assert result.exit_code == 2
    assert "--engine swarm" in result.output
    assert not (folder / "runs").exists()


def test_a_run_of_the_local_engine_can_not_be_taken_over(invoke: Invoke, folder: Path) -> None:
    """Its directory is here, and says that nothing of it can be running."""
    run_dir = folder / "runs" / "field"
    run_dir.mkdir(parents=True)
    (run_dir / "manifest.json").write_text(json.dumps({"engine": "local"}))
    result = invoke("attach", "field")
    assert result.exit_code == 2
    assert "local engine" in result.output
    assert "wotemu report runs/field" in " ".join(result.output.split())


def test_rm_says_what_removes_a_record_of_this_machine(invoke: Invoke, folder: Path) -> None:
    (folder / "runs" / "field").mkdir(parents=True)
    (folder / "runs" / "field" / "manifest.json").write_text("{}")
    assert "a record is its folder: rm -r runs/field" in " ".join(invoke("rm", "field").stderr.split())
    assert "rm -r" not in invoke("rm", "other").stderr


def service(name: str, desired: int, running: int, complete: int = 0) -> ServiceState:
    return ServiceState(name, f"agent:{name}", desired, running, complete, "")


def emulated(*services: ServiceState, **held: int) -> ListedEmulation:
    return ListedEmulation(Inventory("field", "run", 0.0, services, held, ()), "none")


@pytest.mark.parametrize(
    ("command", "argument", "typed", "completed"),
    [
        ("rm", "names", "fi", ["field", "fire"]),
        ("attach", "name", "f", ["fire"]),  # the other one has a process that drives it
    ],
)
def test_a_shell_completes_the_names_on_the_swarm(
    monkeypatch: pytest.MonkeyPatch, command: str, argument: str, typed: str, completed: list[str]
) -> None:
    async def listed() -> list[ListedEmulation]:
        driven = attrs.evolve(emulated(), coordinator="pc, process 7")
        return [driven, ListedEmulation(Inventory("fire", "run", 0.0, (), {}, ()), "none")]

    monkeypatch.setattr("wotemu_runtime.runs.emulations.list_emulations", listed)
    made = main.commands[command]
    (found,) = [each for each in made.params if each.name == argument]
    items = found.shell_complete(click.Context(made), typed)
    assert [item.value for item in items] == completed


def test_tasks_in_words() -> None:
    assert tasks_text(emulated(service("a", 3, 3), service("b", 1, 1))) == "4/4 running"
    assert tasks_text(emulated(service("a", 3, 1), service("b", 1, 1))) == "2/4 running, a 1/3"
    assert tasks_text(emulated(service("a", 3, 0, 3), service("b", 1, 1))) == "1/4 running, 3 complete"
    assert tasks_text(emulated(networks=2, secrets=1)) == "left over: 2 networks, 1 secret"


def test_ages_in_words() -> None:
    assert [age_text(s) for s in (0.4, 59.9, 61, 7500, 90000)] == ["0s", "59s", "1m 1s", "2h 5m", "1d 1h"]
