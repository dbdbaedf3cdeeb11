"""The run's end of the control socket: answers requests of the run's owner, each on its own connection."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

import attrs

from wotemu.errors import EmulationError, InputError, WotemuError
from wotemu_runtime.control.live_changes import LiveChange
from wotemu_runtime.control.requests import (
    CapturePackets,
    Changed,
    ConditionsNow,
    Done,
    Execute,
    Exited,
    GetConditions,
    GetEvents,
    GetStatus,
    InputRead,
    LoggedEvent,
    MakeChange,
    Printed,
    Request,
    RunStatus,
    StopRun,
    request_from_dict,
)
from wotemu_runtime.control.socket_path import listening_socket
from wotemu_runtime.control.wire import MAX_LINE, VERSION, decode, encode, encode_error

LEAVES_S = 5.0
"""A client that has its last reply is waited for so long until it leaves."""


class Command(Protocol):
    """A command that runs in a node."""

    @property
    def input_room(self) -> int:
        """Bytes of input that it takes now."""
        ...

    def output(self) -> AsyncGenerator[Printed | InputRead | Exited, None]:
        """What it prints and reads, then how it ended; leaving it early kills it."""
        ...

    async def write(self, data: bytes) -> None:
        """Give it input; waits for `input_room`."""
        ...

    async def end_input(self) -> None:
        """Close its standard input; of a terminal, write its end-of-file character instead."""
        ...

    async def kill(self, number: int) -> None:
        """Send it a signal."""
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        ...


class Controllable(Protocol):
    """A run, as its control socket sees it."""

    async def change(self, change: LiveChange, who: str) -> Changed:
        """Make a change."""
        ...

    async def execute(
        self, replica: str, argv: Sequence[str], who: str, *, tty: bool, size: tuple[int, int]
    ) -> Command:
        """Run a command in a node."""
        ...

    async def capture(self, replica: str, who: str) -> Command:
        """Stream the packets of a node."""
        ...

    def stop(self, *, at_once: bool, who: str) -> None:
        """End the run."""
        ...

    def status(self) -> RunStatus:
        """What the run does now."""
        ...

    def conditions(self) -> ConditionsNow:
        """What holds on every hop now."""
        ...

    def events(
        self, kinds: tuple[str, ...], *, after: int | None, follow: bool
    ) -> AsyncGenerator[LoggedEvent, None]:
        """Events as they are recorded."""
        ...


@asynccontextmanager
async def control_server(name: str, run: Controllable) -> AsyncIterator[str]:
    """Serve the control socket of a run until the block is left; connections that are open then are closed.

    Args:
        name: Name of the run.
        run: Carries the requests out.

    Yields:
        The name that clients find it by.

    Raises:
        HostError: The socket can't be made.
    """
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None  # noqa: S101  # asyncio calls this in a task
        connections.add(own)
        try:
            await serve_connection(run, reader, writer, lambda: _peer(writer.get_extra_info("socket")))
        except (OSError, asyncio.CancelledError):
            pass  # the client is gone, or the run is over
        finally:
            connections.discard(own)
            writer.close()

    with listening_socket(name) as (found_by, listener):
        server = await asyncio.start_unix_server(serve, sock=listener, limit=MAX_LINE)
        try:
            yield found_by
        finally:
            server.close()
            for connection in connections:
                connection.cancel()
            if connections:
                await asyncio.wait(connections)


async def serve_connection(
    run: Controllable,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    identify: Callable[[], str],
) -> None:
    """Answer the one request of a connection.

    Args:
        run: Carries it out.
        reader: Brings the request.
        writer: Takes the replies.
        identify: Says who is at the other end; `InputError` where they may not control the run.
    """
    request = None
    try:
        who = identify()
        request = _parse(await _line(reader))
        if isinstance(request, Execute | CapturePackets):
            await _execute(run, request, who, reader, writer)
        else:
            await _unless_left(reader, _answer(run, request, who, writer))
    except WotemuError as error:
        writer.write(encode(encode_error(error)))
    except (OSError, asyncio.CancelledError):
        raise
    except Exception as error:  # a request must not end the emulation, whatever is wrong with it
        writer.write(encode(encode_error(EmulationError(f"{type(error).__name__}: {error}"))))
    await writer.drain()
    if isinstance(request, Execute | CapturePackets):
        await _discard(reader)


async def _discard(reader: asyncio.StreamReader) -> None:
    """Read what the client still sends, until it leaves.

    A connection that is closed with data in it that nobody has read is reset: the last reply would be lost.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVES_S):
            while await reader.read(MAX_LINE):
                pass


async def _unless_left(reader: asyncio.StreamReader, answering: Any) -> None:
    """Answer until done, or until the client closes the connection."""
    answer = asyncio.ensure_future(answering)
    left = asyncio.ensure_future(reader.read())
    try:
        await asyncio.wait([answer, left], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()
    finally:
        for task in (answer, left):
            task.cancel()
        await asyncio.wait([answer, left])


async def _answer(run: Controllable, request: Request, who: str, writer: asyncio.StreamWriter) -> None:
    match request:
        case MakeChange(change):
            await _send(writer, await run.change(change, who))
        case StopRun(at_once):
            run.stop(at_once=at_once, who=who)
            await _send(writer, Done())
        case GetStatus():
            await _send(writer, run.status())
        case GetConditions():
            await _send(writer, run.conditions())
        case GetEvents(kinds, after, follow):
            async with aclosing(run.events(kinds, after=after, follow=follow)) as events:
                async for event in events:
                    await _send(writer, event)  # waits for a slow client, and for nobody else


async def _execute(
    run: Controllable,
    request: Execute | CapturePackets,
    who: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Relay a command's output to the client, and the client's lines to the command."""
    if isinstance(request, CapturePackets):
        command = await run.capture(request.replica, who)
    else:
        command = await run.execute(request.replica, request.argv, who, tty=request.tty, size=request.size)

    async def relay() -> None:
        async with aclosing(command.output()) as output:
            async for each in output:
                await _send(writer, each)

    relaying = asyncio.ensure_future(relay())
    taking = asyncio.ensure_future(_take_lines(reader, command))
    try:
        # The client's end of the connection ends the command; what is wrong with a line does, too.
        await asyncio.wait([relaying, taking], return_when=asyncio.FIRST_COMPLETED)
        (relaying if relaying.done() else taking).result()
    finally:
        for task in (relaying, taking):
            task.cancel()
        await asyncio.wait([relaying, taking])


async def _take_lines(reader: asyncio.StreamReader, command: Command) -> None:
    while line := await _line(reader):
        given = decode(line)
        if "data" in given:
            data = base64.b64decode(given["data"])
            if (
                len(data) > command.input_room
            ):  # to wait here would hold up signals, and hide the client's end
                raise InputError("more input came than the command has read")
            await command.write(data)
        if given.get("eof"):
            await command.end_input()
        if "signal" in given:
            await command.kill(int(given["signal"]))
        if "size" in given:
            rows, columns = given["size"]
            await command.resize(int(rows), int(columns))


async def _send(writer: asyncio.StreamWriter, reply: Any) -> None:
    data = attrs.asdict(reply)
    if isinstance(reply, Printed):
        data["data"] = base64.b64encode(reply.data).decode()
    writer.write(encode({"reply": data}))
    await writer.drain()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as error:
        raise InputError(f"the request is longer than {MAX_LINE} bytes") from error


def _parse(line: bytes) -> Request:
    try:
        data = decode(line)
    except ValueError as error:
        raise InputError(f"the request is no line of JSON: {error}") from error
    if data.get("version") != VERSION:
        raise InputError(
            f"it was made by another version of WoTemu (protocol {data.get('version')}, here {VERSION})",
            hint="use the version that runs the emulation",
        )
    return request_from_dict(data)


def _peer(connection: socket.socket) -> str:
    """Who is at the other end, for people.

    Raises:
        InputError: It is neither the run's owner nor root.
    """
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid not in (0, os.getuid()):
        raise InputError("only the owner of the emulation may control it")
    name = str(uid)
    with contextlib.suppress(KeyError):
        name = pwd.getpwuid(uid).pw_name
    return f"{name} (process {pid})"
