"""Programs that are no NodeApp are measured by the start hook of their interpreters, and run as ever."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wotemu.app.agent_socket import VARIABLE
from wotemu.records import Interaction, fields
from wotemu_runtime.agent.app_environment import START_HOOK, reporting
from wotemu_runtime.agent.metric_socket import MetricSocket, NotSent, Report, Unmeasured, listen
from wotemu_runtime.app_process.messages import Rows

DEADLINE_S = 60.0

THING = """
import asyncio, json, multiprocessing, os, signal, socket, subprocess, sys
from asyncio import wait_for
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.http.server import HTTPServer
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

TD = {
    "id": "urn:own", "title": "own", "@context": ["https://www.w3.org/2022/wot/td/v1.1"],
    "security": ["nosec_sc"], "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "properties": {"p": {"type": "number"}}, "actions": {"slow": {"input": {"type": "number"}}},
}

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

async def slow(seconds):
    await asyncio.sleep(seconds)

async def serve():
    catalogue = free_port()
    servient = Servient(hostname="127.0.0.1", catalogue_port=catalogue)
    servient.add_server(HTTPServer(port=free_port()))
    thing = (await servient.start()).produce(json.dumps(TD))
    thing.set_action_handler("slow", slow)
    thing.expose()
    await thing.properties["p"].write(1)
    return f"http://127.0.0.1:{catalogue}/own"

async def read(url, times):
    wot = WoT(servient=Servient(catalogue_port=None, clients=[HTTPClient()]))
    thing = await wot.consume_from_url(url)
    for _ in range(times):
        await thing.properties["p"].read()
    return thing

def read_in_child(url, times):
    asyncio.run(read(url, times))

async def main():
    url = await serve()
    thing = await read(url, 5)
    try:
        await wait_for(thing.actions["slow"].invoke(30), 0.2)
    except TimeoutError:
        pass
    children = [multiprocessing.get_context(method).Process(target=read_in_child, args=(url, times))
                for method, times in (("fork", 1), ("forkserver", 10))]
    for child in children:
        child.start()
    code = f"import own, asyncio; asyncio.run(own.read({url!r}, 100))"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await other.wait()
    while any(child.is_alive() for child in children):
        await asyncio.sleep(0.05)
    pid = os.fork()
    if pid == 0:  # as a daemon does: a session of its own, all descriptors closed, and its numbers used again
        os.closerange(3, 1000)
        taken = [os.pipe() for _ in range(50)]
        asyncio.set_event_loop(None)
        asyncio._set_running_loop(None)
        asyncio.run(read(url, 7))
        for ours, _ in taken:
            os.set_blocking(ours, False)
            try:
                os._exit(1 if os.read(ours, 1) else 2)
            except BlockingIOError:
                pass
        os._exit(0)
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        await asyncio.sleep(0.05)
    print(os.waitstatus_to_exitcode(ended[1]))

if __name__ == "__main__":
    asyncio.run(main())
"""


class Node:
    """An agent's socket, and programs that are started as in its node."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self.heard: list[Report] = []
        self.name = f"@wotemu-test-hook-{os.getpid()}"
        self.socket = MetricSocket(self.heard.append, listen("\0" + self.name[1:]))

    async def run(self, *command: str, **env: str) -> str:
        """Run a command; what it printed."""
        environ = {**os.environ, **env}
        environ |= {**reporting(environ), VARIABLE: self.name, "WOTEMU_REPLICA": "n"}
        process = await asyncio.create_subprocess_exec(
            *command, env=environ, cwd=self.cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        async with asyncio.timeout(DEADLINE_S):
            output, _ = await process.communicate()
        self.socket.close()
        return output.decode()

    def interactions(self) -> Counter[tuple[str, str, str]]:
        """How many records came by role, operation and status."""
        role, op, status = (fields(Interaction).index(name) for name in ("role", "op", "status"))
        rows = [row for each in self.heard if isinstance(each, Rows) for row in each.rows]
        return Counter((row[role], row[op], row[status]) for row in rows)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path)
    yield node
    node.socket.close()


async def test_a_script_and_all_kinds_of_its_children_are_measured_once(node: Node) -> None:
    (node.cwd / "own.py").write_text(THING)
    printed = await node.run(sys.executable, "own.py")
    assert "0" in printed.splitlines(), printed
    reads = 5 + 1 + 10 + 100 + 7
    found = node.interactions()
    assert found["consumer", "readproperty", "ok"] == reads
    assert found["producer", "readproperty", "ok"] == reads
    assert found["consumer", "invokeaction", "failed"] == 1, "a deadline, not a cancellation"
    assert not [each for each in node.heard if isinstance(each, NotSent | Unmeasured)]


async def test_a_program_sees_the_path_and_start_hook_that_it_would_see_elsewhere(node: Node) -> None:
    (node.cwd / "lib").mkdir()
    (node.cwd / "lib" / "sitecustomize.py").write_text("import builtins; builtins.theirs = 7")
    look = "import sys, sitecustomize; print(theirs, sitecustomize.__file__, *sys.path)"
    printed = await node.run(sys.executable, "-c", look, PYTHONPATH=str(node.cwd / "lib"))
    theirs, file, *path = printed.split()
    assert (theirs, file) == ("7", str(node.cwd / "lib" / "sitecustomize.py"))
    assert path[0] == str(node.cwd / "lib")
    assert str(START_HOOK) not in path


async def test_a_start_hook_of_the_users_that_fails_fails_as_ever(node: Node) -> None:
    (node.cwd / "sitecustomize.py").write_text("import nowhere")
    printed = await node.run(sys.executable, "-c", "print('goes on')", PYTHONPATH=str(node.cwd))
    assert "nowhere" in printed
    assert printed.endswith("goes on\n")


async def test_what_can_not_be_measured_is_said_and_runs_on(node: Node) -> None:
    package = node.cwd / "wotpy" / "wot"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "servient.py").write_text("class Servient:\n def __init__(self, name): print(name)\n")
    (node.cwd / "old.py").write_text(
        "from wotpy.wot.servient import Servient\n"
        "class Mine(Servient): pass\n"
        "Mine('one'); Servient(name='two')"
    )
    assert await node.run(sys.executable, "old.py") == "one\ntwo\n"
    (said,) = node.heard
    assert isinstance(said, Unmeasured)
    assert said.program == "old.py"
    assert "wotpy" in said.why


async def test_nothing_of_ours_is_imported_where_wotpy_is_not(node: Node) -> None:
    look = "import sys; print([m for m in sys.modules if m.startswith('wotemu')], 'socket' in sys.modules)"
    assert await node.run(sys.executable, "-c", look) == "[] False\n"
