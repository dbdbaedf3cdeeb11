"""The coordinator's end of a sandbox: starts its processes, talks with its zygote, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wotemu.errors import EmulationError
from wotemu_runtime.engines.engine import RoleEnded, RoleLost, in_words
from wotemu_runtime.engines.local.cgroups.delegation import DelegatedGroup
from wotemu_runtime.engines.local.file_limit import file_limit
from wotemu_runtime.engines.local.host_check import refusal
from wotemu_runtime.engines.local.monitor import Monitor
from wotemu_runtime.processes.channel import AsyncChannel

START_DEADLINE_S = 20.0
REMOVE_DEADLINE_S = 10.0


class SandboxProcess:
    """One sandbox, from its start to its end.

    Args:
        log_path: Gets what its processes print.
        monitor: One that was started early, to be used where it fits; None for none.
    """

    def __init__(self, log_path: Path, monitor: Monitor | None = None) -> None:
        self._log_path = log_path
        self._early = monitor
        self._monitor: subprocess.Popen[bytes] | None = None
        self._control: AsyncChannel | None = None
        self._lifeline: AsyncChannel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._netem: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.news: asyncio.Queue[RoleEnded | RoleLost] = asyncio.Queue()
        """The roles that ended or were lost, in that order."""
        self._removal: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"SandboxProcess(monitor={self._monitor.pid if self._monitor else None})"

    async def start(
        self,
        group: DelegatedGroup | None = None,
        remove: Sequence[str] = (),
        *,
        shaper: str = "tun",
        uplinks: int = 0,
    ) -> str:
        """Start it, in a control group where one is given.

        Args:
            group: The group; None for the one that this process is in.
            remove: Directories that are to be removed at the end, however this process ends. None of them
                is to be made before.
            shaper: The one that is asked for; unless that is ``tun``, `missing_of_netem` can be called.
            uplinks: How many ways out of the emulation there will be.

        Returns:
            Why the sandbox is not in the control group that it was given; "" if it is.

        Raises:
            EmulationError: It does not answer.
        """
        command = () if group is None else group.command
        monitor = self._take_early(command, shaper) or Monitor(shaper, command)
        monitor.is_used = True
        self._monitor = monitor.process
        self._control = await AsyncChannel.of(monitor.control)
        self._lifeline = await AsyncChannel.of(monitor.lifeline)
        self._listening = asyncio.create_task(self._listen(self._control), name="sandbox")
        parameters = {
            "log": str(self._log_path.absolute()),
            "file_limit": file_limit(),
            "group": None if group is None else str(group.leaf),
            "remove": list(remove),
            "uplinks": uplinks,
        }
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._lifeline.send(parameters)
                answer = await self._lifeline.receive()
        except TimeoutError:
            raise self._no_answer(f"did not start within {START_DEADLINE_S:g} s") from None
        except ConnectionError:
            answer = None
        if answer is None:
            raise self._no_answer("ended as it started")
        return str(answer["refused"])

    def _take_early(self, command: Sequence[str], shaper: str) -> Monitor | None:
        """The monitor that was started early, if it is what is needed; else it is ended."""
        early, self._early = self._early, None
        if early is None or (not command and early.shaper == shaper):
            return early
        early.discard()
        return None

    async def ready(self) -> int:
        """Wait for the zygote.

        Returns:
            Its process id on this machine.

        Raises:
            HostError: The kernel refuses a namespace, a mount or a device.
        """
        message = await self.next_event(START_DEADLINE_S, "making the namespaces")
        if message["event"] == "refused":
            raise refusal(message["step"], message["errno"])
        return int(message["pid"])

    async def send(self, message: dict[str, Any]) -> None:
        """Send the zygote a request; `EmulationError` where it is gone."""
        if self._control is None:
            raise EmulationError("the sandbox is gone")
        try:
            await self._control.send(message)
        except ConnectionError:
            raise self._no_answer(f"ended before {message['op']!r}") from None

    async def hold(self, name: str, fd: int) -> None:
        """Give the zygote a descriptor that a role needs; `EmulationError` where it is gone."""
        if self._control is None:
            raise EmulationError("the sandbox is gone")
        try:
            await self._control.send_fd({"op": "hold", "name": name}, fd)
        except ConnectionError:
            raise self._no_answer(f"ended before it had {name!r}") from None

    async def next_event(self, deadline_s: float, doing: str) -> dict[str, Any]:
        """The zygote's next event other than a role's end.

        Args:
            deadline_s: How long to wait.
            doing: What goes on meanwhile, for the error's text.

        Raises:
            EmulationError: The deadline passed, or the sandbox ended.
        """
        return await self._next(self._events, deadline_s, doing)

    async def missing_of_netem(self) -> str:
        """What this kernel lacks of NetEm; "" if nothing. To be called once."""
        return str((await self._next(self._netem, START_DEADLINE_S, "trying NetEm"))["missing"])

    async def _next(
        self, events: asyncio.Queue[dict[str, Any] | None], deadline_s: float, doing: str
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(deadline_s):
                message = await events.get()
        except TimeoutError:
            raise EmulationError(f"{doing} took more than {deadline_s:g} s") from None
        if message is None:
            raise self._no_answer(f"ended while {doing}")
        return message

    async def deployed(self, deadline_s: float) -> None:
        """Wait until every role has started.

        Raises:
            HostError: The kernel refused what a role needs.
            EmulationError: A role failed, or the deadline passed.
        """
        message = await self.next_event(deadline_s, "starting the nodes")
        if message["event"] == "failed":
            if number := message["errno"]:
                raise refusal(message["where"], number)
            raise EmulationError(message["error"], where=message["where"], hint=self._hint)

    async def remove(self) -> None:
        """Close the lifeline and wait for the monitor, which ends the sandbox. All callers wait."""
        if self._early is not None:
            self._early.discard()
        if self._monitor is None:
            return
        if self._removal is None:
            self._removal = self._start_removal(self._monitor)
        # A caller may be cancelled, by a second Ctrl-C for example; the removal goes on for the others.
        await asyncio.shield(self._removal)

    def _start_removal(self, monitor: subprocess.Popen[bytes]) -> asyncio.Future[None]:
        if self._listening is not None:
            self._listening.cancel()
        for channel in (self._control, self._lifeline):
            if channel is not None:
                channel.close()  # the monitor sees the end of the lifeline
        return asyncio.get_running_loop().run_in_executor(None, _wait, monitor)

    async def _listen(self, control: AsyncChannel) -> None:
        """Sort the zygote's events until it ends: roles' ends may come at any time, also between answers."""
        while (message := await control.receive()) is not None:
            if message["event"] == "exited":
                role, number = message["role"], message["errno"]
                cause = refusal(f"another process for {role}", number) if number else self._raised(message)
                self.news.put_nowait(RoleEnded(role, message["status"], cause))
            elif message["event"] == "replaced":
                for role in message["roles"]:
                    self.news.put_nowait(RoleLost(role, f"its agent was {message['status']}"))
            else:
                (self._netem if message["event"] == "netem" else self._events).put_nowait(message)
        for events in (self._events, self._netem):
            events.put_nowait(None)
        self.news.put_nowait(RoleEnded("sandbox", "its first process is gone"))

    def _raised(self, message: Mapping[str, Any]) -> EmulationError | None:
        """What an agent has raised, if one has: all nodes of its process end with it, in any order."""
        if (raised := message["raised"]) is None:
            return None
        return EmulationError(
            f"its agent raised {raised['error']}", where=in_words(raised["role"]), hint=self._hint
        )

    def _no_answer(self, what: str) -> EmulationError:
        return EmulationError(f"the sandbox {what}", hint=self._hint)

    @property
    def _hint(self) -> str:
        return f"what it printed is in {self._log_path}"


def _wait(monitor: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        monitor.wait(REMOVE_DEADLINE_S)
        return
    monitor.kill()  # the kernel then kills the sandbox, whose parent has died
    monitor.wait()
