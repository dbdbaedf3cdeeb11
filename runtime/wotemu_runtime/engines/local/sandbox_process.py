"""The coordinator's end of a sandbox: starts its processes, talks with its zygote, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from wotemu.errors import EmulationError
from wotemu_runtime.engines.engine import RoleEnded
from wotemu_runtime.engines.local.cgroups.delegation import DelegatedGroup
from wotemu_runtime.engines.local.host_check import refusal
from wotemu_runtime.processes.channel import AsyncChannel

START_DEADLINE_S = 20.0
REMOVE_DEADLINE_S = 10.0


class SandboxProcess:
    """One sandbox, from its start to its end. `log_path` gets what its processes print."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._monitor: subprocess.Popen[bytes] | None = None
        self._control: AsyncChannel | None = None
        self._lifeline: AsyncChannel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.ended: asyncio.Queue[RoleEnded] = asyncio.Queue()
        """The roles that ended, in that order."""
        self._removal: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"SandboxProcess(monitor={self._monitor.pid if self._monitor else None})"

    async def start(self, group: DelegatedGroup | None) -> None:
        """Start the monitor, in a control group where one is given."""
        self._control, control = await AsyncChannel.pair()
        self._lifeline, lifeline = await AsyncChannel.pair()
        self._monitor = _start_monitor(self._log_path, (control.fileno(), lifeline.fileno()), group)
        control.close()
        lifeline.close()
        self._listening = asyncio.create_task(self._listen(self._control), name="sandbox")

    async def remove_at_end(self, directories: list[str]) -> str:
        """Have the monitor remove directories at the end, however this process ends.

        To be called before the directories are made.

        Returns:
            Why the monitor, and so the sandbox, is not in the control group that it was given; "" if it is.

        Raises:
            EmulationError: The monitor does not answer.
        """
        if self._lifeline is None:
            raise EmulationError("the sandbox is gone")
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._lifeline.send({"remove": directories})
                answer = await self._lifeline.receive()
        except TimeoutError:
            raise self._no_answer(f"did not start within {START_DEADLINE_S:g} s") from None
        except ConnectionError:
            answer = None
        if answer is None:
            raise self._no_answer("ended as it started")
        return str(answer["refused"])

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

    async def next_event(self, deadline_s: float, doing: str) -> dict[str, Any]:
        """The zygote's next event other than a role's end.

        Args:
            deadline_s: How long to wait.
            doing: What goes on meanwhile, for the error's text.

        Raises:
            EmulationError: The deadline passed, or the sandbox ended.
        """
        try:
            async with asyncio.timeout(deadline_s):
                message = await self._events.get()
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
                refused = refusal(f"another process for {role}", number) if number else None
                self.ended.put_nowait(RoleEnded(role, message["status"], refused))
            else:
                self._events.put_nowait(message)
        self._events.put_nowait(None)
        self.ended.put_nowait(RoleEnded("sandbox", "its first process is gone"))

    def _no_answer(self, what: str) -> EmulationError:
        return EmulationError(f"the sandbox {what}", hint=self._hint)

    @property
    def _hint(self) -> str:
        return f"what it printed is in {self._log_path}"


def _start_monitor(
    log_path: Path, fds: tuple[int, int], group: DelegatedGroup | None
) -> subprocess.Popen[bytes]:
    before, after = ((), ()) if group is None else (group.command, (str(group.leaf),))
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [
                *before,
                *(sys.executable, "-m", "wotemu_runtime.engines.local.sandbox", *map(str, fds)),
                *after,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,  # Ctrl-C in a terminal goes to the coordinator's process group alone
        )


def _wait(monitor: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        monitor.wait(REMOVE_DEADLINE_S)
        return
    monitor.kill()  # the kernel then kills the sandbox, whose parent has died
    monitor.wait()
