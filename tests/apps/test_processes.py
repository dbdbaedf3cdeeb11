"""Which processes belong to a node's app, and how all of them end at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import Require
from wotemu_runtime.agent.process_tree import Process, of_app, parse_stat

IN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")


def test_a_command_with_blanks_and_brackets_hides_no_field() -> None:
    others = " ".join(["0"] * 13)
    wanted = Process(5, "Z", threads=3, name="a) S 9 (b")
    assert parse_stat(f"7 (a) S 9 (b) Z 5 {others} 0 0 3 0 77\n") == wanted


def test_a_zombie_is_over_unless_threads_of_it_go_on() -> None:
    assert not Process(1, "Z").is_alive
    assert Process(1, "Z", threads=2).is_alive


def test_the_app_is_what_descends_from_the_first_process() -> None:
    processes = {
        1: Process(0, "S"), 2: Process(1, "S"), 5: Process(1, "R"), 6: Process(5, "T"), 7: Process(1, "Z"),
        30: Process(0, "S"), 31: Process(30, "S"),
    }  # fmt: skip
    assert of_app(processes, {1, 2}) == {5, 6}, "30 is a container's health check, and 31 its child"


SCRIPT = """
import json, os, signal, socket, sys, time
from wotemu_runtime.agent.process_tree import end_all, of_app, snapshot

def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid

def sleeper():
    time.sleep(1000)

def relay():
    "A process whose only trace is the next one: each forks and ends at once."
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.setsid()
    while True:
        if os.fork():
            os._exit(0)

def daemon():
    os.setsid()
    if os.fork():
        os._exit(0)
    server = socket.create_server(("127.0.0.1", 0))
    os.write(port_write, str(server.getsockname()[1]).encode())
    sleeper()

def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)

agent = child(sleeper)
port_read, port_write = os.pipe()
rounds = []
for _ in range(20):
    for work in (sleeper, relay, daemon, stopped):
        child(work)
    port = int(os.read(port_read, 16))
    killed, left = end_all({1, agent})
    socket.create_server(("127.0.0.1", port)).close()
    time.sleep(0.005)
    rounds.append([killed, left, len(of_app(snapshot(), {1, agent}))])
state = snapshot()[agent].state
print(json.dumps({"rounds": rounds, "agent": state}))
"""


@pytest.fixture
def pid_namespace(require: Require) -> None:
    """This user may make a PID namespace."""
    try:
        subprocess.run([*IN_NAMESPACE, "true"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        require(False, f"no PID namespace can be made here: {error}")


@pytest.mark.usefixtures("pid_namespace")
def test_nothing_of_an_app_gets_away_and_the_agent_stays() -> None:
    ran = subprocess.run([*IN_NAMESPACE, sys.executable, "-c", SCRIPT], capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    told = json.loads(ran.stdout)
    assert all(killed >= 3 and left == 0 and remaining == 0 for killed, left, remaining in told["rounds"]), (
        told
    )
    assert told["agent"] == "S", "stopped for a moment, it goes on"
