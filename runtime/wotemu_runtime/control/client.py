"""The other end of the control socket: asks a run of this machine, from another process or task."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from wotemu.errors import EmulationError, NotRunningError, WotemuError
from wotemu.suggestions import did_you_mean
from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.send_window import SendWindow
from wotemu_runtime.control.bus_transport import Ends, bus_connection
from wotemu_runtime.control.live_changes import LiveChange
from wotemu_runtime.control.requests import (
    CapturePackets,
    Changed,
    ConditionsNow,
    Execute,
    Exited,
    GetConditions,
    GetEvents,
    GetStatus,
    LoggedEvent,
    MakeChange,
    Printed,
    Request,
    RunStatus,
    StopRun,
)
from wotemu_runtime.control.socket_path import connected_socket, control_names
from wotemu_runtime.control.wire import MAX_LINE, VERSION, decode, decode_error, encode

Connect = Callable[[], AbstractAsyncContextManager[Ends]]
"""Makes a connection to a run, closed after the block."""


class ControlClient:
    """Controls one run, by default of this user on this machine. Each method makes a connection of its own.

    They raise `NotRunningError` where there is no such run, or it ends meanwhile, and `InputError` where it
    can't do what it is asked.
    """

    def __init__(self, name: str, connect: Connect | None = None) -> None:
        self.name = name
        self._connect = connect or (lambda: _own_connection(name))

    @classmethod
    def on_bus(cls, name: str, client: Redis, who: str) -> ControlClient:
        """Control a run of any machine, over its bus.

        Args:
            name: The run's stack.
            client: A client of its bus.
            who: Who controls it, for the run's events.
        """
        return cls(name, lambda: bus_connection(client, Streams(name), who))

    def __repr__(self) -> str:
        return f"ControlClient({self.name!r})"

    async def change(self, change: LiveChange) -> Changed:
        """Make a change, and wait until it has taken hold.

        Raises:
            ScenarioError: It is not possible; then nothing is changed.
            NotRunningError: The scenario has not begun, or is over.
        """
        return Changed(**await self._ask(MakeChange(change)))

    async def stop(self, *, at_once: bool = False) -> None:
        """End the run cleanly; `at_once` waits for nothing but the removal of all that was started."""
        await self._ask(StopRun(at_once))

    async def status(self) -> RunStatus:
        """What the run does now."""
        return RunStatus(**await self._ask(GetStatus()))

    async def conditions(self) -> ConditionsNow:
        """What holds on every hop now."""
        return ConditionsNow.from_dict(await self._ask(GetConditions()))

    async def events(
        self, *kinds: str, after: int | None = 0, follow: bool = True
    ) -> AsyncGenerator[LoggedEvent, None]:
        """Events as they are recorded, until the run is over.

        Args:
            kinds: Patterns of their kinds, such as ``"app.*"``; none means all.
            after: How many events to skip, such as the `number` of the last one that is known; None for those
                from now on.
            follow: Whether to wait for more when all that are recorded have come.
        """
        async with aclosing(self._replies(GetEvents(kinds, after, follow))) as replies:
            async for reply in replies:
                yield LoggedEvent.from_dict(reply)

    @asynccontextmanager
    async def execute(
        self, replica: str, argv: Sequence[str], *, tty: bool = False, size: tuple[int, int] = (24, 80)
    ) -> AsyncIterator[RemoteCommand]:
        """Run a command in a node; it is killed where the block is left before it has ended.

        Args:
            replica: The node's name, or that of one replica.
            argv: The program and its arguments.
            tty: Whether it gets a terminal.
            size: The terminal's rows and columns.
        """
        async with self._connect() as (reader, writer):
            request = Execute(replica, argv, tty, size)
            writer.write(encode({**request.to_dict(), "version": VERSION}))
            yield RemoteCommand(self.name, reader, writer)

    @asynccontextmanager
    async def capture(self, replica: str) -> AsyncIterator[RemoteCommand]:
        """Capture the packets of a node until the block is left; what the command prints is pcapng.

        Args:
            replica: The node's name, or that of one replica.
        """
        async with self._connect() as (reader, writer):
            writer.write(encode({**CapturePackets(replica).to_dict(), "version": VERSION}))
            yield RemoteCommand(self.name, reader, writer)

    async def _ask(self, request: Request) -> dict[str, Any]:
        async with aclosing(self._replies(request)) as replies:
            async for reply in replies:
                return reply
        raise NotRunningError("it ended before it answered", where=self.name)

    async def _replies(self, request: Request) -> AsyncGenerator[dict[str, Any], None]:
        async with self._connect() as (reader, writer):
            with contextlib.suppress(OSError):  # it ended meanwhile: there is no reply
                writer.write(encode({**request.to_dict(), "version": VERSION}))
                await writer.drain()
            async with aclosing(_replies(self.name, reader)) as replies:
                async for reply in replies:
                    yield reply


@asynccontextmanager
async def _own_connection(name: str) -> AsyncIterator[Ends]:
    """A connection to the socket of a run of this machine."""
    try:
        connection = connected_socket(name)
    except OSError as error:
        raise _missing(name, control_names()) from error
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_LINE)
    try:
        yield reader, writer
    finally:
        writer.close()


class RemoteCommand:
    """A command that runs in a node of a run in another process."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._window = SendWindow()

    def __repr__(self) -> str:
        return f"RemoteCommand({self._name!r})"

    async def output(self) -> AsyncGenerator[Printed | Exited, None]:
        """What it prints, then how it ended.

        Raises:
            NotRunningError: The run ended before the command did.
        """
        try:
            async with aclosing(_replies(self._name, self._reader)) as replies:
                async for reply in replies:
                    if "returncode" in reply:
                        yield Exited(reply["returncode"])
                        return
                    if "read" in reply:
                        self._window.grant(reply["read"])
                    else:
                        yield Printed(reply["fd"], base64.b64decode(reply["data"]))
        finally:
            self._window.close()
        raise NotRunningError("the run ended before the command did", where=self._name)

    async def write(self, data: bytes) -> None:
        """Give it input. Returns when all but `SEND_WINDOW` bytes are read, or the command has ended.

        Only `output` learns that the command reads: a task has to read that meanwhile.
        """
        async for part in self._window.parts(data):
            await self._give(data=base64.b64encode(part).decode())

    async def end_input(self) -> None:
        """Close its standard input; of a terminal, write its end-of-file character instead."""
        await self._give(eof=True)

    async def kill(self, number: int) -> None:
        """Send its process group a signal."""
        await self._give(signal=int(number))

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        await self._give(size=[rows, columns])

    async def _give(self, **line: Any) -> None:
        with contextlib.suppress(OSError):  # it has ended, as its output says
            self._writer.write(encode(line))
            await self._writer.drain()


async def _replies(name: str, reader: asyncio.StreamReader) -> AsyncGenerator[dict[str, Any], None]:
    """The replies that come, until the connection ends."""
    try:
        while line := await reader.readline():
            reply = decode(line)
            if "error" in reply:
                raise decode_error(reply["error"])
            yield reply["reply"]
    except WotemuError:  # also a ValueError, as the run's own InputError is
        raise
    except OSError as error:
        raise NotRunningError(f"it ended meanwhile: {error}", where=name) from error
    except (ValueError, KeyError) as error:
        raise EmulationError(f"it answers what is no reply: {error}", where=name) from error


def _missing(name: str, known: Iterable[str]) -> NotRunningError:
    running = list(known)
    hint = did_you_mean(name, running) if running else "start one with wotemu run"
    return NotRunningError(f"no emulation {name!r} of yours runs on this machine", hint=hint)


__all__ = ["ControlClient", "RemoteCommand", "control_names"]
