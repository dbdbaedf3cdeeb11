"""A deployment is a test: the marker and fixtures of the pytest plugin, in a pytest of their own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests with this plugin and pytest-asyncio, and no other."""
    (folder / "test_it.py").write_text(textwrap.dedent(tests))
    plugins = ["-p", "pytest_asyncio.plugin", "-p", "wotemu.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", *plugins, *options]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


DEPLOYMENT = """
    import pytest
    from wotemu import Network, Node, Scenario, Topology, event

    field = Network("field")
    topology = Topology([Node("a", command=["sleep", "60"], networks=[field], scale=2)])
"""


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
def test_a_deployment_runs_beside_its_test_and_a_failure_names_its_record(tmp_path: Path) -> None:
    tests = """
    @pytest.mark.wotemu(topology)
    async def test_crash(emulation):
        await emulation.crash("a-2")
        await emulation.wait_for(event("app.exited"), timeout="10s")

    @pytest.mark.wotemu(topology, Scenario(duration="2s"))
    def test_end(recorded_run):
        assert recorded_run.status == "failed"
    """
    done = run_pytest(tmp_path, DEPLOYMENT + tests, "--wotemu-out", "kept")
    assert "1 failed, 1 passed" in done.stdout
    assert "the run is recorded in kept/test_end" in done.stdout
    assert (tmp_path / "kept" / "test_crash" / "events.jsonl").is_file()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "def test_it(recorded_run): ...")
    assert "mark the test with what runs: @pytest.mark.wotemu(topology, scenario)" in done.stdout
    assert (
        "@pytest.mark.wotemu(topology, scenario, **options)" in run_pytest(tmp_path, "", "--markers").stdout
    )


def test_pytest_loads_it_without_loading_what_runs_emulations() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"wotemu": "wotemu.pytest_plugin"}
    script = "import wotemu.pytest_plugin, sys; print([m for m in sys.modules if m.startswith('wotemu')])"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert set(ast.literal_eval(loaded)) == {"wotemu", "wotemu.lazy_names", "wotemu.pytest_plugin"}
