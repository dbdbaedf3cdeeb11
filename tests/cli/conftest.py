"""The command line, called in this process or as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result

from tests.cli.fake_run import FakeRun, fake_run
from tests.conftest import Require
from wotemu.cli import main
from wotemu.errors import HostError
from wotemu_runtime.engines.local.host_check import check_host

PREAMBLE = """
from wotemu.scenario import Phase, Scenario, at
from wotemu.topology.models import *

net = Network("field", NetworkConditions(latency="5ms"))
"""

TWO_NODES = """
def topology():
    return Topology([
        Node("pinger", command=["ping", "-i", "0.2", "target"], networks=[net]),
        Node("target", command=["sleep", "100"], networks=[net]),
    ])

def scenario():
    return Scenario(
        duration="3s",
        phases=[Phase("calm", 0), Phase("slow", "1s")],
        events=[at("1s").set(net, latency="50ms"), at("2s").partition("pinger")],
    )
"""

Invoke = Callable[..., Result]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in an empty folder of its own, and sees no runs but its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Iterator[FakeRun]:
    """A run named yard, whose control socket is served."""
    with fake_run(folder) as run:
        yield run


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a deployment's file, with the usual imports and one network at its top."""

    def file(text: str, name: str = "deployment.py") -> Path:
        path = folder / name
        path.write_text(PREAMBLE + textwrap.dedent(text))
        return path

    return file


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Calls the command line in this process, on a machine that passes for one that can run it."""
    monkeypatch.setattr("wotemu.emulation.reported_run.check_host", lambda: None)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def namespaces(require: Require) -> None:
    """This machine can run the local engine."""
    try:
        check_host()
        subprocess.run(["unshare", "-Urn", "true"], check=True, capture_output=True)
    except (HostError, subprocess.CalledProcessError, FileNotFoundError) as error:
        require(False, f"the local engine can't run here: {error}")


def command_line(*arguments: object) -> list[str]:
    """The command as the shell would find it."""
    return [sys.executable, "-m", "wotemu.cli", *map(str, arguments)]


@attrs.define
class Running:
    """A command that runs, its output read line by line."""

    process: subprocess.Popen[str]
    lines: list[str] = attrs.field(factory=list)

    def until(self, text: str) -> str:
        """Read its lines to the first that has `text` in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"it ended without {text!r}:\n" + "\n".join(self.lines) + self._errors())

    def hit(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self, timeout_s: float = 60) -> int:
        """Read the rest; its exit code."""
        out, self.errors = self.process.communicate(timeout=timeout_s)
        self.lines += out.splitlines()
        return self.process.returncode

    errors: str = ""

    def _errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)


Start = Callable[..., Running]


@pytest.fixture
def start(namespaces: None) -> Iterator[Start]:
    """Starts the command in a process of its own, which Ctrl-C reaches whoever runs the tests."""
    started: list[Running] = []

    def command(*arguments: object, **environment: str) -> Running:
        process = subprocess.Popen(
            command_line(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
        )
        started.append(Running(process))
        return started[-1]

    yield command
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()
