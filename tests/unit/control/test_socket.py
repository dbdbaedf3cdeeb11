"""The control socket: only for its owner, one request a connection, and what is wrong with one is said."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from wotemu.errors import HostError, InputError, NotRunningError, ScenarioError
from wotemu.records import Event
from wotemu_runtime.bus.send_window import SEND_WINDOW
from wotemu_runtime.control.client import ControlClient, control_names
from wotemu_runtime.control.live_changes import Crash, LiveChange, SetConditions
from wotemu_runtime.control.requests import (
    Changed,
    ConditionsNow,
    Execute,
    Exited,
    HopNow,
    InputRead,
    LoggedEvent,
    Printed,
    RunStatus,
)
from wotemu_runtime.control.server import control_server
from wotemu_runtime.control.socket_path import control_folder
from wotemu_runtime.control.wire import VERSION

STATUS = RunStatus(
    name="field", pid=1, engine="local", doing="running", now_s=1.5, duration_s=60.0, phase="calm", nodes=2,
    networks=1, run_dir="/runs/field", events=4,
)  # fmt: skip
READY = Event(8.0, "app.ready", "agent:cam", "x" * 1000, {"a": 1})
NOW = ConditionsNow(
    1.5, (HopNow("field", "cam", "up", {"latency_s": 0.1}, False),), (("cam",),), {"cam": "running"}
)


class Echo:
    """A command that prints what it is given, and ends with its input."""

    def __init__(self) -> None:
        self._given: asyncio.Queue[bytes] = asyncio.Queue()
        self.signals: list[int] = []
        self.signalled = asyncio.Event()
        self.sizes: list[tuple[int, int]] = []
        self.left = asyncio.Event()
        self.input_room = SEND_WINDOW
        self.reads = True

    async def output(self) -> AsyncGenerator[Printed | InputRead | Exited, None]:
        try:
            while data := await self._given.get():
                if self.reads:
                    self.input_room += len(data)
                    yield InputRead(len(data))
                yield Printed(1, data)
            yield Exited(3)
        finally:
            self.left.set()

    async def write(self, data: bytes) -> None:
        self.input_room -= len(data)
        self._given.put_nowait(data)

    async def end_input(self) -> None:
        self._given.put_nowait(b"")

    async def kill(self, number: int) -> None:
        self.signals.append(number)
        self.signalled.set()

    async def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))


class Asked:
    """A run that remembers what it was asked."""

    def __init__(self) -> None:
        self.changes: list[tuple[LiveChange, str]] = []
        self.stops: list[bool] = []
        self.listeners = 0
        self.left = asyncio.Event()
        self.command = Echo()

    async def execute(
        self, replica: str, argv: Sequence[str], who: str, *, tty: bool, size: tuple[int, int]
    ) -> Echo:
        if replica != "cam":
            raise InputError(f"there is no node {replica!r}", where="exec")
        self.command.sizes.append(size)
        return self.command

    async def capture(self, replica: str, who: str) -> Echo:
        return self.command

    async def change(self, change: LiveChange, who: str) -> Changed:
        if isinstance(change, Crash):
            raise ScenarioError("there is no node 'cam'", where="crash cam", hint="known are dog")
        if change.for_s is not None:
            raise RuntimeError("a bug")
        self.changes.append((change, who))
        return Changed(1.25, change.text, 2, 0.001, ["it failed"], 1)

    def stop(self, *, at_once: bool, who: str) -> None:
        self.stops.append(at_once)

    def status(self) -> RunStatus:
        return STATUS

    def conditions(self) -> ConditionsNow:
        return NOW

    async def events(
        self, kinds: tuple[str, ...], *, after: int | None, follow: bool
    ) -> AsyncGenerator[LoggedEvent, None]:
        self.listeners += 1
        try:
            number = after or 0
            while number < 1000 or follow:
                number += 1
                yield LoggedEvent(number, READY)
            await asyncio.Event().wait()
        finally:
            self.listeners -= 1
            self.left.set()


async def raw_connection() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    folder = os.open(control_folder(), os.O_RDONLY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/field.sock")
    finally:
        os.close(folder)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sockets lie in a folder of the test's own, whose path is too long for a socket's address."""
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


async def test_each_request_gets_its_answer() -> None:
    run, change = Asked(), SetConditions.of("cam@field", latency="300ms", rate=None)
    async with control_server("field", run) as name:
        client = ControlClient(name)
        assert control_names() == ["field"]
        assert await client.change(change) == Changed(1.25, change.text, 2, 0.001, ["it failed"], 1)
        assert await client.status() == STATUS
        assert await client.conditions() == NOW
        await client.stop(at_once=True)
    ((made, who),) = run.changes
    assert made == change
    assert who.endswith(f"(process {os.getpid()})")
    assert run.stops == [True]
    assert control_names() == []


async def test_what_is_wrong_with_a_request_is_raised_where_it_was_made() -> None:
    async with control_server("field", Asked()) as name:
        with pytest.raises(ScenarioError, match="crash cam: there is no node 'cam'") as caught:
            await ControlClient(name).change(Crash(targets="cam"))
        assert caught.value.hint == "known are dog"
        with pytest.raises(Exception, match="RuntimeError: a bug"):
            await ControlClient(name).change(SetConditions.of("x", for_s=2.0, loss="1%"))
        assert await ControlClient(name).status() == STATUS, "and the run goes on"


async def test_events_follow_each_other_and_a_client_that_leaves_is_noticed() -> None:
    run = Asked()
    async with control_server("field", run) as name:
        async with aclosing(ControlClient(name).events("app.*", after=7)) as events:
            found = [await anext(events) for _ in range(3)]
            assert [each.number for each in found] == [8, 9, 10]
            assert found[0].event == READY
            assert run.listeners == 1
        async with asyncio.timeout(10):
            await run.left.wait()


async def test_a_command_gets_its_input_and_its_output_comes_back() -> None:
    run = Asked()
    async with control_server("field", run) as name:
        async with ControlClient(name).execute("cam", ["cat"], tty=True, size=(30, 90)) as command:
            await command.resize(40, 100)
            await command.kill(2)
            await command.write(b"\xff\x00")
            await command.end_input()
            assert [each async for each in command.output()] == [Printed(1, b"\xff\x00"), Exited(3)]
        assert run.command.sizes == [(30, 90), (40, 100)]
        assert run.command.signals == [2]
        async with ControlClient(name).execute("dog", ["cat"]) as command:
            with pytest.raises(InputError, match="there is no node 'dog'"):
                await anext(command.output())


async def test_a_client_that_leaves_leaves_no_command() -> None:
    run = Asked()
    async with control_server("field", run) as name:
        async with ControlClient(name).execute("cam", ["cat"]) as command:
            await command.write(b"a")
            assert await anext(command.output()) == Printed(1, b"a")
        async with asyncio.timeout(10):
            await run.command.left.wait()


async def test_input_waits_at_the_client_until_the_command_reads_and_signals_pass_it() -> None:
    run = Asked()
    run.command.reads = False
    async with control_server("field", run), ControlClient("field").execute("cam", ["sleep"]) as command:
        writing = asyncio.create_task(command.write(bytes(2 * SEND_WINDOW)))
        output, printed = command.output(), 0
        while printed < SEND_WINDOW:
            each = await anext(output)
            assert isinstance(each, Printed)
            printed += len(each.data)
        await command.kill(15)
        await command.resize(1, 2)
        async with asyncio.timeout(10):
            await run.command.signalled.wait()
        assert (run.command.input_room, writing.done()) == (0, False)
        await run.command.end_input()
        assert [each async for each in output] == [Exited(3)]
        await writing


async def test_a_client_that_sends_more_than_was_read_is_refused() -> None:
    run = Asked()
    run.command.input_room = 10
    async with control_server("field", run), ControlClient("field").execute("cam", ["sleep"]) as command:
        await command.write(bytes(11))
        with pytest.raises(InputError, match="more input came than the command has read"):
            await anext(command.output())


async def test_the_last_reply_reaches_a_client_that_still_sends() -> None:
    async with control_server("field", Asked()):
        reader, writer = await raw_connection()
        request = {**Execute("cam", ("cat",), False, (24, 80)).to_dict(), "version": VERSION}
        size = {"size": [1, 2], "more than is read ahead": "x" * 100_000}
        for line in (request, {"eof": True}, *[size] * 50):
            writer.write(json.dumps(line).encode() + b"\n")
        assert json.loads(await reader.readline()) == {"reply": {"returncode": 3}}
        await writer.drain()
        writer.close()


async def test_the_end_of_the_run_ends_its_connections() -> None:
    run = Asked()
    async with control_server("field", run) as name:
        client = ControlClient(name)
        events = client.events(follow=False)
        await anext(events)
    async with asyncio.timeout(10):
        assert [each async for each in events][-1].number <= 1000
    with pytest.raises(NotRunningError, match="no emulation 'field' of yours runs on this machine"):
        await client.status()
    assert run.listeners == 0


async def test_a_misspelled_name_is_corrected() -> None:
    async with control_server("field", Asked()):
        with pytest.raises(NotRunningError) as caught:
            await ControlClient("feild").status()
    assert caught.value.hint == "did you mean 'field'? known are field"


async def test_only_the_owner_may_open_it() -> None:
    async with control_server("field", Asked()):
        assert stat.S_IMODE(control_folder().stat().st_mode) == 0o700
        assert stat.S_IMODE((control_folder() / "field.sock").stat().st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of somebody else")
async def test_a_folder_of_somebody_else_is_refused(own_folder: Path) -> None:
    (own_folder / "wotemu").mkdir()
    os.chown(own_folder / "wotemu", 1234, 1234)
    with pytest.raises(HostError, match="it belongs to somebody else"):
        async with control_server("field", Asked()):
            pass
    assert control_names() == []
    with pytest.raises(NotRunningError, match="no emulation 'field' of yours"):
        await ControlClient("field").status()


async def test_two_runs_of_one_name_have_two_sockets_and_a_dead_one_is_replaced() -> None:
    async with control_server("field", Asked()) as first, control_server("field", Asked()) as second:
        assert (first, second) == ("field", "field-2")
        assert control_names() == ["field", "field-2"]
    with socket.socket(socket.AF_UNIX) as dead:
        folder = os.open(control_folder(), os.O_RDONLY)
        dead.bind(f"/proc/self/fd/{folder}/field.sock")
        os.close(folder)
    assert control_names() == []
    async with control_server("field", Asked()) as third:
        assert third == "field"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"hello\n", "the request is no line of JSON"),
        (b"[1]\n", "the request is no line of JSON"),
        (json.dumps({"request": "status", "version": 99}).encode() + b"\n", "another version of WoTemu"),
        (json.dumps({"request": "fly", "version": VERSION}).encode() + b"\n", "there is no request 'fly'"),
        (json.dumps({"request": "events", "version": VERSION, "a": 1}).encode() + b"\n", "request 'events'"),
        (
            json.dumps({"request": "change", "version": VERSION, "change": {"verb": "x"}}).encode() + b"\n",
            "there is no change 'x'",
        ),
        (b"x" * 3_000_000, "the request is longer than 1048576 bytes"),
    ],
)
async def test_what_is_no_request_is_refused_with_why(line: bytes, message: str) -> None:
    async with control_server("field", Asked()):
        reader, writer = await raw_connection()
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
        assert message in answer["error"]["message"]
        assert await ControlClient("field").status() == STATUS


def test_an_error_of_another_version_is_still_one_of_ours() -> None:
    from wotemu_runtime.control.wire import decode_error

    assert type(decode_error({"type": "InputError", "message": "m"})) is InputError
    assert str(decode_error({"type": "annotations", "message": "m", "where": "w"})) == "w: m"
