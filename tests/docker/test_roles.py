"""How a container learns what it is: its assignment, its password, its place among a service's replicas."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wotemu.errors import EmulationError, InputError
from wotemu_runtime.bus.server import configuration
from wotemu_runtime.container import __main__ as roles
from wotemu_runtime.container import health
from wotemu_runtime.container.assignment_file import load_assignment
from wotemu_runtime.container.bus import LISTEN
from wotemu_runtime.container.health import query_role, serve_health
from wotemu_runtime.planning.code_bundle import MAX_BUNDLE, digest, pack, unpack
from wotemu_runtime.roles.container_environment import BUS_PORT

DOCUMENT: dict[str, Any] = {
    "name": "agent:sensor-1",
    "stack": "quickstart",
    "bus": {"host": "bus"},
    "data": {
        "replica": "sensor-1",
        "replicas": ["sensor-1", "sensor-2"],
        "program": {
            "app": {
                "target": "apps.py",
                "conf": {"replica": "sensor-1", "hostname": "sensor-1", "node": "sensor"},
            },
            "command": [],
            "env": {"WOTEMU_REPLICA": "sensor-1", "MODE": "x"},
            "cwd": "/",
        },
    },
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("open-sesame\n")
    return path


def test_an_assignment_from_a_file(tmp_path: Path, secret: Path) -> None:
    """The document says all but the password, which is a secret of its own."""
    path = tmp_path / "assignment.json"
    path.write_text(json.dumps(DOCUMENT))
    environ = {"WOTEMU_ASSIGNMENT": str(path), "WOTEMU_BUS_PASSWORD_FILE": str(secret)}
    assignment = load_assignment(environ)
    assert (assignment.name, assignment.stack) == ("agent:sensor-1", "quickstart")
    assert (assignment.bus.host, assignment.bus.port, assignment.bus.password) == ("bus", 6379, "open-sesame")
    assert "open-sesame" not in repr(assignment)


def test_an_assignment_from_the_environment(secret: Path) -> None:
    """A short one needs no file."""
    environ = {"WOTEMU_ASSIGNMENT": json.dumps(DOCUMENT), "WOTEMU_BUS_PASSWORD_FILE": str(secret)}
    assert load_assignment(environ).subject == "sensor-1"


def test_a_replica_by_its_slot(secret: Path) -> None:
    """The second task of a service is its second replica, in all that it is told."""
    environ = {
        "WOTEMU_ASSIGNMENT": json.dumps(DOCUMENT),
        "WOTEMU_BUS_PASSWORD_FILE": str(secret),
        "WOTEMU_SLOT": "2",
    }
    assignment = load_assignment(environ)
    assert assignment.name == "agent:sensor-2"
    assert assignment.data["replica"] == "sensor-2"
    program = assignment.data["program"]
    assert program["env"] == {"WOTEMU_REPLICA": "sensor-2", "MODE": "x"}
    assert program["app"]["conf"] == {"replica": "sensor-2", "hostname": "sensor-2", "node": "sensor"}


def test_a_stack_is_called_as_it_was_deployed(secret: Path) -> None:
    """`docker stack deploy` gives a stack its name long after its file was written."""
    environ = {"WOTEMU_ASSIGNMENT": json.dumps(DOCUMENT), "WOTEMU_BUS_PASSWORD_FILE": str(secret)}
    assert load_assignment({**environ, "WOTEMU_STACK": "tuesday"}).stack == "tuesday"


@pytest.mark.parametrize("slot", ["0", "3", "-1", "x", "{{.Task.Slot}}"])
def test_no_such_slot(secret: Path, slot: str) -> None:
    """A task beyond the replicas does not guess who it is."""
    environ = {"WOTEMU_ASSIGNMENT": json.dumps(DOCUMENT), "WOTEMU_BUS_PASSWORD_FILE": str(secret)}
    with pytest.raises(InputError, match="none of this service's 2 replicas"):
        load_assignment({**environ, "WOTEMU_SLOT": slot})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "it is not set"),
        ({"WOTEMU_ASSIGNMENT": "/nowhere"}, "can't be read"),
        ({"WOTEMU_ASSIGNMENT": "{"}, "not JSON"),
        ({"WOTEMU_ASSIGNMENT": "{}"}, "no assignment: 'bus'"),
        ({"WOTEMU_ASSIGNMENT": json.dumps({**DOCUMENT, "extra": 1})}, "no assignment"),
        ({"WOTEMU_ASSIGNMENT": json.dumps(DOCUMENT), "WOTEMU_BUS_PASSWORD_FILE": "/nowhere"}, "no password"),
        (
            {"WOTEMU_ASSIGNMENT": json.dumps(DOCUMENT), "WOTEMU_BUS_PASSWORD_FILE": "/dev/null"},
            "file is empty",
        ),
    ],
)
def test_what_is_wrong_with_an_assignment_is_told(environ: dict[str, str], message: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(InputError, match=message):
        load_assignment(environ)


def test_an_unknown_role_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, the roles that there are, and the exit code of wrong input."""
    assert roles.main(["nobody"]) == 2
    known = "agent, broker, bus, calibrate, coordinator, gateway, ingress, limits, proxy"
    assert capsys.readouterr().err == f"wotemu nobody: there is no role 'nobody' (known are {known})\n"


@pytest.mark.parametrize("role", [*roles.RUN, *roles.SERVED])
def test_roles_can_be_imported(role: str) -> None:
    """Every role's module is there."""
    assert callable({**roles.RUN, **roles.SERVED}[role]())


def test_the_bus_quotes_its_password() -> None:
    """A password of any characters is one directive."""
    lines = configuration('a"b\\c d', LISTEN, "/data").splitlines()
    assert r'requirepass "a\"b\\c d"' in lines
    assert "appendonly yes" in lines
    assert "appendonly no" in configuration("x", LISTEN).splitlines()


async def test_a_role_whose_loop_runs_is_alive() -> None:
    """Whoever asks is answered while the role serves, and not after."""
    async with serve_health("agent:sensor"):
        assert await asyncio.to_thread(query_role) == "agent:sensor lives"
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(query_role)


async def test_a_role_whose_loop_hangs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is there but does not turn its loop does not answer."""
    monkeypatch.setattr("wotemu_runtime.container.health.DEADLINE_S", 0.2)
    failed: list[OSError] = []

    def ask_it() -> None:
        try:
            query_role()
        except OSError as error:
            failed.append(error)

    async with serve_health("agent:sensor"):
        asking = threading.Thread(target=ask_it)
        asking.start()
        asking.join()  # the loop hangs meanwhile
    assert isinstance(failed[0], TimeoutError)


def test_the_health_check_is_cheap() -> None:
    """It runs every few seconds in every container: it imports little, and not this package."""
    code = f"import sys; exec(open({health.__file__!r}).read(), {{}}); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not set(ran.stdout.split()) & {
        "asyncio",
        "contextlib",
        "json",
        "pathlib",
        "re",
        "typing",
        "wotemu",
    }


def test_the_health_check_and_the_bus_agree_on_the_port() -> None:
    """The check runs without the package, so it has a copy of the number."""
    assert health.BUS_PORT == BUS_PORT


class TestBundle:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        root = tmp_path / "topology"
        for name, text in {
            "quickstart.py": "x = 1",
            "apps/sensor.py": "y = 2",
            "run.sh": "#!/bin/sh",
            ".git/config": "secret",
            ".env": "secret",
            "__pycache__/a.pyc": "cache",
            "runs/1/manifest.json": "{}",
            "env/pyvenv.cfg": "",
            "env/lib/big.py": "z",
        }.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "run.sh").chmod(0o755)
        (root / "out").symlink_to("/etc")
        (root / "passwd").symlink_to("/etc/passwd")
        return root

    def test_what_travels(self, folder: Path, tmp_path: Path) -> None:
        """Code does; hidden files, caches, environments, runs, and links out of the folder don't."""
        bundle = pack(folder)
        target = tmp_path / "there"
        unpack(bundle, target, digest(bundle))
        found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
        assert found == {"quickstart.py", "apps/sensor.py", "run.sh"}
        assert (target / "apps/sensor.py").read_text() == "y = 2"
        assert (target / "run.sh").stat().st_mode & 0o777 == 0o755

    def test_the_same_folder_gives_the_same_bytes(self, folder: Path, tmp_path: Path) -> None:
        """Whenever, and wherever, it was written."""
        copy = tmp_path / "copy"
        first = pack(folder)
        unpack(first, copy, digest(first))
        assert pack(copy) == first

    def test_a_folder_that_is_too_large(self, folder: Path) -> None:
        """It is told before anything starts, with the way out."""
        (folder / "data.bin").write_bytes(b"".join(bytes([i * i % 251]) for i in range(10)) * 10)
        assert len(pack(folder)) < MAX_BUNDLE
        import random

        (folder / "data.bin").write_bytes(random.Random(1).randbytes(MAX_BUNDLE))
        with pytest.raises(InputError, match="when packed") as raised:
            pack(folder)
        assert "Node(image=...)" in str(raised.value.hint)

    def test_another_bundle_is_refused(self, folder: Path, tmp_path: Path) -> None:
        """A node runs the code that was meant, or none."""
        with pytest.raises(EmulationError, match="not the bundle"):
            unpack(pack(folder), tmp_path / "there", "0" * 64)


BUS_ROLE = """
import asyncio, pathlib, signal, subprocess, sys, time
from wotemu_runtime.bus import BusAddress, BusClock, connect

def processes():
    paths = pathlib.Path("/proc").glob("[0-9]*/cmdline")
    found = b"wotemu_runtime.container\\0bus"
    return [path for path in paths if path.exists() and found in path.read_bytes()]

async def look():
    client = await connect(BusAddress("open-sesame", host="127.0.0.1"), deadline_s=30)
    clock = await BusClock.measured(client)
    print(clock)
    await client.aclose()

command = [sys.executable, "-m", "wotemu_runtime.container", "bus"]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
asyncio.run(look())
server.send_signal(signal.SIGTERM)
server.wait()
deadline = time.monotonic() + 20
while processes() and time.monotonic() < deadline:
    time.sleep(0.1)
print(len(processes()))
"""


@pytest.mark.namespaces
def test_a_bus_s_container_keeps_its_time_and_ends_with_its_server(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open-sesame")
    inside = 'ip link set lo up && mount -t proc proc /proc && exec "$0" -c "$1"'
    unshare = ["unshare", "--map-root-user", "--net", "--pid", "--mount", "--fork", "--kill-child"]
    done = subprocess.run(
        [*unshare, "sh", "-c", inside, sys.executable, BUS_ROLE],
        env={**os.environ, "WOTEMU_BUS_PASSWORD_FILE": str(tmp_path / "password")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["BusClock(the bus's own)", "0"], done.stderr
