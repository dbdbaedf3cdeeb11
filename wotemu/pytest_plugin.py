"""Deployments as tests: a marker that says what runs, and fixtures that run it.

    @pytest.mark.wotemu(topology, scenario)               # or a file: @pytest.mark.wotemu("deployment.py")
    async def test_readers_survive_an_outage(emulation):  # needs pytest-asyncio
        await emulation.at("15s")                         # all read by then
        await emulation.partition(["reader"], ["sensor"])
        await emulation.wait_for(metric("reader.read_failures") > 0, timeout="30s")

    @pytest.mark.wotemu("deployment.py", duration="20s")
    def test_all_of_it(recorded_run):                     # runs the scenario to its end
        assert recorded_run.verdict == "VALID"

A test fails by the objectives of its scenario, `Scenario(expect=[...])`, without a line of its own.

pytest loads this module in every project; it imports WoTemu only once a fixture is used.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wotemu.emulation.emulation import Emulation
    from wotemu.recorded_run import RecordedRun

async_fixture: Any
try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:
    async_fixture = None

MARKER = (
    "wotemu(topology, scenario, **options): what the fixtures `emulation` and `recorded_run` run; or"
    " wotemu('deployment.py', **options), relative to the test's file. Options are those of wotemu.Emulation."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line's options."""
    group = parser.getgroup("wotemu", "deployments as tests")
    group.addoption(
        "--wotemu-engine",
        choices=("local", "swarm"),
        help="the engine of all deployments [default: the marker's]",
    )
    group.addoption(
        "--wotemu-out", metavar="DIR", help="where runs are recorded [default: the test's temporary folder]"
    )
    group.addoption(
        "--wotemu-strict",
        action="store_true",
        help="fail tests whose fidelity certificate says INVALID",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Say at a failed test where its run is recorded."""
    outcome = yield
    run_dir = getattr(item, "wotemu_run_dir", None)
    report = outcome.get_result()
    if report.failed and run_dir is not None:
        report.sections.append(("wotemu", f"the run is recorded in {run_dir}\nwotemu report {run_dir}"))


@pytest.fixture
def recorded_run(request: pytest.FixtureRequest, tmp_path: Path) -> RecordedRun:
    """The marked deployment, run to its end."""
    from wotemu.emulation.unattended import run_sync

    topology, scenario, options = _given(request, tmp_path)
    _remember(request, options["out"])
    found = run_sync(topology, scenario, **options)
    _check(request, found)
    return found


async def _emulation(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Emulation]:
    """The marked deployment, as a run whose scenario has begun. It is ended after the test."""
    from wotemu.emulation.emulation import Emulation

    topology, scenario, options = _given(request, tmp_path)
    _remember(request, options["out"])
    async with Emulation(topology, scenario, **options) as running:
        await running.ready()
        yield running
    _check(request, running.result)


def _needs_asyncio() -> None:
    """The marked deployment, while it runs: without pytest-asyncio, why there is none."""
    pytest.fail("the fixture `emulation` needs pytest-asyncio: pip install pytest-asyncio", pytrace=False)


_declare = pytest.fixture if async_fixture is None else async_fixture
emulation = _declare(name="emulation")(_needs_asyncio if async_fixture is None else _emulation)


def _given(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any, dict[str, Any]]:
    """The topology, scenario and options of a test's marker."""
    marker = request.node.get_closest_marker("wotemu")
    if marker is None or not marker.args:
        pytest.fail("mark the test with what runs: @pytest.mark.wotemu(topology, scenario)", pytrace=False)
    config, options = request.config, dict(marker.kwargs)
    topology, scenario = (*marker.args, None)[:2]
    if isinstance(topology, str | Path):
        from wotemu.deployment_file import load

        deployment = load(request.path.parent / topology)
        topology, scenario = deployment.topology, scenario or deployment.scenario
        options.setdefault("root", deployment.root)
    else:
        options.setdefault("root", request.path.parent)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", request.node.name)[:40].strip("-_") or "test"
    options.setdefault("name", name)
    if engine := config.getoption("--wotemu-engine"):
        options["engine"] = engine
    folder = config.getoption("--wotemu-out")
    options.setdefault("out", Path(folder) / name if folder else tmp_path / "run")
    return topology, scenario, options


def _remember(request: pytest.FixtureRequest, run_dir: Any) -> None:
    request.node.wotemu_run_dir = run_dir


def _check(request: pytest.FixtureRequest, found: RecordedRun) -> None:
    """Fail the test by the certificate, if asked to, and by the scenario's objectives."""
    if request.config.getoption("--wotemu-strict") and found.verdict == "INVALID":
        pytest.fail(f"the emulation did not do what its scenario says: {found.certificate}", pytrace=False)
    # A test that ends its run early leaves objectives without data; those say nothing against it.
    is_partial = found.status == "interrupted"
    outcomes = found.objectives
    missed = [each for each in outcomes.worst_first if not each.has_passed]
    if is_partial:
        missed = [each for each in missed if each.state != "no data"]
    if missed:
        pytest.fail("\n".join([outcomes.summary, *(each.sentence for each in missed)]), pytrace=False)
