"""``wotemu compose`` takes what ``wotemu run`` takes, and shows the linter's warnings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wotemu.cli import main
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.container import coordinator
from wotemu_runtime.engines.swarm.compose import folder_of
from wotemu_runtime.roles.assignment import Assignment

DEPLOYMENT = """
from wotemu.scenario import Scenario, during
from wotemu.topology.models import *

field = Network("field", NetworkConditions(latency="10ms", rate="10mbit", queue="1K"))

def topology():
    return Topology([Node("a", command=["true"], networks=[field])])

def scenario():
    return Scenario(duration="9s", events=[during(0, 9).random_walk(field, loss=(0, "9%"))])
"""


def compose(folder: Path, *arguments: str) -> Result:
    (folder / "deployment.py").write_text(DEPLOYMENT)
    paths = ["--path", str(folder / "deployment.py"), "--output", str(folder / "docker-compose.yml")]
    return CliRunner().invoke(main, ["compose", *paths, *arguments])


def test_warnings_go_to_stderr(tmp_path: Path) -> None:
    result = compose(tmp_path)
    assert result.exit_code == 0
    assert "warning: field: queue 1KiB is smaller than the rate-delay product" in result.stderr
    assert "warning: " not in result.stdout


@pytest.mark.parametrize("arguments", [("--seed", "7"), ("--duration", "5s")])
def test_another_seed_or_duration_is_another_deployment(tmp_path: Path, arguments: tuple[str, str]) -> None:
    written = tmp_path / "docker-compose.yml"
    compose(tmp_path)
    usual = written.read_text()
    assert compose(tmp_path, *arguments).exit_code == 0
    other = written.read_text()
    assert other != usual
    compose(tmp_path, *arguments)
    assert written.read_text() == other


@pytest.mark.parametrize("shaper", ["tun", "netem"])
def test_gateways_take_the_shaper_that_is_chosen(tmp_path: Path, shaper: str) -> None:
    assert compose(tmp_path, "--shaper", shaper).exit_code == 0
    (gateway,) = folder_of(tmp_path / "docker-compose.yml").glob("gateway-field-*")
    assert json.loads(gateway.read_bytes())["data"]["shaper"] == shaper


FORM = """
networks:
  field: {conditions: {latency: 10ms}}
nodes:
  a: {command: [cat, data.txt], networks: [field]}
scenario:
  duration: 9s
"""


@pytest.mark.parametrize("suffix", [".yml", ".py"])
def test_the_stacks_coordinator_plans_the_same_run_of_the_code_that_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    source, written = tmp_path / f"deployment{suffix}", tmp_path / "stack.yml"
    source.write_text(FORM if suffix == ".yml" else DEPLOYMENT)
    (tmp_path / "data.txt").write_text("hello")
    result = CliRunner().invoke(main, ["compose", "--path", str(source), "--output", str(written)])
    assert result.exit_code == 0, result.output
    monkeypatch.setattr(coordinator, "CODE_DIR", tmp_path / "unpacked")
    files = list(folder_of(written).iterdir())
    orders = json.loads(next(path for path in files if "coordinator" in path.name).read_bytes())
    orders["data"]["bundle"]["path"] = str(next(path for path in files if "code" in path.name))
    given = Assignment(
        name=orders["name"],
        stack=orders["stack"],
        bus=BusAddress("secret", host="bus"),
        data=orders["data"],
    )
    run = coordinator._planned(given, coordinator.ComposedRun(coordinator.DeployedEngine(given)))
    assert [node.name for node in run.plan.topology.nodes] == ["a"]
    assert (tmp_path / "unpacked" / "data.txt").read_text() == "hello"
    assert not (tmp_path / "unpacked" / "stack.yml").exists()


def test_the_file_is_beside_the_deployment(tmp_path: Path) -> None:
    for name in ("deployment.py", "form.yml"):
        (tmp_path / name).write_text(DEPLOYMENT if name.endswith(".py") else FORM)
    (tmp_path / "data.txt").write_text("data")
    for name, written in (("deployment.py", "deployment.yml"), ("form.yml", "form.compose.yml")):
        result = CliRunner().invoke(main, ["compose", "--path", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
        assert (tmp_path / written).is_file()


@pytest.mark.parametrize(("arguments", "duration_s"), [((), 365 * 86_400.0), (("--duration", "5s"), 5.0)])
def test_without_a_scenario_a_stack_runs_until_it_is_stopped(
    tmp_path: Path, arguments: tuple[str, ...], duration_s: float
) -> None:
    file = tmp_path / "deployment.py"
    file.write_text(DEPLOYMENT.partition("def scenario")[0])
    result = CliRunner().invoke(main, ["compose", "--path", str(file), *arguments])
    assert result.exit_code == 0, result.output
    (orders,) = folder_of(tmp_path / "deployment.yml").glob("coordinator-*")
    assert f'"duration_s": {duration_s}' in orders.read_text()


def test_a_file_that_it_did_not_write_is_not_overwritten_unless_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "field.py").write_text(DEPLOYMENT)
    other = tmp_path / "field.yml"
    other.write_text("nodes: {}\n")  # such as wotemu plan --as-yaml
    command = ["compose", "--path", str(tmp_path / "field.py")]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 2 and "--output" in refused.stderr and "field.compose.yml" in refused.stderr
    assert other.read_text() == "nodes: {}\n"
    assert CliRunner().invoke(main, [*command, "--output", str(other)]).exit_code == 0
    assert CliRunner().invoke(main, command).exit_code == 0  # its own


def test_published_ports_are_refused_as_no_machine_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        globals(), "DEPLOYMENT", DEPLOYMENT.replace("[field])", "[field], publish={8080: 80})")
    )
    result = compose(tmp_path)
    assert result.exit_code == 2
    assert "a composed stack publishes no ports of nodes" in result.stderr
    assert "Node 'a', field 'publish'" in result.stderr
    assert "wotemu run --engine swarm" in " ".join(result.stderr.split())
    assert not (tmp_path / "docker-compose.yml").exists()
