"""The supervisor of a node's app, on a jumping clock: what it reports, restarts and kills, and when."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from wotemu_runtime.agent.supervision.app_supervisor import DRAIN_S, AppSupervisor
from wotemu_runtime.agent.supervision.launcher_connection import STOP_GRACE_S
from wotemu_runtime.agent.supervision.restart_policy import DELIBERATE_ERROR, FIRST_BACKOFF_S
from wotemu_runtime.app_process.messages import Failed, Failure, Ready, Up, Waits
from wotemu_runtime.apps.error import DeliberateError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.testing import on_jumping_clock

from .loop_launcher import FakeApp, LoopLauncher

SOON_S = 0.001
"""On the jumping clock: until nothing more happens by itself."""


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


@attrs.define
class Supervised:
    """A supervisor at work on an app that was started once."""

    supervisor: AppSupervisor
    role: FakeRole
    launcher: LoopLauncher

    @property
    def app(self) -> FakeApp:
        return self.launcher.app

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [data for one, _, data in self.role.events if one == kind]

    async def sends(self, *messages: Any) -> None:
        self.app.sends(*messages)
        await asyncio.sleep(SOON_S)

    async def exits(self, status: int, **others: Any) -> None:
        """The main process ends, and all that follows at once has happened."""
        self.launcher.exited(status, **others)
        await asyncio.sleep(SOON_S)


@asynccontextmanager
async def supervised(*, is_wot: bool = False, released: bool = True) -> AsyncIterator[Supervised]:
    """An app that was just started, a WoT app or a command; at T0 or later unless it is not `released`."""
    role, launcher = FakeRole(), LoopLauncher(obeys=False)
    supervisor = AppSupervisor(role, launcher.agents_end, is_wot=is_wot)  # type: ignore[arg-type]
    if released:
        supervisor.released.set()
    running = asyncio.create_task(supervisor.run())
    await asyncio.sleep(SOON_S)
    assert len(launcher.apps) == 1
    try:
        yield Supervised(supervisor, role, launcher)
    finally:
        running.cancel()
        await asyncio.wait([running])
        launcher.close()


def exit_status(code: int) -> int:
    return code << 8


@on_jumping_clock
async def test_a_crash_is_reported_and_the_app_restarted_while_a_helper_holds_its_pipes() -> None:
    async with supervised() as cam:
        await cam.exits(exit_status(5), killed=1, left=1, close=False)
        await asyncio.sleep(DRAIN_S)
        (crash,) = cam.events("app.crashed")
        assert (crash["exit"], crash["asked"], crash["killed"]) == ("exit code 5", False, 1)
        await asyncio.sleep(FIRST_BACKOFF_S)
        assert cam.events("app.restarted") == [{"after_s": FIRST_BACKOFF_S}]
        assert len(cam.launcher.apps) == 2


@on_jumping_clock
async def test_an_end_is_judged_by_what_was_wanted_when_the_process_ended() -> None:
    async with supervised() as cam:
        await cam.exits(exit_status(1), close=False)
        cam.supervisor.stop()
        await asyncio.sleep(DRAIN_S)
        (crash,) = cam.events("app.crashed")
        assert not crash["asked"]


@on_jumping_clock
async def test_what_was_printed_before_the_end_is_read_before_the_end_is_reported() -> None:
    async with supervised() as cam:
        cam.app.prints(b"one\ntwo", b"no such device\n")
        await cam.exits(exit_status(3))
        (crash,) = cam.events("app.crashed")
        assert crash["error"] == "no such device"
        assert sorted(cam.role.lines) == ["no such device", "one", "two"]


@on_jumping_clock
async def test_a_program_that_goes_to_the_background_is_over_and_says_why() -> None:
    async with supervised() as cam:
        await cam.exits(0, killed=1)
        (ended,) = cam.events("app.exited")
        assert not ended["asked"]
        (message,) = [text for kind, text, _ in cam.role.events if kind == "app.exited"]
        assert "1 process that it left running, killed" in message
        assert "in the foreground" in message
        await asyncio.sleep(600)
        assert len(cam.launcher.apps) == 1


@on_jumping_clock
async def test_an_app_that_does_not_end_when_it_is_stopped_is_killed() -> None:
    async with supervised() as cam:
        cam.supervisor.stop()
        await asyncio.sleep(STOP_GRACE_S - 0.1)
        assert cam.launcher.signals == [signal.SIGTERM]
        await asyncio.sleep(0.2)
        assert cam.launcher.signals == [signal.SIGTERM, signal.SIGKILL]
        await cam.exits(signal.SIGKILL)
        assert cam.events("app.exited") == [{"asked": True, "exit": "killed by SIGKILL", "killed": 0}]


@on_jumping_clock
async def test_a_stop_that_was_heeded_kills_nothing_of_the_next_life() -> None:
    async with supervised() as cam:
        cam.supervisor.stop()
        await cam.exits(0)
        cam.supervisor.start()
        await asyncio.sleep(2 * STOP_GRACE_S)
        assert len(cam.launcher.apps) == 2
        assert cam.launcher.signals == [signal.SIGTERM, signal.SIGKILL], "the second before the second start"
        cam.supervisor.crash()
        await asyncio.sleep(SOON_S)
        assert [what for _, what in cam.launcher.requests][-2:] == ["start", signal.SIGKILL]


@on_jumping_clock
async def test_a_restart_is_asked_for_and_no_crash() -> None:
    async with supervised() as cam:
        cam.supervisor.start()
        await cam.exits(signal.SIGKILL)
        assert len(cam.launcher.apps) == 2
        assert cam.launcher.signals == [signal.SIGKILL]
        assert [data["asked"] for data in cam.events("app.exited")] == [True]
        assert not cam.events("app.crashed")


@on_jumping_clock
async def test_a_command_that_has_run_for_a_second_is_up() -> None:
    async with supervised() as cam:
        await asyncio.sleep(0.9)
        assert not cam.events("app.ready")
        await asyncio.sleep(0.2)
        assert cam.events("app.ready") == [{"returned": False}]


@on_jumping_clock
async def test_an_exit_with_0_is_no_crash_and_final() -> None:
    async with supervised(is_wot=True) as cam:
        await cam.sends(Ready())
        assert len(cam.events("app.started")) == 1
        await cam.exits(0)
        (ended,) = cam.events("app.exited")
        assert ended["exit"] == "exit code 0"
        await asyncio.sleep(600)
        assert not cam.events("app.crashed")
        assert len(cam.launcher.apps) == 1


@on_jumping_clock
async def test_an_app_that_ends_with_0_before_it_is_ready_has_not_started() -> None:
    async with supervised(is_wot=True) as cam:
        for attempt in range(1, 4):
            assert len(cam.launcher.apps) == attempt
            await cam.exits(0)
            await asyncio.sleep(10)
        (never,) = cam.events("app.never_started")
        assert never["error"] == "exit code 0"
        assert len(cam.launcher.apps) == 3


@pytest.mark.parametrize("raised", [DELIBERATE_ERROR, "RuntimeError"])
@on_jumping_clock
async def test_an_app_that_never_came_up_is_bad_input_unless_it_fails_on_purpose(raised: str) -> None:
    assert DeliberateError.__name__ == DELIBERATE_ERROR
    async with supervised(is_wot=True) as cam:
        for attempt in range(1, 4):
            assert not cam.events("app.never_started")
            await cam.sends(Ready())
            await cam.sends(Failed(Failure("run", raised, "no bulb")))
            await cam.exits(exit_status(1))
            assert cam.events("app.crashed")[-1]["attempt"] == attempt
            await asyncio.sleep(10)
        if raised == DELIBERATE_ERROR:
            assert len(cam.launcher.apps) == 4
        else:
            assert "no bulb" in cam.events("app.never_started")[0]["error"]


@on_jumping_clock
async def test_a_command_that_fails_at_each_of_its_first_starts_is_bad_input() -> None:
    async with supervised() as cam:
        for _ in range(3):
            assert not cam.events("app.never_started")
            await cam.exits(exit_status(1))
            await asyncio.sleep(2 ** len(cam.events("app.crashed")) * FIRST_BACKOFF_S / 2)
        assert len(cam.events("app.never_started")) == 1


@on_jumping_clock
async def test_bad_input_to_an_app_ends_the_run() -> None:
    async with supervised(is_wot=True) as cam:
        await cam.sends(Ready(), Failed(Failure("run", "InputError", "rate=-1: above zero")))
        await cam.exits(exit_status(1))
        assert cam.events("app.never_started")[0]["error"] == "rate=-1: above zero"


@on_jumping_clock
async def test_bad_input_to_an_app_that_was_up_is_a_crash() -> None:
    async with supervised(is_wot=True) as cam:
        await cam.sends(Ready(), Up(returned=False), Failed(Failure("run", "InputError", "no such Thing")))
        await cam.exits(exit_status(1))
        await asyncio.sleep(FIRST_BACKOFF_S)
        assert len(cam.launcher.apps) == 2
        assert not cam.events("app.never_started")


@on_jumping_clock
async def test_a_program_that_can_not_be_run_is_bad_input_at_once() -> None:
    async with supervised() as cam:
        await cam.sends(
            Failed(Failure("prepare", "", "can't run 'nope'", "field 'command'", "is it installed?"))
        )
        await cam.exits(exit_status(127))
        assert cam.events("app.never_started") == [
            {"error": "can't run 'nope'", "where": "field 'command'", "hint": "is it installed?"}
        ]


@on_jumping_clock
async def test_an_app_that_ends_three_times_before_t0_is_bad_input() -> None:
    async with supervised(is_wot=True, released=False) as cam:
        for _ in range(3):
            assert not cam.events("app.never_started")
            await cam.exits(exit_status(1))
            await asyncio.sleep(10)
        assert len(cam.events("app.never_started")) == 1


@on_jumping_clock
async def test_the_pause_before_a_restart_doubles_and_is_short_again_after_a_life() -> None:
    async with supervised(is_wot=True) as cam:
        for is_up in (True, False, False, True):
            await cam.sends(*[Up(returned=False)] * is_up, Ready())
            await cam.exits(exit_status(1))
            await asyncio.sleep(4.5)
        pauses = [data["after_s"] for data in cam.events("app.restarted")]
        assert pauses == [0.5, 1.0, 2.0, 0.5]


@on_jumping_clock
async def test_the_pause_is_short_again_after_an_app_that_ran_for_long() -> None:
    async with supervised(is_wot=True) as cam:
        await cam.sends(Up(returned=False))
        for lived_s in (0.0, 0.0, 11.0):
            await asyncio.sleep(lived_s)
            await cam.exits(exit_status(1))
            await asyncio.sleep(2)
        assert [data["after_s"] for data in cam.events("app.restarted")] == [0.5, 1.0, 0.5]


@on_jumping_clock
async def test_a_start_that_the_timeline_asks_for_does_not_wait_for_the_backoff() -> None:
    async with supervised() as cam:
        await cam.exits(exit_status(1))
        cam.supervisor.start()
        await asyncio.sleep(SOON_S)
        assert len(cam.launcher.apps) == 2


@on_jumping_clock
async def test_a_long_wait_of_an_app_is_an_event_and_so_is_its_end() -> None:
    async with supervised(is_wot=True) as cam:
        await cam.sends(Waits("hub:9090", 5.0, "no answer"), Waits("hub:9090", 7.5, ""))
        assert cam.events("app.waiting")[0]["missing"] == "no answer"
        assert cam.events("app.found") == [{"what": "hub:9090", "waited_s": 7.5, "missing": ""}]


@on_jumping_clock
async def test_the_end_of_a_run_waits_for_what_the_app_says_last() -> None:
    async with supervised() as cam:
        ending = asyncio.create_task(cam.supervisor.end())
        await asyncio.sleep(SOON_S)
        assert cam.launcher.signals == [signal.SIGTERM]
        cam.app.prints(b"bye\n")
        cam.launcher.exited(0)
        await ending
        assert cam.role.lines == ["bye"]
