"""What a node's first process answers its agent; nothing is forked or killed, and both is remembered."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import pytest

from wotemu_runtime.agent.launcher import Launcher, Program
from wotemu_runtime.processes.channel import Channel

AGENT, APP, NEXT_APP, ORPHAN = 101, 102, 103, 999
COMMAND = Program(app=None, command=("true",), env={}, cwd="/")
KILLED = (2, 1)
"""How many processes the app is said to have left running, and how many of them can't be killed."""


class Left(BaseException):
    """The launcher's process has ended."""


class Idle(BaseException):
    """The script of the test is over."""


@attrs.define
class Machine:
    """The kernel, as far as a launcher uses it. `calls` is what was asked of it, in order."""

    calls: list[tuple[Any, ...]] = attrs.field(factory=list)
    gone: set[int] = attrs.field(factory=set)
    """Processes and (negative) groups that are not there."""
    agent: Channel | None = None
    forks: int = 0

    def fork(self, child: Callable[[], int | None], keep_fds: Iterable[int] = ()) -> int:
        self.forks += 1
        if self.forks == 1:
            self.agent = Channel(socket.socket(fileno=os.dup(next(iter(keep_fds)))))
        return AGENT + self.forks - 1

    def kill(self, pid: int, number: int) -> None:
        self.calls.append(("kill", pid, number))
        if pid in self.gone:
            raise ProcessLookupError

    def end_all(self, spared: set[int]) -> tuple[int, int]:
        self.calls.append(("end_all", spared - {os.getpid()}))
        return KILLED

    def exit(self, status: int) -> None:
        self.calls.append(("exit", status))
        raise Left

    def answer(self) -> tuple[dict[str, Any], list[int]]:
        assert self.agent is not None
        received = self.agent.receive()
        assert received is not None
        return received

    def answers_so_far(self) -> list[dict[str, Any]]:
        """The same while the launcher still has its end."""
        assert self.agent is not None
        self.agent.sock.setblocking(False)
        found = []
        with contextlib.suppress(BlockingIOError):
            while received := self.agent.receive():
                found.append(received[0])
        return found

    def answers(self) -> list[dict[str, Any]]:
        """All that the agent was answered; what was sent along is given back."""
        assert self.agent is not None
        found = []
        while received := self.agent.receive():
            found.append(received[0])
            for fd in received[1]:
                os.close(fd)
        return found


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine()
    monkeypatch.setattr("wotemu_runtime.agent.launcher.fork", machine.fork)
    monkeypatch.setattr("wotemu_runtime.agent.launcher.process_tree.end_all", machine.end_all)
    monkeypatch.setattr("wotemu_runtime.agent.launcher.os.kill", machine.kill)
    monkeypatch.setattr("wotemu_runtime.agent.launcher.os._exit", machine.exit)
    monkeypatch.setattr(
        "wotemu_runtime.agent.launcher.signal.signal", lambda *args: machine.calls.append(("signal", *args))
    )
    yield machine
    if machine.agent is not None:
        machine.agent.close()


@pytest.fixture
def serve(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Serve a script of requests (dicts) and of children that end: (pid, status)."""

    def serve(*script: dict[str, Any] | tuple[int, int]) -> None:
        def play(_: Channel, on_request: Any, on_child: Any, *, until_closed: bool) -> None:
            for step in script:
                on_request(step) if isinstance(step, dict) else on_child(*step)
            raise Idle

        monkeypatch.setattr("wotemu_runtime.agent.launcher.reaper.serve", play)
        serving = Launcher(COMMAND, lambda _: None)
        with pytest.raises((Left, Idle)):
            serving.serve_beside_agent(lambda _: 0)
        serving._channel.close()

    return serve


START = {"op": "start"}
TERM, KILL = ({"op": "kill", "signal": int(number)} for number in (signal.SIGTERM, signal.SIGKILL))


def acts(machine: Machine) -> list[tuple[Any, ...]]:
    return [call for call in machine.calls if call[0] != "signal"]


def test_a_start_is_answered_with_the_process_and_three_ends_that_the_launcher_keeps_none_of(
    machine: Machine, serve: Callable[..., None]
) -> None:
    serve(START)
    message, fds = machine.answer()
    assert message == {"op": "started", "pid": APP}
    out, err, records = fds
    for fd in fds:
        os.set_blocking(fd, False)
    assert (os.read(out, 1), os.read(err, 1)) == (b"", b"")  # no writer is left: the app was never forked
    with socket.socket(fileno=records) as channel:
        assert channel.recv(1) == b""
    os.close(out)
    os.close(err)
    assert acts(machine) == []


def test_a_signal_reaches_the_apps_group(machine: Machine, serve: Callable[..., None]) -> None:
    serve(START, TERM)
    assert acts(machine) == [("kill", -APP, signal.SIGTERM)]


def test_a_signal_reaches_an_app_that_has_no_group_yet(machine: Machine, serve: Callable[..., None]) -> None:
    machine.gone = {-APP}
    serve(START, TERM)
    assert acts(machine) == [("kill", -APP, signal.SIGTERM), ("kill", APP, signal.SIGTERM)]


def test_sigkill_ends_everything_but_the_launcher_and_the_agent(
    machine: Machine, serve: Callable[..., None]
) -> None:
    serve(START, KILL)
    assert acts(machine) == [("end_all", {1, AGENT})]


def test_what_the_app_left_running_is_killed_before_its_end_is_told(
    machine: Machine, serve: Callable[..., None]
) -> None:
    serve(START, (APP, 5 << 8))
    assert acts(machine) == [("end_all", {1, AGENT})]
    assert machine.answers()[1] == {"op": "exited", "status": 5 << 8, "killed": 2, "left": 1}


def test_an_app_that_has_ended_is_signalled_no_more_since_others_may_have_its_id(
    machine: Machine, serve: Callable[..., None]
) -> None:
    serve(START, (APP, 0), TERM)
    assert [call for call in acts(machine) if call[0] == "kill"] == []


def test_nothing_is_signalled_before_the_app_is_started(machine: Machine, serve: Callable[..., None]) -> None:
    serve(TERM)
    assert acts(machine) == []


def test_the_end_of_another_child_is_told_nobody(machine: Machine, serve: Callable[..., None]) -> None:
    serve(START, (ORPHAN, 0))
    assert [each["op"] for each in machine.answers()] == ["started"]
    assert acts(machine) == []


def test_a_clock_is_not_skewed_of_programs_that_were_started_without_libfaketime(
    machine: Machine, serve: Callable[..., None]
) -> None:
    serve({"op": "fault", "fault": "skew_clock", "by_s": 180.0})
    (answer,) = machine.answers()
    assert answer["op"] == "imposed"
    assert "at(0).skew_clock(" in answer["error"]


def test_an_app_is_started_again_as_another_process(machine: Machine, serve: Callable[..., None]) -> None:
    serve(START, (APP, 9), START, TERM, (NEXT_APP, 0))
    assert [(each["op"], each.get("pid")) for each in machine.answers()] == [
        ("started", APP),
        ("exited", None),
        ("started", NEXT_APP),
        ("exited", None),
    ]
    assert ("kill", -NEXT_APP, signal.SIGTERM) in machine.calls


@pytest.mark.parametrize(("status", "code"), [(0, 0), (3 << 8, 3), (signal.SIGKILL, 9)])
def test_the_agents_end_is_the_launchers_and_the_apps(
    machine: Machine, serve: Callable[..., None], status: int, code: int
) -> None:
    serve(START, (AGENT, status))
    assert acts(machine) == [("end_all", {1, AGENT}), ("exit", code)]


def test_an_agent_that_has_hung_up_is_no_error(
    machine: Machine, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up(*_: Any) -> tuple[int, int]:
        assert machine.agent is not None
        machine.agent.close()
        return KILLED

    monkeypatch.setattr("wotemu_runtime.agent.launcher.process_tree.end_all", hang_up)
    serve(START, (APP, 0), (AGENT, 0))
    assert machine.calls[-1] == ("exit", 0)


def test_an_agent_of_many_nodes_ends_an_app_by_closing_its_end(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no child of the launcher, which kills everything and returns."""
    machine.forks = 1  # so that the next fork is the app's
    monkeypatch.setattr("wotemu_runtime.processes.reaper.reap", lambda _: None)
    machine.agent, launchers_end = Channel.pair()
    machine.agent.send(START)
    machine.agent.sock.shutdown(socket.SHUT_WR)
    Launcher(COMMAND, lambda _: None).serve(launchers_end)
    assert [each["op"] for each in machine.answers_so_far()] == ["started"]
    assert acts(machine) == [("end_all", {1})]
    launchers_end.close()


def test_sigterm_is_passed_on_to_the_agent(machine: Machine, serve: Callable[..., None]) -> None:
    serve()
    ((_, number, handler),) = [call for call in machine.calls if call[0] == "signal"]
    assert number == signal.SIGTERM
    handler(signal.SIGTERM, None)
    assert acts(machine) == [("kill", AGENT, signal.SIGTERM)]
