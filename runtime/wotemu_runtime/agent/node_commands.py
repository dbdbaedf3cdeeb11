"""Runs commands in a node beside its app, and relays what they read and print over the bus.

What a command prints comes as entries of one stream, ``{fd, data}``, then ``{status}``; what it is given as
entries of another: ``data`` and ``eof`` for its standard input, ``signal``, ``size`` of its terminal, and
``credit``: how many more entries it may print. So a reader that is slow slows the command, not the bus.
Entries ``{read}`` of the first stream are credit in bytes for the input: of what a command has not read,
there are at most `SEND_WINDOW` bytes on the bus and here. Each end trims the stream that it reads.

Input waits in a queue of its own: a command that prints before it reads on needs credit that comes after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu_runtime.agent.live_capture import LiveCapture
from wotemu_runtime.agent.namespaces import NodeNamespaces
from wotemu_runtime.agent.supervision.launcher_connection import LauncherConnection, RunningCommand
from wotemu_runtime.bus import Consumer
from wotemu_runtime.roles.role import Role

CREDIT = 32
"""Entries that a command may print before its reader has taken any."""
CHUNK = 32 * 1024
LEFT_OPEN_S = 0.3
"""A process that a command left running may hold its output open: so long after its end it is still read."""
_INPUT_BLOCK_MS = 200


async def run_commands(role: Role, launcher: LauncherConnection, namespaces: NodeNamespaces) -> None:
    """Run what the role is asked to run, each command beside the others, until cancelled."""
    async with asyncio.TaskGroup() as group:
        while True:
            request = await role.commands_to_run.get()
            command: _NodeCommand | LiveCapture
            if request["command"] == "capture":
                command = LiveCapture(role, namespaces, request, CREDIT, CHUNK)
            else:
                command = _NodeCommand(role, launcher, request)
            group.create_task(command.run(), name=f"command {request['number']}")


class _NodeCommand:
    """One command of a node.

    Args:
        role: the node's role.
        launcher: the node's launcher.
        request: ``number``, ``argv``, ``tty`` and, of a terminal, ``size``: its rows and columns.
    """

    def __init__(self, role: Role, launcher: LauncherConnection, request: dict[str, Any]) -> None:
        self._client: Redis = role.session.client
        self._launcher = launcher
        self._request = request
        self._number: str = request["number"]
        self._input = role.session.streams.command_input(self._number)
        self._output = role.session.streams.command_output(self._number)
        self._credit = asyncio.Semaphore(CREDIT)
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Input that the command has not read yet; None ends it."""
        self._entries = 0
        """How many it has printed."""

    async def run(self) -> None:
        """Run the command to its end; a bus that is away ends it."""
        request = self._request
        command = await self._launcher.execute(self._number, request["argv"], tty=request["tty"])
        try:
            if request["tty"]:
                _resize(command.fds[0], request["size"])
            await self._relay(command)
        except (OSError, RedisError):
            self._launcher.signal_command(self._number, signal.SIGKILL)
        except asyncio.CancelledError:
            self._launcher.signal_command(self._number, signal.SIGKILL)
            raise
        finally:
            for fd in set(command.fds):
                with contextlib.suppress(OSError):
                    os.close(fd)

    async def _relay(self, command: RunningCommand) -> None:
        outputs = command.fds[1:] or command.fds  # of a terminal, its one descriptor
        reading = [asyncio.create_task(self._read(number, fd)) for number, fd in enumerate(outputs, 1)]
        writing = [
            asyncio.create_task(self._take_input(command)),
            asyncio.create_task(self._write_input(command)),
        ]
        for task in (*reading, *writing):
            task.add_done_callback(self._end_if_unheard)
        try:
            status = await command.status
            await self._read_rest(reading)
            await self._client.xadd(self._output, {"status": status})
        finally:
            for task in (*reading, *writing):
                task.cancel()
            await asyncio.gather(*reading, *writing, return_exceptions=True)

    def _end_if_unheard(self, relaying: asyncio.Task[None]) -> None:
        """End the command where the bus lost what it printed or its credit: it would wait for ever."""
        if not relaying.cancelled() and isinstance(relaying.exception(), RedisError):
            self._launcher.signal_command(self._number, signal.SIGKILL)

    async def _read_rest(self, reading: list[asyncio.Task[None]]) -> None:
        """Wait until all is read, or nothing more comes of a process that the command left running."""
        pending, entries = set(reading), -1
        while pending and (entries != self._entries or self._credit.locked()):
            entries = self._entries
            _, pending = await asyncio.wait(pending, timeout=LEFT_OPEN_S)

    async def _read(self, number: int, fd: int) -> None:
        """Relay what is printed, as far as there is credit."""
        os.set_blocking(fd, False)
        while data := await _next_chunk(fd):
            await self._credit.acquire()
            await self._client.xadd(self._output, {"fd": number, "data": data})
            self._entries += 1

    async def _take_input(self, command: RunningCommand) -> None:
        """Take what the command is given."""
        async for entries in Consumer(self._client, [self._input]).batches(_INPUT_BLOCK_MS):
            for _, _, fields in entries:
                self._take(command, fields)
            if entries:
                with contextlib.suppress(OSError, RedisError):  # the next one trims as much
                    await self._client.xtrim(self._input, minid=entries[-1][1].decode(), approximate=False)

    def _take(self, command: RunningCommand, fields: dict[bytes, bytes]) -> None:
        for _ in range(int(fields.get(b"credit", 0))):
            self._credit.release()
        if b"signal" in fields:
            self._launcher.signal_command(self._number, int(fields[b"signal"]))
        if b"size" in fields:
            rows, columns = map(int, fields[b"size"].split())
            _resize(command.fds[0], (rows, columns))
        if b"data" in fields:
            self._waiting.put_nowait(fields[b"data"])
        if b"eof" in fields:
            self._waiting.put_nowait(None)

    async def _write_input(self, command: RunningCommand) -> None:
        """Write the command's input, as fast as it reads."""
        os.set_blocking(command.fds[0], False)
        last = b""
        while (data := await self._waiting.get()) is not None:
            with contextlib.suppress(BrokenPipeError):
                await _write_all(command.fds[0], data)
            last = data[-1:]
            await self._client.xadd(self._output, {"read": len(data)})
        if len(command.fds) == 1:
            await _write_all(command.fds[0], _end_of_file(command.fds[0], last))
        else:
            # Another descriptor in its place: the number must not be somebody else's when it is closed again.
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(null, command.fds[0], inheritable=False)
            os.close(null)


async def _next_chunk(fd: int) -> bytes:
    """The next bytes of a pipe or terminal; empty at its end."""
    while True:
        try:
            return os.read(fd, CHUNK)
        except BlockingIOError:
            await _until_ready(fd, write=False)
        except OSError:  # EIO: nobody has the terminal open any more
            return b""


async def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await _until_ready(fd, write=True)


async def _until_ready(fd: int, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    own = os.dup(fd)  # a terminal is read and written: the loop watches each descriptor for one of both

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    (loop.add_writer if write else loop.add_reader)(own, wake)
    try:
        await ready
    finally:
        (loop.remove_writer if write else loop.remove_reader)(own)
        os.close(own)


def _end_of_file(terminal: int, last: bytes) -> bytes:
    """What a user types to end the input of a terminal.

    Args:
        terminal: Its descriptor.
        last: The last byte of the input. Within a line, the first character only hands over the line.
    """
    _, _, _, local, _, _, characters = termios.tcgetattr(terminal)
    typed: bytes = characters[termios.VEOF]
    if typed == b"\0":  # none is set
        return b""
    is_within_line = local & termios.ICANON and last not in (b"", b"\n", typed)
    return typed * (2 if is_within_line else 1)


def _resize(terminal: int, size: tuple[int, int]) -> None:
    rows, columns = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
