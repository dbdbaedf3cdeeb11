"""Keeps one node's app in the state that the timeline asks for: starts, stops and restarts it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from wotemu.errors import EmulationError
from wotemu_runtime.agent.process_tree import END_DEADLINE_S
from wotemu_runtime.agent.supervision.app_connection import AppConnection
from wotemu_runtime.agent.supervision.app_output import AppOutput, Life
from wotemu_runtime.agent.supervision.launcher_connection import (
    STOP_GRACE_S,
    Exited,
    LauncherConnection,
)
from wotemu_runtime.agent.supervision.restart_policy import Finished, NeverStarted, Restart, RestartPolicy
from wotemu_runtime.app_process.messages import Claim, Rows
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text
from wotemu_runtime.roles.role import Role

UP_AFTER_S = 1.0
"""A command that has run for so long has started."""
DRAIN_S = 1.0
"""Time to read an ended app's last output where a process that can't be killed holds its pipes open."""


class AppSupervisor:
    """The app of one replica.

    Args:
        role: the replica's role.
        launcher: the channel to the node's launcher.
        is_wot: whether the app is WoTPy's, which is loaded before T0.
        on_claim: called with the sockets whose requests the app measures itself.
        replace: whether another agent, which was killed, has used the launcher before.

    Attributes:
        launcher: the node's launcher, which also runs commands beside the app.
        wanted: the state that the timeline asks for: ``running``, ``crashed`` or ``stopped``.
        has_launcher: set once nothing of another agent's is left in the node.
        is_paused: whether the node's processes are suspended; no app is started meanwhile.
        prepared: set once a WoT app is loaded, or a command started.
        released: to be set at T0; a WoT app waits for it before it opens anything.
    """

    def __init__(
        self,
        role: Role,
        launcher: Channel,
        *,
        is_wot: bool,
        on_claim: Callable[[Claim], None] = lambda _claim: None,
        replace: bool = False,
    ) -> None:
        self._role = role
        self._replace = replace
        self._replica = role.assignment.subject
        self.launcher = LauncherConnection(launcher)
        self._policy = RestartPolicy(is_wot)
        self._output = AppOutput(role, lambda: self.wanted == "stopped", self._report_up, on_claim)
        self._tasks = asyncio.TaskGroup()
        self._changed = asyncio.Event()
        """`wanted` was set, also to the state that it had."""
        self._idle = asyncio.Event()
        """No process of the app runs, and all its output is read."""
        self._idle.set()
        self.wanted = "running"
        self.is_paused = False
        self.has_launcher = asyncio.Event()
        self.prepared = asyncio.Event()
        self.released = asyncio.Event()

    def __repr__(self) -> str:
        state = "idle" if self._idle.is_set() else "busy"
        return f"<AppSupervisor {self._replica} wanted={self.wanted} {state}>"

    async def run(self) -> None:
        """Keep the app in its wanted state until cancelled."""
        self.launcher.open(discard=self._replace)
        try:
            async with self._tasks:
                if self._replace:
                    await self.launcher.take_over()
                self.has_launcher.set()
                if self.is_paused:  # by what another agent missed
                    await self.launcher.impose("pause")
                while True:
                    if self.wanted == "running" and not self.is_paused:
                        await self._run_once()
                    else:
                        self._changed.clear()
                        await self._changed.wait()
        finally:
            self.launcher.close()

    # What the timeline asks for

    def crash(self) -> None:
        """Kill every process of the app now."""
        self._want("crashed")
        self.launcher.kill()

    def stop(self) -> None:
        """Terminate the app; kill it if it has not ended within `STOP_GRACE_S`."""
        self._want("stopped")
        self.launcher.terminate()

    def start(self) -> None:
        """Start the app; restart it if it runs."""
        self._want("running")
        self.launcher.kill()  # also where it has ended: processes of it may still run

    async def pause(self) -> str:
        """Suspend all processes of the node. Raises EmulationError where the kernel refuses it.

        Returns:
            By what they are: the ``freezer`` of a control group, or ``signals``.
        """
        suspended = await self.launcher.impose("pause")
        self.is_paused = True
        return str(suspended["by"])

    async def resume(self) -> None:
        """Let the processes go on, and start the app where it has ended meanwhile."""
        await self.launcher.impose("resume")
        self.is_paused = False
        if self._idle.is_set():  # of one that runs it would say that its end was asked for
            self._changed.set()

    def _want(self, state: str) -> None:
        self.wanted = state
        self._changed.set()

    async def end(self) -> None:
        """At the end of the run: stop the app, and read everything that it printed."""
        if self.is_paused:
            with contextlib.suppress(EmulationError, TimeoutError):
                async with asyncio.timeout(END_DEADLINE_S):
                    await self.resume()
            self.is_paused = False
        if self._idle.is_set():
            self.wanted = "stopped"
            return
        self.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S + END_DEADLINE_S + DRAIN_S):
                await self._idle.wait()
        self.launcher.cancel_kill()

    # One start of the app, to its end

    async def _run_once(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle.clear()
        self._changed.clear()
        life, readers = await self._launch()
        began_s = loop.time()
        watch = self._tasks.create_task(self._watch_up(life))
        exited = await self.launcher.exited()
        # Judged now: a stop that comes while the rest is read is not why the app ended.
        was_requested = self.wanted != "running" or self._changed.is_set()
        lived_s = loop.time() - began_s
        self.launcher.cancel_kill()
        watch.cancel()
        await _drain(readers)
        self._idle.set()
        self._report_end(life, exited, was_requested=was_requested)
        if self.wanted == "running" and not self._changed.is_set():
            await self._react(life, exited, lived_s)

    async def _launch(self) -> tuple[Life, list[asyncio.Task[None]]]:
        """Start the app, and the tasks that read what it prints and sends."""
        started = await self.launcher.start()
        life = Life(started.pid, AppConnection(socket.socket(fileno=started.socket)))
        reads = (
            self._output.read_lines(life, "stdout", started.stdout),
            self._output.read_lines(life, "stderr", started.stderr),
            self._output.read_messages(life),
        )
        return life, [self._tasks.create_task(read) for read in reads]

    async def _watch_up(self, life: Life) -> None:
        """Report that the app is started, release it at T0, and report a command that is up."""
        if self._policy.is_wot:
            await life.prepared.wait()
            self._policy.ready()
            self.prepared.set()
            await self.released.wait()
            self._report_started(life)
            life.connection.go()  # the app reports by itself when it is up
            return
        self.prepared.set()
        self._report_started(life)
        await asyncio.sleep(UP_AFTER_S)
        self._report_up(returned=False)

    async def _react(self, life: Life, exited: Exited, lived_s: float) -> None:
        """Restart the app after a pause, or wait until the timeline asks for something."""
        match self._policy.ended(exited.status, life.failure, life.last_line, lived_s):
            case Finished():
                await self._changed.wait()
            case NeverStarted(failure):
                text = f"{self._replica} can't be started: {failure}"
                data = {"error": failure.what, "where": failure.where, "hint": failure.hint}
                self._role.event("app.never_started", text, **data)
                await self._changed.wait()
            case Restart(after_s):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(after_s):
                        await self._changed.wait()
                if self.wanted == "running" and not self.is_paused:
                    text = f"{self._replica} is started again"
                    self._role.event("app.restarted", text, after_s=after_s)

    # Records and events

    def record(self, rows: Rows) -> None:
        """Record what a process that the app started has measured."""
        self._output.record(rows)

    def report_wait(self, what: str, seconds: float, missing: str) -> None:
        """Report that a process of the app waits for `what`, or no longer does if nothing is missing."""
        self._output.report_wait(what, seconds, missing)

    def _report_started(self, life: Life) -> None:
        self._role.event("app.started", f"{self._replica} started", pid=life.pid)

    def _report_up(self, returned: bool) -> None:
        self._policy.up()
        self._role.event("app.ready", f"{self._replica} is up", returned=returned)

    def _report_end(self, life: Life, exited: Exited, *, was_requested: bool) -> None:
        data: dict[str, Any] = {
            "asked": was_requested,
            "exit": exit_text(exited.status),
            "killed": exited.killed,
        }
        if was_requested:
            self._role.event("app.exited", f"{self._replica} ended: {exited}", **data)
            return
        data["attempt"] = self._policy.attempt
        if exited.status == 0 and life.failure is None:
            text = f"{self._replica} ended by itself: {exited}"
            if exited.killed:
                text += ": as in a container, an app ends with its main process; run it in the foreground"
            self._role.event("app.exited", text, **data)
            return
        error = str(life.failure) if life.failure else life.last_line
        data |= {"error": error, "where": life.failure.where if life.failure else ""}
        self._role.event("app.crashed", f"{self._replica}: {exited}: {error}", **data)


async def _drain(readers: list[asyncio.Task[None]]) -> None:
    """Read what an ended app left in its pipes, for `DRAIN_S` at most."""
    _, unfinished = await asyncio.wait(readers, timeout=DRAIN_S)
    for reader in unfinished:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
