"""Programs of a node that are no NodeApp report numbers to the agent by its socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from wotemu.app.agent_socket import VARIABLE, AgentSocket, connect
from wotemu.records import Interaction, to_row
from wotemu_runtime.agent.metric_socket import (
    Lines,
    Measured,
    MetricSocket,
    NotSent,
    Report,
    Unmeasured,
    listen,
    parse,
)
from wotemu_runtime.app_process.messages import Lost, Ready, Rows, Waits, encode

DEADLINE_S = 20.0
ROW = to_row(
    Interaction(
        1.0, "n", "consumer", "urn:t", "property", "p", "readproperty", "request", "http", 1, None, "ok", ""
    )
)


class Agent:
    """What an agent hears on a socket of its own."""

    def __init__(self) -> None:
        self.heard: list[Report] = []
        self.name = f"@wotemu-test-{os.getpid()}"
        self.socket = MetricSocket(self.heard.append, listen("\0" + self.name[1:]))

    @property
    def numbers(self) -> list[tuple[str, float]]:
        return [(one.key, one.value) for one in self.heard if isinstance(one, Measured)]

    async def run(self, code: str) -> str:
        """Run a Python program in the node; what it printed as errors."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code),
            env={**os.environ, VARIABLE: self.name},
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_S):
            _, errors = await process.communicate()
        return errors.decode()


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    agent = Agent()
    yield agent
    agent.socket.close()


async def test_a_plain_program_reports_numbers(agent: Agent) -> None:
    assert await agent.run("from wotemu.app import write_metric; write_metric('frames', 7)") == ""
    agent.socket.close()
    assert agent.numbers == [("frames", 7.0)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_a_child_process_reports_numbers_however_it_is_started(agent: Agent, method: str) -> None:
    code = (
        "import multiprocessing as m\nfrom wotemu.app import write_metric\n"
        "if __name__ == '__main__':\n"
        f" p = m.get_context('{method}').Process(target=write_metric, args=('child', 1)); p.start(); p.join()"
    )
    assert await agent.run(code) == ""
    agent.socket.close()
    assert agent.numbers == [("child", 1.0)]


async def test_a_burst_arrives_in_order_and_what_does_not_is_counted(agent: Agent) -> None:
    code = "from wotemu.app import write_metric\nfor n in range(5000): write_metric('n', n)\n"
    await agent.run(code + "import time; time.sleep(0.5); write_metric('end', 0)")
    agent.socket.close()
    *numbers, end = agent.numbers
    assert end == ("end", 0.0)
    assert numbers == sorted(set(numbers))
    # An agent that gets no processor for `WAIT_S` takes none meanwhile.
    assert len(numbers) + sum(one.count for one in agent.heard if isinstance(one, NotSent)) == 5000
    assert len(numbers) > 1000


async def test_numbers_have_the_time_when_they_were_measured(agent: Agent) -> None:
    await agent.run("from wotemu.app import write_metric; write_metric('k', 1)")
    (measured,) = agent.heard
    assert isinstance(measured, Measured)
    assert measured.t is not None
    assert 0 <= asyncio.get_running_loop().time() - measured.t < DEADLINE_S


async def test_a_program_whose_agent_is_gone_is_told_the_truth(agent: Agent) -> None:
    agent.socket.close()
    errors = await agent.run(
        "from wotemu.app import write_metric; write_metric('k', 1); write_metric('k', 2)"
    )
    assert errors.count("\n") == 1
    assert "this node's agent can't be reached" in errors
    assert "not inside" not in errors


def test_what_the_agent_does_not_take_is_counted() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        name = f"@wotemu-test-full-{os.getpid()}"
        listening.bind("\0" + name[1:])
        listening.listen()
        ours = connect({VARIABLE: name})
        assert ours is not None
        sender = AgentSocket(ours)
        connection, _ = listening.accept()
        sent = 0
        while "lost=0" in repr(sender):
            sender.metric("k" * 10_000, sent)
            sent += 1
        with connection:
            got = [json.loads(connection.recv(1 << 16)) for _ in range(sent - 1)]
            sender.metric("k", 1)
            assert json.loads(connection.recv(1 << 16)) == {"lost": 1}
        sender.close()
    assert [one["value"] for one in got] == list(range(sent - 1))


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (b'{"metric": "k", "value": 1}', Measured("k", 1.0, None)),
        (b'{"metric": "k", "value": 1.5, "t": 3}', Measured("k", 1.5, 3.0)),
        (b'{"lost": 4}', NotSent(4)),
        (b'{"metric": "k", "value": NaN}', NotSent(1)),
        (b'{"metric": "k", "value": true}', NotSent(1)),
        (b'{"metric": "", "value": 1}', NotSent(1)),
        (b'{"metric": "k"}', NotSent(1)),
        (b'{"metric": ' + b"[" * 5000, NotSent(1)),
        (b"frames:1|c", Lines(b"frames:1|c")),
        (b"\xff", NotSent(1)),
        (b'{"lost": -4}', NotSent(1)),
        (encode(Rows("interactions", [ROW])), Rows("interactions", [ROW])),
        (encode(Rows("interactions", [[*ROW[:-1], "no digest"]])), NotSent(1)),
        (encode(Rows("interactions", [ROW[:-1]])), NotSent(1)),
        (encode(Rows("hops", [ROW])), NotSent(1)),
        (encode(Lost(3)), NotSent(3)),
        (encode(Ready()), NotSent(1)),
        (encode(Waits("lamp:9090", 5.0, "refused")), Waits("lamp:9090", 5.0, "refused")),
        (encode(Waits("lamp:9090", "5", "")), NotSent(1)),  # type: ignore[arg-type]
        (b'{"unmeasured": "too old", "program": "a.py"}', Unmeasured("a.py", "too old")),
        (b'{"unmeasured": 7, "program": "a.py"}', NotSent(1)),
    ],
)
def test_packets_of_any_program_are_read_with_care(packet: bytes, message: Report) -> None:
    assert parse(packet) == message
