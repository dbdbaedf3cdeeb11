"""The agent's side of the launcher: asks for starts and signals, and receives what became of the app."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from wotemu.errors import EmulationError
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text

STOP_GRACE_S = 3.0
"""An app that was sent SIGTERM may take so long before SIGKILL follows."""


@attrs.frozen
class Started:
    """A start: the main process's id, and descriptors of its standard output, standard error and socket."""

    pid: int
    stdout: int
    stderr: int
    socket: int


@attrs.frozen
class Exited:
    """An end: the main process's wait(2) status, and the other processes of the app.

    `killed` processes outlived the main one and were killed, of which `left` are still there.
    """

    status: int
    killed: int = 0
    left: int = 0

    def __str__(self) -> str:
        """``exit code 1``, and what became of other processes of the app."""
        text = exit_text(self.status)
        if self.killed:
            text += f"; {self.killed} process{'es' * (self.killed > 1)} that it left running, killed"
        return f"{text}, {self.left} still there" if self.left else text


@attrs.define(eq=False)
class RunningCommand:
    """A command beside the app.

    Attributes:
        fds: Its standard input, output and error, or its terminal alone; the owner closes them.
        status: Resolves to its wait(2) status.
    """

    fds: list[int]
    status: asyncio.Future[int]


class LauncherConnection:
    """Requests to the launcher of one node, and its answers. `open` it before the first start."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._messages: asyncio.Queue[tuple[dict[str, Any], list[int]]] = asyncio.Queue()
        self._kill_timer: asyncio.TimerHandle | None = None
        self._started: dict[str, asyncio.Future[RunningCommand]] = {}
        self._exited: dict[str, asyncio.Future[int]] = {}
        """What the commands that run beside the app are waited for by, by their ids."""
        self._imposing: deque[asyncio.Future[dict[str, Any]]] = deque()
        """Answers to `impose` that are due, in order."""
        self._is_gone = False

    def __repr__(self) -> str:
        return f"<LauncherConnection {'stopping' if self._kill_timer else 'idle'}>"

    def open(self, *, discard: bool = False) -> None:
        """Receive answers from now on; `discard` those that another agent was sent."""
        if discard:
            self._channel.discard()
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._receive)

    def close(self) -> None:
        """Receive nothing any more; the channel stays open."""
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self.cancel_kill()

    def _receive(self) -> None:
        received = self._channel.receive()
        if received is None:  # the node is gone, which its engine reports
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._is_gone = True
            self._fail_commands()
        elif received[0]["op"].startswith("exec_"):
            self._take_answer(*received)
        elif received[0]["op"] == "imposed":
            self._take_imposed(received[0])
        else:
            self._messages.put_nowait(received)

    def _take_answer(self, message: dict[str, Any], fds: list[int]) -> None:
        """Take what became of a command beside the app."""
        number = message["id"]
        if message["op"] == "exec_started":
            started, exited = self._started.pop(number, None), self._exited.get(number)
            if started is not None and exited is not None and not started.done():
                started.set_result(RunningCommand(fds, exited))
            else:
                for fd in fds:
                    os.close(fd)
        elif (ended := self._exited.pop(number, None)) is not None and not ended.done():
            ended.set_result(message["status"])

    def _take_imposed(self, message: dict[str, Any]) -> None:
        if not self._imposing:  # another agent had asked
            return
        answer = self._imposing.popleft()
        if answer.done():
            return
        if message["error"]:
            answer.set_exception(EmulationError(message["error"]))
        else:
            answer.set_result(message)

    def _fail_commands(self) -> None:
        for answer in self._imposing:
            if not answer.done():
                answer.set_exception(EmulationError("the node is gone"))
        for started in self._started.values():
            started.cancel()
        for exited in self._exited.values():
            exited.cancel()

    async def execute(self, number: str, command: Sequence[str], *, tty: bool) -> RunningCommand:
        """Run a command beside the app, as the app would run.

        Args:
            number: A new id for it.
            command: The program and its arguments.
            tty: Whether it gets a terminal.
        """
        loop = asyncio.get_running_loop()
        started: asyncio.Future[RunningCommand] = loop.create_future()
        self._started[number] = started
        self._exited[number] = loop.create_future()
        self._request({"op": "exec", "id": number, "command": list(command), "tty": tty})
        return await started

    def signal_command(self, number: str, signal_number: int) -> None:
        """Signal a command's process group; nothing where it has ended."""
        self._request({"op": "exec_kill", "id": number, "signal": signal_number})

    async def impose(self, fault: str, **asked: Any) -> dict[str, Any]:
        """Impose or end a fault of the node.

        Args:
            fault: ``pause``, ``resume``, ``stress``, ``unstress``, ``fill_disk``, ``free_disk`` or
                ``skew_clock``.
            asked: What the fault takes, as `Launcher` has it.

        Returns:
            What the launcher answers: of a pause ``by``, ``freezer`` or ``signals``; of others figures.

        Raises:
            EmulationError: The kernel refused it, or the node is gone.
        """
        if self._is_gone:
            raise EmulationError("the node is gone")
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._imposing.append(answer)
        self._request({"op": "fault", "fault": fault, **asked})
        return await answer

    async def take_over(self) -> None:
        """Kill what another agent had started, end the faults that it imposed, and forget its answers."""
        self.kill()
        for fault in ("resume", "unstress", "free_disk"):  # their answers come after all those
            with contextlib.suppress(EmulationError):
                await self.impose(fault)
        while not self._messages.empty():
            for fd in self._messages.get_nowait()[1]:
                os.close(fd)

    async def start(self) -> Started:
        """Have the app started."""
        self._request({"op": "start"})
        while True:
            message, fds = await self._messages.get()
            if message["op"] == "started":
                return Started(message["pid"], *fds)

    async def exited(self) -> Exited:
        """Wait for the end of the main process; by then all others of the app are killed, too."""
        while True:
            message, _ = await self._messages.get()
            if message["op"] == "exited":
                return Exited(message["status"], message["killed"], message["left"])

    def kill(self) -> None:
        """Kill every process of the app now."""
        self.cancel_kill()
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM now, and SIGKILL after `STOP_GRACE_S` unless `cancel_kill` is called before."""
        self.cancel_kill()
        self._signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        self._kill_timer = loop.call_later(STOP_GRACE_S, self._signal, signal.SIGKILL)

    def cancel_kill(self) -> None:
        """The app has ended in time: the SIGKILL that is due would hit its next start."""
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None

    def _signal(self, number: signal.Signals) -> None:
        self._request({"op": "kill", "signal": int(number)})

    def _request(self, message: dict[str, Any]) -> None:
        # A node whose first process is gone must not end the agents of others, which share this process.
        with contextlib.suppress(ConnectionError):
            self._channel.send(message)
