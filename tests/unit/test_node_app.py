"""The supervisor of a node's app, with a launcher played by the test: what it reports, restarts and kills."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

from wotemu_runtime.agent.supervision import app_supervisor
from wotemu_runtime.agent.supervision.app_supervisor import ON_PURPOSE, AppSupervisor
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.messages import Failed, Failure, Ready, Up, Waits, socket_pair
from wotemu_runtime.apps.error import DeliberateError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment

DEADLINE_S = 10.0


@attrs.define
class FakeRole:
    """Takes what a role would send to the bus."""

    assignment: Assignment = attrs.field(
        factory=lambda: Assignment(
            name="agent:cam", stack="s", bus=BusAddress("pw", path="/nowhere"), data={}
        )
    )
    events: list[tuple[str, str, dict[str, Any]]] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)

    @property
    def publisher(self) -> FakeRole:
        return self

    def now(self) -> float:
        return 0.0

    def event(self, kind: str, message: str, **data: Any) -> None:
        self.events.append((kind, message, data))

    def waiting_bytes(self, table: str) -> int:
        return 0

    def lose(self, what: str, count: int) -> None:
        self.events.append(("lost", what, {"count": count}))

    def put(self, record: Any) -> None:
        self.lines.append(record.line)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [data for one, _, data in self.events if one == kind]

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th event of a kind; its data."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.of_kind(kind)) < count:  # noqa: ASYNC110  # a fake has no event to wait for
                await asyncio.sleep(0.002)
        return self.of_kind(kind)[count - 1]


@attrs.define
class Life:
    """The launcher's ends of one start: the app's standard streams, and its socket."""

    out: int
    err: int
    records: AgentConnection

    def close(self) -> None:
        for fd in (self.out, self.err):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.records._socket.close()


@attrs.define
class FakeLauncher:
    """Plays the launcher; the test says when a process ends."""

    channel: Channel
    lives: list[Life] = attrs.field(factory=list)

    async def request(self) -> dict[str, Any]:
        """The supervisor's next request."""
        async with asyncio.timeout(DEADLINE_S):
            received = await asyncio.to_thread(self.channel.receive)
        assert received is not None
        return received[0]

    async def started(self) -> Life:
        """Answer the next request, which is to start the app."""
        assert (await self.request())["op"] == "start"
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        ours, theirs = socket_pair()
        self.channel.send({"op": "started", "pid": 7}, [out_read, err_read, ours.fileno()])
        ours.close()
        os.close(out_read)
        os.close(err_read)
        self.lives.append(Life(out_write, err_write, AgentConnection(theirs)))
        return self.lives[-1]

    def exited(self, status: int, *, killed: int = 0, left: int = 0, close: bool = True) -> None:
        """The main process has ended; with `close` nothing holds its pipes any more."""
        if close:
            self.lives[-1].close()
        self.channel.send({"op": "exited", "status": status, "killed": killed, "left": left})


@attrs.define
class Supervised:
    """A supervisor at work, and those that it works with."""

    app: AppSupervisor
    role: FakeRole
    launcher: FakeLauncher


Supervise = Any


@pytest.fixture
async def supervise(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervise]:
    """Starts a supervisor; its pauses are short."""
    monkeypatch.setattr(app_supervisor, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(app_supervisor, "UP_AFTER_S", 0.05)
    async with contextlib.AsyncExitStack() as stack:

        async def supervise(*, is_wot: bool = False) -> Supervised:
            ours, theirs = Channel.pair()
            role, launcher = FakeRole(), FakeLauncher(theirs)
            app = AppSupervisor(role, ours, is_wot=is_wot)  # type: ignore[arg-type]
            running = asyncio.create_task(app.run())

            async def end() -> None:
                running.cancel()
                await asyncio.wait([running])
                for life in launcher.lives:
                    life.close()
                theirs.sock.shutdown(socket.SHUT_RDWR)
                ours.close()
                theirs.close()

            stack.push_async_callback(end)
            if not is_wot:
                app.released.set()
            return Supervised(app, role, launcher)

        yield supervise


def exit_status(code: int) -> int:
    return code << 8


async def test_a_crash_is_reported_and_the_app_restarted_while_a_helper_holds_its_pipes(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_supervisor, "REST_S", 0.05)
    cam = await supervise()
    await cam.launcher.started()
    cam.launcher.exited(exit_status(5), killed=1, left=1, close=False)
    told = await cam.role.until("app.crashed")
    assert (told["exit"], told["asked"], told["killed"]) == ("exit code 5", False, 1)
    await cam.launcher.started()
    assert (await cam.role.until("app.restarted"))["after_s"] == 0.01


async def test_an_end_is_judged_by_what_was_wanted_when_the_process_ended(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_supervisor, "REST_S", 0.2)
    cam = await supervise()
    await cam.launcher.started()
    cam.launcher.exited(exit_status(1), close=False)
    await asyncio.sleep(0.05)
    cam.app.stop()
    assert not (await cam.role.until("app.crashed"))["asked"]


async def test_what_was_printed_before_the_end_is_read_before_the_end_is_reported(
    supervise: Supervise,
) -> None:
    cam = await supervise()
    life = await cam.launcher.started()
    os.write(life.out, b"one\ntwo")
    os.write(life.err, b"no such device\n")
    cam.launcher.exited(exit_status(3))
    assert (await cam.role.until("app.crashed"))["error"] == "no such device"
    assert sorted(cam.role.lines) == ["no such device", "one", "two"]


async def test_a_program_that_goes_to_the_background_is_over_and_says_why(supervise: Supervise) -> None:
    cam = await supervise()
    await cam.launcher.started()
    cam.launcher.exited(0, killed=1)
    assert not (await cam.role.until("app.exited"))["asked"]
    (message,) = [text for kind, text, _ in cam.role.events if kind == "app.exited"]
    assert "1 process that it left running, killed" in message
    assert "in the foreground" in message
    await asyncio.sleep(0.05)
    assert not cam.role.of_kind("app.restarted")


async def test_an_app_that_does_not_end_when_it_is_stopped_is_killed(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_supervisor, "STOP_GRACE_S", 0.05)
    cam = await supervise()
    await cam.launcher.started()
    cam.app.stop()
    assert await cam.launcher.request() == {"op": "kill", "signal": signal.SIGTERM}
    assert await cam.launcher.request() == {"op": "kill", "signal": signal.SIGKILL}
    cam.launcher.exited(signal.SIGKILL)
    assert await cam.role.until("app.exited") == {"asked": True, "exit": "killed by SIGKILL", "killed": 0}


async def test_a_stop_that_was_heeded_kills_nothing_of_the_next_life(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_supervisor, "STOP_GRACE_S", 0.1)
    cam = await supervise()
    await cam.launcher.started()
    cam.app.stop()
    assert (await cam.launcher.request())["signal"] == signal.SIGTERM
    cam.launcher.exited(0)
    await cam.role.until("app.exited")
    cam.app.start()
    assert await cam.launcher.request() == {"op": "kill", "signal": signal.SIGKILL}
    await cam.launcher.started()
    next_request = asyncio.create_task(cam.launcher.request())
    await asyncio.sleep(0.3)
    assert not next_request.done()
    cam.app.crash()
    assert (await next_request)["signal"] == signal.SIGKILL


async def test_a_restart_is_asked_for_and_no_crash(supervise: Supervise) -> None:
    cam = await supervise()
    await cam.launcher.started()
    cam.app.start()
    assert (await cam.launcher.request())["signal"] == signal.SIGKILL
    cam.launcher.exited(signal.SIGKILL)
    await cam.launcher.started()
    assert [data["asked"] for data in cam.role.of_kind("app.exited")] == [True]
    assert not cam.role.of_kind("app.crashed")


async def test_an_exit_with_0_is_no_crash_and_final(supervise: Supervise) -> None:
    cam = await supervise(is_wot=True)
    life = await cam.launcher.started()
    life.records.send(Ready())
    cam.app.released.set()
    await cam.role.until("app.started")
    cam.launcher.exited(0)
    assert (await cam.role.until("app.exited"))["exit"] == "exit code 0"
    await asyncio.sleep(0.05)
    assert not cam.role.of_kind("app.crashed")
    assert not cam.role.of_kind("app.restarted")


async def test_an_app_that_ends_with_0_before_it_is_ready_has_not_started(supervise: Supervise) -> None:
    cam = await supervise(is_wot=True)
    for attempt in range(1, 4):
        await cam.launcher.started()
        cam.launcher.exited(0)
        await cam.role.until("app.exited", attempt)
    assert (await cam.role.until("app.never_started"))["error"] == "exit code 0"


@pytest.mark.parametrize("raised", [ON_PURPOSE, "RuntimeError"])
async def test_an_app_that_never_came_up_is_bad_input_unless_it_fails_on_purpose(
    supervise: Supervise, raised: str
) -> None:
    assert DeliberateError.__name__ == ON_PURPOSE
    cam = await supervise(is_wot=True)
    cam.app.released.set()
    for attempt in range(1, 4):
        assert not cam.role.of_kind("app.never_started")
        life = await cam.launcher.started()
        life.records.send(Ready())
        await cam.role.until("app.started", attempt)
        life.records.send(Failed(Failure("run", raised, "no bulb")))
        cam.launcher.exited(exit_status(1))
        assert (await cam.role.until("app.crashed", attempt))["attempt"] == attempt
    if raised == ON_PURPOSE:
        await cam.role.until("app.restarted", 3)
    else:
        assert "no bulb" in (await cam.role.until("app.never_started"))["error"]


async def test_a_command_that_fails_at_each_of_its_first_starts_is_bad_input(supervise: Supervise) -> None:
    cam = await supervise()
    for attempt in range(1, 4):
        assert not cam.role.of_kind("app.never_started")
        await cam.launcher.started()
        cam.launcher.exited(exit_status(1))
        await cam.role.until("app.crashed", attempt)
    await cam.role.until("app.never_started")


async def test_bad_input_to_an_app_ends_the_run_and_what_comes_later_does_not(supervise: Supervise) -> None:
    cam = await supervise(is_wot=True)
    cam.app.released.set()
    life = await cam.launcher.started()
    life.records.send(Ready())
    await cam.role.until("app.started")
    life.records.send(Failed(Failure("run", "InputError", "rate=-1: above zero")))
    cam.launcher.exited(exit_status(1))
    assert (await cam.role.until("app.never_started"))["error"] == "rate=-1: above zero"


async def test_a_program_that_can_not_be_run_is_bad_input_at_once(supervise: Supervise) -> None:
    cam = await supervise()
    life = await cam.launcher.started()
    life.records.send(
        Failed(Failure("prepare", "", "can't run 'nope'", "field 'command'", "is it installed?"))
    )
    cam.launcher.exited(exit_status(127))
    told = await cam.role.until("app.never_started")
    assert told == {"error": "can't run 'nope'", "where": "field 'command'", "hint": "is it installed?"}


async def test_an_app_that_ends_three_times_before_t0_is_bad_input(supervise: Supervise) -> None:
    cam = await supervise(is_wot=True)
    for attempt in range(1, 4):
        assert not cam.role.of_kind("app.never_started")
        await cam.launcher.started()
        cam.launcher.exited(exit_status(1))
        await cam.role.until("app.crashed", attempt)
    await cam.role.until("app.never_started")


async def test_the_pause_before_a_restart_doubles_and_is_short_again_after_a_life(
    supervise: Supervise,
) -> None:
    cam = await supervise(is_wot=True)
    cam.app.released.set()
    pauses = []
    for attempt, is_up in enumerate([True, False, False, True], 1):
        life = await cam.launcher.started()
        if is_up:
            life.records.send(Up(returned=False))
            await cam.role.until("app.ready")
        life.records.send(Ready())
        await cam.role.until("app.started", attempt)
        cam.launcher.exited(exit_status(1))
        pauses.append((await cam.role.until("app.restarted", attempt))["after_s"])
    assert pauses == [0.01, 0.02, 0.04, 0.01]


async def test_a_long_wait_of_an_app_is_an_event_and_so_is_its_end(supervise: Supervise) -> None:
    cam = await supervise(is_wot=True)
    life = await cam.launcher.started()
    life.records.send(Waits("hub:9090", 5.0, "no answer"))
    life.records.send(Waits("hub:9090", 7.5, ""))
    assert (await cam.role.until("app.waiting"))["missing"] == "no answer"
    assert await cam.role.until("app.found") == {"what": "hub:9090", "waited_s": 7.5, "missing": ""}


async def test_the_end_of_a_run_waits_for_what_the_app_says_last(supervise: Supervise) -> None:
    cam = await supervise()
    life = await cam.launcher.started()
    ending = asyncio.create_task(cam.app.end())
    assert (await cam.launcher.request())["signal"] == signal.SIGTERM
    os.write(life.out, b"bye\n")
    cam.launcher.exited(0)
    await ending
    assert cam.role.lines == ["bye"]
