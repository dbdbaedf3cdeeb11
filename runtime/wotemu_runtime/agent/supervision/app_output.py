"""Records what one node's app sends to its agent and what it prints."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial

import attrs

from wotemu.records import CANCELLED, UNFINISHED, Interaction, Log, fields
from wotemu_runtime.agent.supervision.app_connection import AppConnection
from wotemu_runtime.agent.supervision.log_lines import CHUNK, LogBounds, LogReader
from wotemu_runtime.app_process.messages import (
    AppError,
    Claim,
    Failed,
    Failure,
    Lost,
    Message,
    Ready,
    Rows,
    Up,
    Waits,
)
from wotemu_runtime.roles.role import Role

_STATUS = fields(Interaction).index("status")
_NODE = fields(Interaction).index("node")


@attrs.define
class Life:
    """One start of the app, until its process is gone."""

    pid: int
    connection: AppConnection
    prepared: asyncio.Event = attrs.field(factory=asyncio.Event)
    failure: Failure | None = None
    """What it reported before its end."""
    last_line: str = ""
    """The last line on standard error: the reason of its end, where it reported none."""


class AppOutput:
    """Turns an app's messages and lines into records and events.

    Args:
        role: the node's role, whose clock and publisher are used.
        is_stopping: whether the timeline, or the end of the run, has the app stopped.
        on_up: called with whether the app's coroutine has returned, when the app is up.
        on_claim: called with the sockets that the app measures itself.
    """

    def __init__(
        self,
        role: Role,
        is_stopping: Callable[[], bool],
        on_up: Callable[[bool], None],
        on_claim: Callable[[Claim], None] = lambda _claim: None,
    ) -> None:
        self._role = role
        self._replica = role.assignment.subject
        self._is_stopping = is_stopping
        self._on_up = on_up
        self._on_claim = on_claim
        # All starts of an app share the bounds, or an app that crashes in a loop would have none.
        self._log_bounds = LogBounds(partial(role.publisher.waiting_bytes, Log.TABLE))

    def __repr__(self) -> str:
        return f"AppOutput({self._replica!r})"

    async def read_lines(self, life: Life, stream: str, fd: int) -> None:
        """Record what the app prints on `stream`, ``stdout`` or ``stderr``, until it is closed."""
        reader = asyncio.StreamReader(limit=CHUNK)
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(fd, "rb", 0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)

        def log(line: str) -> None:
            if stream == "stderr" and line.strip():
                life.last_line = line
            self._role.publisher.put(Log(self._role.now(), self._replica, stream, line))

        try:
            await LogReader(self._log_bounds, log, partial(self._role.publisher.lose, Log.TABLE)).run(reader)
        finally:
            transport.close()

    async def read_messages(self, life: Life) -> None:
        """Handle the app's messages until its process is gone."""
        try:
            async for message in life.connection:
                self._handle(life, message)
        finally:
            life.connection.close()

    def _handle(self, life: Life, message: Message) -> None:
        match message:
            case Ready():
                life.prepared.set()
            case Up(returned):
                self._on_up(returned)
            case Failed(failure):
                life.failure = failure
            case AppError(failure):
                text = f"{self._replica}: {failure}"
                self._role.event("app.error", text, error=failure.message, where=failure.where)
            case Waits(what, seconds, missing):
                self.report_wait(what, seconds, missing)
            case Rows():
                self.record(message)
            case Claim():
                self._on_claim(message)
            case Lost(count):
                self._role.publisher.lose("app records", count)

    def report_wait(self, what: str, seconds: float, missing: str) -> None:
        """Report that the app waits for `what`, or no longer does where nothing is missing."""
        data = {"what": what, "waited_s": seconds, "missing": missing}
        if missing:
            self._role.event("app.waiting", f"{self._replica} waits for {what}: {missing}", **data)
        else:
            self._role.event("app.found", f"{self._replica} found {what} after {seconds:.1f} s", **data)

    def record(self, rows: Rows) -> None:
        """Record what a process of the app measured."""
        for row in rows.rows:
            if self._is_stopping() and rows.table == Interaction.TABLE and row[_STATUS] == CANCELLED:
                # The app did not give the request up: stopping the node cut it short.
                row = [*row[:_STATUS], UNFINISHED, *row[_STATUS + 1 :]]
            if rows.table == Interaction.TABLE:  # of whatever process, and whatever it calls itself
                row = [*row[:_NODE], self._replica, *row[_NODE + 1 :]]
            # `t` is every row's first field. It is on the app's CLOCK_MONOTONIC, which is also the agent's.
            self._role.publisher.put_row(rows.table, [self._role.clock.at(row[0]), *row[1:]])
