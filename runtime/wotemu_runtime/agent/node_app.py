"""One node's app over its starts and ends: what the agent does to it, and what it learns of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import Any

import attrs

from wotemu.records import Log
from wotemu_runtime.agent.channel import AgentChannel, AppError, Failed, Failure, Lost, Ready, Rows, Up
from wotemu_runtime.channel import Channel
from wotemu_runtime.forking import exit_text
from wotemu_runtime.role import Role

UP_AFTER_S = 1.0
"""A command that lives so long has started."""
START_ATTEMPTS = 3
"""Starts in a row that may fail before the app ever ran: then it never will."""
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 10.0
SETTLED_AFTER_S = 10.0
STOP_GRACE_S = 3.0
MAX_LINE = 16 * 1024
CANCELLED = "cancelled"
"""The error of an interaction that its app gave up because it was told to end."""


@attrs.define
class Start:
    """One start of the app, until its process is gone."""

    pid: int
    prepared: asyncio.Event = attrs.field(factory=asyncio.Event)
    up: bool = False
    failure: Failure | None = None
    last_line: str = ""
    readers: list[asyncio.Task[None]] = attrs.field(factory=list)
    channel: AgentChannel | None = None


class NodeApp:
    """The app of one replica. `wanted` is what the timeline says: running, crashed or stopped."""

    def __init__(self, role: Role, launcher: Channel, *, is_wot: bool, restart_on_success: bool) -> None:
        self._role = role
        self._replica = role.assignment.subject
        self._launcher = launcher
        self._is_wot = is_wot
        self._restart_on_success = restart_on_success
        self._messages: asyncio.Queue[tuple[dict[str, Any], list[int]]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._gone.set()
        self._tasks = asyncio.TaskGroup()
        self.wanted = "running"
        self.prepared = asyncio.Event()
        self.released = asyncio.Event()
        self._ever_up = False
        self._failed_starts = 0

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
        """Ask the app to end."""
        self._want("stopped", signal.SIGTERM)

    def start(self) -> None:
        """Start the app; if it runs, start it again."""
        self._want("running", signal.SIGKILL)

    def _want(self, state: str, number: int) -> None:
        self.wanted = state
        self._launcher.send({"op": "kill", "signal": int(number)})
        self._changed.set()

    async def end(self) -> None:
        """The run is over: ask, wait a little, then insist; everything printed is read."""
        self._want("stopped", signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await self._gone.wait()
                return
        self._launcher.send({"op": "kill", "signal": int(signal.SIGKILL)})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await self._gone.wait()

    # One life of the app

    async def _one_life(self) -> None:
        loop = asyncio.get_running_loop()
        self._gone.clear()
        self._changed.clear()
        start = await self._launch()
        began_s = loop.time()
        watch = self._tasks.create_task(self._watch_up(start))
        status = await self._exited()
        watch.cancel()
        await asyncio.gather(*start.readers)
        lived_s = loop.time() - began_s
        self._gone.set()
        self._tell_end(start, status)
        if self.wanted == "running" and not self._changed.is_set():
            if self._finished(start, status):
                await self._changed.wait()
                return
            if lived_s > SETTLED_AFTER_S:
                self._failed_starts = 0
            await self._back_off(start)

    async def _launch(self) -> Start:
        self._launcher.send({"op": "start"})
        while True:
            message, fds = await self._messages.get()
            if message["op"] == "started":
                break
        out, err, records = fds
        start = Start(message["pid"])
        for stream, fd in (("stdout", out), ("stderr", err)):
            start.readers.append(self._tasks.create_task(self._read_lines(start, stream, fd)))
        sock = socket.socket(fileno=records)
        if self._is_wot:
            start.channel = AgentChannel(sock)
            start.readers.append(self._tasks.create_task(self._read_messages(start, start.channel)))
        else:
            sock.close()
        return start

    async def _exited(self) -> int:
        while True:
            message, _ = await self._messages.get()
            if message["op"] == "exited":
                return int(message["status"])

    async def _watch_up(self, start: Start) -> None:
        if start.channel is not None:
            await start.prepared.wait()
            self.prepared.set()
            await self.released.wait()
            self._role.event("app.started", f"{self._replica} started", pid=start.pid)
            start.channel.go()
            return
        self.prepared.set()
        self._role.event("app.started", f"{self._replica} started", pid=start.pid)
        await asyncio.sleep(UP_AFTER_S)
        self._is_up(start, returned=False)

    def _is_up(self, start: Start, *, returned: bool) -> None:
        start.up = self._ever_up = True
        self._failed_starts = 0
        self._role.event("app.ready", f"{self._replica} is up", returned=returned)

    def _tell_end(self, start: Start, status: int) -> None:
        if self.wanted != "running" or self._changed.is_set():
            self._role.event("app.exited", f"{self._replica} ended: {exit_text(status)}", asked=True)
            return
        data: dict[str, Any] = {"exit": exit_text(status), "attempt": self._failed_starts + 1}
        if status == 0 and start.failure is None:
            self._role.event("app.exited", f"{self._replica} ended by itself", asked=False, **data)
            return
        error = str(start.failure) if start.failure else start.last_line
        data |= {"error": error, "where": start.failure.where if start.failure else ""}
        self._role.event("app.crashed", f"{self._replica}: {exit_text(status)}: {error}", **data)

    def _finished(self, start: Start, status: int) -> bool:
        """Whether the app is done for good: it succeeded, or can never start."""
        if status == 0 and start.failure is None:
            self._ever_up = True
            return not self._restart_on_success
        if self._ever_up:
            return False
        self._failed_starts += 1
        hopeless = start.failure is not None and start.failure.stage == "prepare"
        if not hopeless and self._failed_starts < START_ATTEMPTS:
            return False
        failure = start.failure or Failure("start", "", start.last_line or exit_text(status))
        self._role.event(
            "app.never_started",
            f"{self._replica} never got past its start: {failure}",
            error=failure.what,
            where=failure.where,
            hint=failure.hint,
        )
        return True

    async def _back_off(self, start: Start) -> None:
        if start.up:
            self._failed_starts += 1
        wait_s = min(FIRST_BACKOFF_S * 2 ** max(0, self._failed_starts - 1), MAX_BACKOFF_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        if self.wanted == "running":
            self._role.event("app.restarted", f"{self._replica} is started again", after_s=wait_s)

    # What the app says

    async def _read_lines(self, start: Start, stream: str, fd: int) -> None:
        reader = asyncio.StreamReader(limit=MAX_LINE)
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(fd, "rb", 0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while raw := await _line(reader):
                line = raw.decode(errors="replace").rstrip("\n")
                if stream == "stderr" and line.strip():
                    start.last_line = line
                self._role.publisher.put(Log(self._role.now(), self._replica, stream, line))
        finally:
            transport.close()

    async def _read_messages(self, start: Start, channel: AgentChannel) -> None:
        async for message in channel:
            match message:
                case Ready():
                    start.prepared.set()
                case Up(returned):
                    self._is_up(start, returned=returned)
                case Failed(failure):
                    start.failure = failure
                case AppError(failure):
                    text = f"{self._replica}: {failure}"
                    self._role.event("app.error", text, error=failure.message, where=failure.where)
                case Rows(table, rows):
                    for row in rows:
                        if self.wanted == "stopped" and row[-1] == CANCELLED:
                            continue  # the end of the run cut it short: it neither succeeded nor failed
                        # `t` is every row's first field, and the app's CLOCK_MONOTONIC, which is ours too
                        self._role.publisher.put_row(table, [self._role.clock.at(row[0]), *row[1:]])
                case Lost(count):
                    self._role.publisher.lose("app records", count)
        channel.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, or as much of an overlong one as fits; empty at the end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as overrun:
        return await reader.readexactly(max(1, overrun.consumed))
