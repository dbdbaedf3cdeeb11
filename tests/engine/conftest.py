"""Running whole emulations, and a bus of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import attrs
import pytest

from tests.conftest import Require
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.errors import HostError
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Topology
from wotemu_gateways.netem import kernel_support
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.bus.server import configuration, find_server, unix_socket
from wotemu_runtime.engines.local.host_check import check_host

PASSWORD = "open-sesame"


@attrs.frozen
class Ran:
    """A finished emulation: its result, its events, and what its nodes printed."""

    result: Result
    events: list[Event]

    def of_kind(self, kind: str, source: str | None = None) -> list[Event]:
        return [event for event in self.events if event.kind == kind and source in (None, event.source)]

    def log(self, replica: str) -> list[str]:
        return (self.result.run_dir / "logs" / f"{replica}.log").read_text().splitlines()


Emulate = Callable[[Topology, Scenario], Awaitable[Ran]]


@pytest.fixture
def namespaces(require: Require) -> None:
    """This machine can run the local engine."""
    try:
        check_host()
        subprocess.run(["unshare", "-Urn", "true"], check=True, capture_output=True)
    except (HostError, subprocess.CalledProcessError, FileNotFoundError) as error:
        require(False, f"the local engine can't run here: {error}")


@pytest.fixture(scope="session")
def has_netem() -> bool:
    """Whether this machine's kernel has NetEm."""
    return not kernel_support.missing_in_new_namespace()


PACE = float(os.environ.get("WOTEMU_TEST_PACE", "1"))
"""How much more time tests give: on a machine where a program takes seconds to start, say 3."""


def paced(seconds: float) -> str:
    """A duration at this machine's pace."""
    return f"{seconds * PACE:g}s"


@pytest.fixture
def emulate(namespaces: None, tmp_path: Path) -> Emulate:
    """Runs a topology and scenario to the end, within a minute at this machine's pace."""

    async def run(topology: Topology, scenario: Scenario) -> Ran:
        events: list[Event] = []
        deployment = Deployment(topology, scenario, tmp_path / "deployment.py")
        async with asyncio.timeout(60 * PACE):
            result = await ReportedRun(deployment, out=tmp_path / "run").run(events.append)
        return Ran(result, events)

    return run


@attrs.define
class BusServer:
    """A Valkey that tests may stop and start; its data is gone each time."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> BusAddress:
        return BusAddress(PASSWORD, path=str(self.folder / "bus.sock"))

    def start(self) -> None:
        (self.folder / "bus.conf").write_text(configuration(PASSWORD, unix_socket("bus.sock")))
        self.process = subprocess.Popen(
            [find_server(), "bus.conf"], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        (self.folder / "bus.sock").unlink(missing_ok=True)


@pytest.fixture
def bus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusServer]:
    server = BusServer(tmp_path_factory.mktemp("bus"))
    assert len(server.address.path or "") < 108, "a Unix socket's path is at most 107 bytes long"
    server.start()
    yield server
    server.stop()


@pytest.fixture
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    """The test leaves no process of its sandbox behind."""
    yield
    assert processes_printing_into(tmp_path) == []


def processes_printing_into(folder: Path) -> list[int]:
    """Every process whose standard error is a file below `folder`, as all of a run's roles have it."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdigit() and (path / "fd" / "2").readlink().is_relative_to(folder):
                found.append(int(path.name))
    return found
