"""Supervises one node's app: starts, stops and restarts it, and reports what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs

from wotemu.errors import InputError
from wotemu.records import CANCELLED, UNFINISHED, Interaction, Log, fields
from wotemu_runtime.agent.process_tree import END_DEADLINE_S
from wotemu_runtime.agent.supervision.app_connection import AppConnection
from wotemu_runtime.agent.supervision.log_lines import CHUNK, LogBounds, LogReader
from wotemu_runtime.app_process.messages import (
    AppError,
    Failed,
    Failure,
    Lost,
    Message,
    Ready,
    Rows,
    Up,
    Waits,
)
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text
from wotemu_runtime.roles.role import Role

UP_AFTER_S = 1.0
ON_PURPOSE = "DeliberateError"
"""What the built-in app `error` raises, however soon."""
"""A command that lives so long has started."""
START_ATTEMPTS = 3
"""Starts in a row that may fail before T0 and before the app was ever ready: then it never will be."""
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 10.0
SETTLED_AFTER_S = 10.0
STOP_GRACE_S = 3.0
"""An app that was asked to end may take so long before it is killed."""
REST_S = 1.0
"""What an app printed last is read for so long where something that can't be killed holds its pipes."""
_STATUS = fields(Interaction).index("status")


@attrs.define
class Start:
    """One start of the app, until its process is gone."""

    pid: int
    channel: AppConnection
    prepared: asyncio.Event = attrs.field(factory=asyncio.Event)
    failure: Failure | None = None
    last_line: str = ""
    readers: list[asyncio.Task[None]] = attrs.field(factory=list)


@attrs.frozen
class End:
    """How one start ended: its wait(2) status, whether we had asked for it, and what was left running.

    `killed` processes outlived the main one and were killed, of which `left` are still there.
    """

    status: int
    asked: bool
    killed: int = 0
    left: int = 0

    @property
    def text(self) -> str:
        """``exit code 1``, and what became of other processes of the app."""
        text = exit_text(self.status)
        if self.killed:
            text += f"; {self.killed} process{'es' * (self.killed > 1)} that it left running, killed"
        return f"{text}, {self.left} still there" if self.left else text


class AppSupervisor:
    """The app of one replica. `wanted` is what the timeline says: running, crashed or stopped."""

    def __init__(self, role: Role, launcher: Channel, *, is_wot: bool) -> None:
        self._role = role
        self._replica = role.assignment.subject
        self._launcher = launcher
        self._is_wot = is_wot
        self._messages: asyncio.Queue[tuple[dict[str, Any], list[int]]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._gone.set()
        self._tasks = asyncio.TaskGroup()
        self.wanted = "running"
        self.prepared = asyncio.Event()
        self.released = asyncio.Event()
        self._ever_ready = self._ever_up = False
        self._failed_starts = 0
        self._log_bounds = LogBounds(partial(role.publisher.waiting_bytes, Log.TABLE))
        self._kill_timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Keep the app in its wanted state until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._launcher.fileno(), self._receive)
        try:
            async with self._tasks:
                while True:
                    if self.wanted == "running":
                        await self._one_life()
                    else:
                        self._changed.clear()
                        await self._changed.wait()
        finally:
            loop.remove_reader(self._launcher.fileno())

    def _receive(self) -> None:
        received = self._launcher.receive()
        if received is not None:
            self._messages.put_nowait(received)

    # What the timeline asks for

    def crash(self) -> None:
        """Kill everything of the app, now."""
        self._want("crashed", signal.SIGKILL)

    def stop(self) -> None:
        """Ask the app to end; kill it where it has not ended within `STOP_GRACE_S`."""
        self._want("stopped", signal.SIGTERM)
        loop = asyncio.get_running_loop()
        self._kill_timer = loop.call_later(STOP_GRACE_S, self._signal, signal.SIGKILL)

    def start(self) -> None:
        """Start the app; if it runs, start it again."""
        self._want("running", signal.SIGKILL)

    def _want(self, state: str, number: int) -> None:
        self._forget_kill()
        self.wanted = state
        self._signal(number)
        self._changed.set()

    def _signal(self, number: int) -> None:
        self._launcher.send({"op": "kill", "signal": int(number)})

    def _forget_kill(self) -> None:
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None

    async def end(self) -> None:
        """The run is over: stop the app, and read everything that it printed."""
        if self._gone.is_set():
            self.wanted = "stopped"
            return
        self.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S + END_DEADLINE_S + REST_S):
                await self._gone.wait()
        self._forget_kill()

    # One life of the app

    async def _one_life(self) -> None:
        loop = asyncio.get_running_loop()
        self._gone.clear()
        self._changed.clear()
        start = await self._launch()
        began_s = loop.time()
        watch = self._tasks.create_task(self._watch_up(start))
        end = await self._ended()
        lived_s = loop.time() - began_s
        self._forget_kill()
        watch.cancel()
        await _read_rest(start.readers)
        self._gone.set()
        self._report_end(start, end)
        if self.wanted != "running" or self._changed.is_set():
            return
        if self._is_over(start, end):
            await self._changed.wait()
            return
        self._failed_starts = 1 if lived_s > SETTLED_AFTER_S else self._failed_starts + 1
        await self._back_off()

    async def _launch(self) -> Start:
        self._launcher.send({"op": "start"})
        while True:
            message, fds = await self._messages.get()
            if message["op"] == "started":
                break
        out, err, records = fds
        start = Start(message["pid"], AppConnection(socket.socket(fileno=records)))
        for stream, fd in (("stdout", out), ("stderr", err)):
            start.readers.append(self._tasks.create_task(self._read_lines(start, stream, fd)))
        start.readers.append(self._tasks.create_task(self._read_messages(start)))
        return start

    async def _ended(self) -> End:
        """Wait for the end of the main process; all others of the app are gone by then, too."""
        while True:
            message, _ = await self._messages.get()
            if message["op"] == "exited":
                asked = self.wanted != "running" or self._changed.is_set()
                return End(message["status"], asked, message["killed"], message["left"])

    async def _watch_up(self, start: Start) -> None:
        if self._is_wot:
            await start.prepared.wait()
            self._ever_ready = True
            self.prepared.set()
            await self.released.wait()
            self._role.event("app.started", f"{self._replica} started", pid=start.pid)
            start.channel.go()
            return
        self.prepared.set()
        self._role.event("app.started", f"{self._replica} started", pid=start.pid)
        await asyncio.sleep(UP_AFTER_S)
        self._is_up(returned=False)

    def _is_up(self, *, returned: bool) -> None:
        self._ever_up = self._ever_ready = True
        self._failed_starts = 0
        self._role.event("app.ready", f"{self._replica} is up", returned=returned)

    def _report_end(self, start: Start, end: End) -> None:
        data: dict[str, Any] = {"asked": end.asked, "exit": exit_text(end.status), "killed": end.killed}
        if end.asked:
            self._role.event("app.exited", f"{self._replica} ended: {end.text}", **data)
            return
        data["attempt"] = self._failed_starts + 1
        if end.status == 0 and start.failure is None:
            text = f"{self._replica} ended by itself: {end.text}"
            if end.killed:
                text += ": as in a container, an app ends with its main process; run it in the foreground"
            self._role.event("app.exited", text, **data)
            return
        error = str(start.failure) if start.failure else start.last_line
        data |= {"error": error, "where": start.failure.where if start.failure else ""}
        self._role.event("app.crashed", f"{self._replica}: {end.text}: {error}", **data)

    def _is_over(self, start: Start, end: End) -> bool:
        """Whether the app is not to be started again: it succeeded, or can never run."""
        if end.status == 0 and start.failure is None and (self._ever_ready or not self._is_wot):
            return True
        failure = start.failure
        if failure is not None and failure.type == InputError.__name__ and not self._ever_up:
            unusable = True  # what the app was given won't be right the next time
        elif self._ever_up or (failure is not None and failure.type == ON_PURPOSE):
            return False  # it can run: what ends it now is what the run is to show
        else:
            unusable = failure is not None and failure.stage == "prepare"
        if not unusable and self._failed_starts + 1 < START_ATTEMPTS:
            return False
        failure = failure or Failure("start", "", start.last_line or exit_text(end.status))
        self._role.event(
            "app.never_started",
            f"{self._replica} can't be started: {failure}",
            error=failure.what,
            where=failure.where,
            hint=failure.hint,
        )
        return True

    async def _back_off(self) -> None:
        wait_s = min(FIRST_BACKOFF_S * 2 ** (self._failed_starts - 1), MAX_BACKOFF_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        if self.wanted == "running":
            self._role.event("app.restarted", f"{self._replica} is started again", after_s=wait_s)

    # What the app says

    async def _read_lines(self, start: Start, stream: str, fd: int) -> None:
        reader = asyncio.StreamReader(limit=CHUNK)
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(fd, "rb", 0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)

        def log(line: str) -> None:
            if stream == "stderr" and line.strip():
                start.last_line = line
            self._role.publisher.put(Log(self._role.now(), self._replica, stream, line))

        try:
            await LogReader(self._log_bounds, log, partial(self._role.publisher.lose, Log.TABLE)).run(reader)
        finally:
            transport.close()

    async def _read_messages(self, start: Start) -> None:
        try:
            async for message in start.channel:
                self._take(start, message)
        finally:
            start.channel.close()

    def _take(self, start: Start, message: Message) -> None:
        match message:
            case Ready():
                start.prepared.set()
            case Up(returned):
                self._is_up(returned=returned)
            case Failed(failure):
                start.failure = failure
            case AppError(failure):
                text = f"{self._replica}: {failure}"
                self._role.event("app.error", text, error=failure.message, where=failure.where)
            case Waits(what, seconds, missing):
                self._report_wait(what, seconds, missing)
            case Rows():
                self.take_rows(message)
            case Lost(count):
                self._role.publisher.lose("app records", count)

    def _report_wait(self, what: str, seconds: float, missing: str) -> None:
        data = {"what": what, "waited_s": seconds, "missing": missing}
        if missing:
            self._role.event("app.waiting", f"{self._replica} waits for {what}: {missing}", **data)
        else:
            self._role.event("app.found", f"{self._replica} found {what} after {seconds:.1f} s", **data)

    def take_rows(self, rows: Rows) -> None:
        """Record what a process of the app measured."""
        for row in rows.rows:
            self._record(rows.table, row)

    def _record(self, table: str, row: Sequence[Any]) -> None:
        if self.wanted == "stopped" and table == Interaction.TABLE and row[_STATUS] == CANCELLED:
            row = [*row[:_STATUS], UNFINISHED, *row[_STATUS + 1 :]]  # stopping the node cut it short
        # `t` is every row's first field, and the app's CLOCK_MONOTONIC, which is ours too
        self._role.publisher.put_row(table, [self._role.clock.at(row[0]), *row[1:]])


async def _read_rest(readers: list[asyncio.Task[None]]) -> None:
    """Read what an ended app left in its pipes; its processes are gone, so they end."""
    _, unfinished = await asyncio.wait(readers, timeout=REST_S)
    for reader in unfinished:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
