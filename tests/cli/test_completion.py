"""Shells complete files, runs and names in runs: their scripts, in interactive shells."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wotemu.cli.completion_scripts import SCRIPTS
from wotemu_runtime.control.socket_path import listening_socket

TOPOLOGY = {
    "nodes": [
        {"name": "phone", "scale": 2, "networks": [{"network": "field"}]},
        {"name": "sensor", "scale": 1, "networks": [{"network": "field"}]},
    ],
    "networks": [{"name": "field"}],
    "brokers": [],
    "services": [],
}
WAIT_S = 30.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with deployments, a recorded run, and the socket of a run that goes on."""
    folder = tmp_path_factory.mktemp("completion")
    for name in ("street.py", "street.txt", "two words.yml", "examples/roaming.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    run = folder / "runs" / "yesterday"
    run.mkdir(parents=True)
    (run / "manifest.json").touch()
    (run / "tables").mkdir()
    (run / "tables" / "interactions.parquet").touch()
    (run / "topology.json").write_text(json.dumps(TOPOLOGY))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        with _answering("today", run):
            yield folder


@pytest.fixture(autouse=True)
def sees_its_run(world: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands look for runs where the world's one is."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(world))


@contextlib.contextmanager
def _answering(name: str, run_dir: Path) -> Iterator[None]:
    """The control socket of a run, which answers every request with its status."""
    status = {"name": name, "pid": 1, "engine": "local", "doing": "running", "now_s": 1.0, "duration_s": 9.0}
    counts = {"phase": "run", "nodes": 3, "networks": 1, "run_dir": str(run_dir), "events": 0}
    with listening_socket(name) as (_, listener):
        listener.setblocking(True)

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(5)
                        if connection.recv(65536):
                            connection.sendall(json.dumps({"reply": {**status, **counts}}).encode() + b"\n")

        threading.Thread(target=answer, daemon=True).start()
        yield
        listener.shutdown(2)


class Shell:
    """An interactive shell in a terminal of its own."""

    def __init__(self, argv: list[str], folder: Path) -> None:
        """Start it."""
        pid, self._terminal = pty.fork()
        if not pid:
            os.chdir(folder)
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            env = {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "$ ", "COLUMNS": "200"}
            os.execvpe(argv[0], argv, env)
        self._pid, self._seen = pid, ""

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._terminal, text.encode())

    def until(self, pattern: str) -> str:
        """Read until the pattern has been printed since the last call, and return what was printed."""
        while not re.search(pattern, _shown(self._seen)):
            ready, _, _ = select.select([self._terminal], [], [], WAIT_S)
            assert ready, f"no {pattern!r} in {self._seen!r}"
            self._seen += os.read(self._terminal, 65536).decode(errors="replace")
        seen, self._seen = _shown(self._seen), ""
        return seen

    def end(self) -> None:
        """Kill it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


def _shown(printed: str) -> str:
    """What is printed, with what backspaces have overwritten."""
    shown: list[str] = []
    place = 0
    for character in printed:
        if character == "\b":
            place -= 1
        elif character != "\a":
            shown[place : place + 1] = [character]
            place += 1
    return "".join(shown)


@pytest.fixture(scope="module")
def bash(world: Path) -> Iterator[Shell]:
    """bash with the script, without its own start files."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    shell = Shell(["bash", "--norc", "--noprofile", "-i"], world)
    shell.send('bind "set enable-bracketed-paste off"; eval "$(wotemu completion bash)"; echo re""ady\n')
    shell.until("ready")
    yield shell
    shell.end()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("plan st", "plan street.py "),
        ("plan ex", "plan examples/"),
        ("plan two", r"plan two\ words.yml "),
        ("report yes", "report yesterday "),
        ("exec to", "exec today "),
        ("exec today se", "exec today sensor "),
        ("logs yesterday se", "logs yesterday sensor "),
        ("export yesterday --table in", "export yesterday --table interactions "),
        ("set today phone@f", "set today phone@field"),
        ("set today sensor,phone@f", "set today sensor,phone@field"),
        ("set today field lat", "set today field latency="),
    ],
)
def test_bash_completes(bash: Shell, typed: str, completed: str) -> None:
    bash.send(f"\x15echo wotemu; wotemu {typed}\t")
    bash.until(re.escape(f"; wotemu {completed}") + "$")
    bash.send("\x15")


def test_bash_lists_what_there_is(bash: Shell) -> None:
    bash.send("\x15wotemu exec today \t\t")
    seen = bash.until(r"phone-1\s+phone-2\s+sensor")
    assert "field" not in seen
    bash.send("\x15wotemu plan \t\t")
    seen = bash.until("words.yml")
    assert "street.py" in seen and "street.txt" not in seen


def test_other_shells_complete_the_same(world: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    code = f'{SCRIPTS["fish"]}; complete -C "wotemu exec today "; complete -C "wotemu plan ex"'
    argv = ["fish", "--no-config", "-c", code]
    done = subprocess.run(
        argv,
        cwd=world,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["phone-1", "phone-2", "sensor", "examples/"]


def test_zsh_completes(world: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("there is no zsh")
    shell = Shell(["zsh", "-f", "-i"], world)
    try:
        shell.send("unset zle_bracketed_paste; autoload -U compinit; compinit -u -D\n")
        shell.send('eval "$(wotemu completion zsh)"; echo re""ady\n')
        shell.until("ready")
        shell.send("wotemu exec today se\t")
        shell.until("exec today sensor ")
        shell.send("\x15wotemu plan ex\t")
        shell.until("plan examples/")
    finally:
        shell.end()
