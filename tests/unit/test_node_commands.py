"""What a command in a node is given waits at its sender until it reads; ends of input reach it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.agent.namespaces import NodeNamespaces
from wotemu_runtime.agent.node_commands import run_commands
from wotemu_runtime.agent.supervision.launcher_connection import LauncherConnection, RunningCommand
from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.send_window import SEND_WINDOW
from wotemu_runtime.control.requests import Exited, InputRead, Printed
from wotemu_runtime.coordination.node_command import NodeCommand
from wotemu_runtime.roles.role import Role
from wotemu_runtime.testing import MemoryBus

STREAMS = Streams("s")
SLOW = """
import sys, time
count = 0
while data := sys.stdin.buffer.read1(16384):
    count += len(data)
    time.sleep(0.001)
print(count)
"""


class CountingBus(MemoryBus):
    """Counts the bytes of input that came, and that were stored at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.given = self.most_stored = 0

    async def xadd(self, name: str, fields: dict[bytes, bytes]) -> bytes:
        added = await super().xadd(name, fields)
        if name == STREAMS.command_input("1"):
            self.given += len(dict(cast(Any, fields)).get("data", b""))
            stored = sum(len(each.get(b"data", b"")) for each in self._streams[name].values())
            self.most_stored = max(self.most_stored, stored)
        return added


class Launcher:
    """Starts processes of this machine."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    async def execute(self, _: str, argv: list[str], *, tty: bool) -> RunningCommand:
        if tty:
            own, theirs = os.openpty()
            fds, given = [own], {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        else:
            pipes = [os.pipe() for _ in range(3)]
            fds = [pipes[0][1], pipes[1][0], pipes[2][0]]
            given = {"stdin": pipes[0][0], "stdout": pipes[1][1], "stderr": pipes[2][1]}
        self.process = await asyncio.to_thread(_start, argv, given)
        for fd in set(given.values()):
            os.close(fd)
        return RunningCommand(fds, asyncio.ensure_future(_status(self.process)))

    def signal_command(self, _: str, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def _start(argv: list[str], given: dict[str, int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, start_new_session=True, **cast(Any, given))


async def _status(process: subprocess.Popen[bytes]) -> int:
    """As wait(2) has it."""
    code = await asyncio.to_thread(process.wait)
    return -code if code < 0 else code << 8


@asynccontextmanager
async def running(*argv: str, tty: bool = False) -> AsyncIterator[tuple[NodeCommand, CountingBus]]:
    bus = CountingBus()
    role = SimpleNamespace(
        commands_to_run=asyncio.Queue[Any](), session=SimpleNamespace(client=bus.client, streams=STREAMS)
    )
    launcher = Launcher()
    nowhere = cast(NodeNamespaces, None)
    agent = asyncio.create_task(run_commands(cast(Role, role), cast(LauncherConnection, launcher), nowhere))
    role.commands_to_run.put_nowait(
        {"command": "exec", "number": "1", "argv": argv, "tty": tty, "size": (24, 80)}
    )
    try:
        async with asyncio.timeout(30):
            yield NodeCommand(bus.client, STREAMS, "1", lambda: True), bus
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        assert launcher.process is not None
        launcher.process.kill()


def _pipe_bytes() -> int:
    ends = os.pipe()
    size: int = fcntl.fcntl(ends[0], fcntl.F_GETPIPE_SZ)
    for end in ends:
        os.close(end)
    return size


async def test_a_command_that_never_reads_gets_one_window_and_its_pipe() -> None:
    async with running("sleep", "60") as (command, bus):
        writing = asyncio.create_task(command.write(bytes(8_000_000)))
        read = 0
        async for each in command.output():
            if isinstance(each, InputRead):
                read += each.read
                if read == _pipe_bytes():
                    await asyncio.sleep(0.3)  # all that may be sent is
                    assert not writing.done()
                    assert bus.given == SEND_WINDOW + read
                    await command.kill(signal.SIGKILL)
        assert each == Exited(-signal.SIGKILL)
        await writing  # what was not read is dropped
        await command.end_input()
        assert bus.most_stored <= SEND_WINDOW
        assert not await bus.exists(STREAMS.command_input("1"))


async def test_a_command_that_reads_slowly_gets_all_and_no_more_than_a_window_waits() -> None:
    given = os.urandom(1_500_000)
    async with running(sys.executable, "-c", SLOW) as (command, bus):

        async def write() -> None:
            await command.write(given)
            await command.end_input()

        writing = asyncio.create_task(write())
        seen = [each async for each in command.output()]
        await writing
    assert b"".join(each.data for each in seen if isinstance(each, Printed)) == b"1500000\n"
    assert seen[-1] == Exited(0)
    assert sum(each.read for each in seen if isinstance(each, InputRead)) == len(given) == bus.given
    assert bus.most_stored <= SEND_WINDOW


@pytest.mark.parametrize("given", [b"", b"line\n", b"line\nwithin a line"])
async def test_the_end_of_its_input_is_a_terminals_end_of_file_character(given: bytes) -> None:
    async with running("sh", "-c", "stty -echo; cat; echo over", tty=True) as (command, _):
        await command.write(given)
        await command.end_input()
        seen = [each async for each in command.output()]
    printed = b"".join(each.data for each in seen if isinstance(each, Printed))
    assert (
        printed.replace(b"^D", b"").replace(b"\b", b"").endswith(given.replace(b"\n", b"\r\n") + b"over\r\n")
    )
    assert seen[-1] == Exited(0)


async def test_input_that_the_bus_does_not_take_ends_the_command_with_why() -> None:
    async with running("cat") as (command, bus):
        await command.write(b"a")
        output = command.output()
        assert InputRead(1) in [await anext(output), await anext(output)]
        bus.is_away = True
        with pytest.raises(RedisError):
            await command.write(b"b")
        bus.is_away = False
        with pytest.raises(EmulationError, match="the bus did not take its input: it is away"):
            async for _ in output:
                pass
