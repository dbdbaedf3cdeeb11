"""What `ReportedRun` refuses before it starts anything, and says of a report that can't be written."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.errors import HostError, InputError
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.coordination.coordinator import Coordinator
from wotemu_runtime.coordination.outcome import Outcome

from .conftest import Invoke


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment, on a machine that passes for one that can run it."""
    monkeypatch.setattr("wotemu.emulation.reported_run.check_host", lambda: None)
    topology = Topology([Node("a", command=["true"], networks=[Network("field")])])
    return Deployment(topology, Scenario(duration="1s"), tmp_path / "deployment.py")


@pytest.fixture
def no_docker_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the package aiodocker."""
    for name in [each for each in sys.modules if each.startswith("wotemu_runtime.engines.swarm.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiodocker", None)


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end at once, well."""

    async def run(self: Coordinator) -> Outcome:
        self.outcome.status = "done"
        return self.outcome

    monkeypatch.setattr(Coordinator, "run", run)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"engine": "Local"}, "engine: there is no engine 'Local'", "one of local, swarm"),
        ({"engine": "docker"}, "engine: there is no engine 'docker'", "one of local, swarm"),
        ({"shaper": "tunn"}, "shaper: there is no shaper 'tunn'", "one of auto, tun, netem"),
        ({"thresholds": {"cpu_invalid": 1}}, "thresholds: {'cpu_invalid': 1} is a dict", "Thresholds"),
    ],
)
def test_a_wrong_option_is_refused_when_it_is_given(
    deployment: Deployment, given: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(InputError) as refused:
        ReportedRun(deployment, **given)
    assert str(refused.value) == message
    assert hint in (refused.value.hint or "")


def test_a_topology_is_no_deployment(deployment: Deployment) -> None:
    with pytest.raises(InputError, match="is a Topology"):
        ReportedRun(deployment.topology)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [["rm", "x"], ["attach", "x"], ["report", "--stack", "x"]])
@pytest.mark.usefixtures("no_docker_client")
def test_without_a_docker_client_commands_say_what_to_install(invoke: Invoke, command: list[str]) -> None:
    result = invoke(*command)
    assert result.exit_code == 2
    assert "it needs the package aiodocker" in result.stderr
    assert "pip install aiodocker" in result.stderr


@pytest.mark.usefixtures("no_docker_client", "nothing_runs")
async def test_without_a_docker_client_the_swarm_engine_says_so(
    deployment: Deployment, tmp_path: Path
) -> None:
    with pytest.raises(HostError, match="it needs the package aiodocker"):
        await ReportedRun(deployment, engine="swarm", out=tmp_path / "run").run()


@pytest.mark.usefixtures("nothing_runs")
async def test_an_emulation_runs_once_into_a_directory_given_as_text(
    deployment: Deployment, tmp_path: Path
) -> None:
    emulation = ReportedRun(deployment, out=str(tmp_path / "run"))
    emulation.stop(at_once=True)
    assert (await emulation.run()).run_dir == tmp_path / "run"
    with pytest.raises(InputError, match="it has been run already"):
        await emulation.run()


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError("in a figure")])
async def test_a_report_that_can_not_be_written_loses_no_result(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def write(_: Path) -> Path:
        raise error

    monkeypatch.setattr("wotemu.emulation.reported_run.write_report", write)
    events: list[Event] = []
    result = await ReportedRun(deployment, out=tmp_path / "run").run(events.append)
    assert isinstance(result, Result)
    assert (result.status, result.report, result.error, result.exit_code) == ("done", None, None, 3)
    assert "the report could not be written" in str(result.report_error)
    assert str(error.args[-1]) in str(result.report_error)
    assert f"wotemu report {tmp_path / 'run'}" in (result.report_error.hint or "")  # type: ignore[union-attr]
    assert events[-1].kind == "report.failed"


@pytest.mark.usefixtures("nothing_runs")
async def test_a_cancelled_run_leaves_no_task(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def write(run_dir: Path) -> Path:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(on.wait(), loop).result(10)
        return run_dir

    monkeypatch.setattr("wotemu.emulation.reported_run.write_report", write)
    running = asyncio.create_task(ReportedRun(deployment, out=tmp_path / "run").run())
    await begun.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    on.set()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, pending = await asyncio.wait(others, timeout=10)
        assert not pending
