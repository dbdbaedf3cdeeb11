"""``wotemu compose`` takes what ``wotemu run`` takes, and shows the linter's warnings."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wotemu.cli import main

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
