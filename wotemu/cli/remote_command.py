"""Connects a command that runs in a node with the terminal or pipes of this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from wotemu.errors import NotRunningError

if TYPE_CHECKING:
    from wotemu_runtime.control.client import RemoteCommand

STDIN, STDOUT, STDERR = 0, 1, 2
CHUNK = 32768
"""Bytes that are read of standard input at a time."""
EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE


def run_remote(name: str, node: str, argv: Sequence[str], *, is_terminal: bool) -> int:
    """Run a command in a node until it ends.

    Args:
        name: The run's name.
        node: The node's name, or that of one replica.
        argv: The program and its arguments.
        is_terminal: Give it a terminal, and set this one to raw mode meanwhile.

    Returns:
        Its exit code, as a shell reports it.

    Raises:
        InputError: There is no such node.
        NotRunningError: No such run goes on, or it ended before the command did.
    """
    return asyncio.run(_run(name, node, argv, is_terminal=is_terminal))


def capture_remote(name: str, node: str) -> int:
    """Write the packets of a node to standard output until a signal, its reader or the run ends that.

    Returns:
        The exit code.

    Raises:
        InputError: There is no such node, or nothing can be captured there.
        NotRunningError: No such run goes on.
    """
    return asyncio.run(_capture(name, node))


async def _capture(name: str, node: str) -> int:
    from wotemu.cli.running import connected

    async with connected(name) as client, client.capture(node) as command:
        code = await _attended(command, is_terminal=False)
    return 0 if code == EXIT_BROKEN_PIPE else code  # its reader has seen enough


async def _run(name: str, node: str, argv: Sequence[str], *, is_terminal: bool) -> int:
    from wotemu.cli.running import connected

    size = _size() if is_terminal else (24, 80)
    given = ("env", f"TERM={os.environ.get('TERM', 'xterm')}", *argv) if is_terminal else argv
    async with (
        connected(name) as client,
        client.execute(node, given, tty=is_terminal, size=size) as command,
    ):
        with _raw_terminal() if is_terminal else contextlib.nullcontext():
            passing = asyncio.create_task(_pass_input(command))
            try:
                return await _attended(command, is_terminal=is_terminal)
            finally:
                passing.cancel()


async def _attended(command: RemoteCommand, *, is_terminal: bool) -> int:
    """Relay what a command prints, and signals to it, until it has ended; its exit code."""
    relaying = asyncio.create_task(_relay(command))
    with _signals(command, relaying.cancel, is_terminal=is_terminal) as killed_by:
        try:
            return await relaying
        except asyncio.CancelledError:
            if not killed_by:
                raise
            return 128 + killed_by[-1]  # leaving the connection kills the command


async def _relay(command: RemoteCommand) -> int:
    """Write what the command prints, and return its exit code."""
    from wotemu_runtime.control.requests import Exited

    async with aclosing(command.output()) as output:
        async for each in output:
            if isinstance(each, Exited):
                return each.returncode if each.returncode >= 0 else 128 - each.returncode
            try:
                _write(STDERR if each.fd == STDERR else STDOUT, each.data)
            except BrokenPipeError:
                return EXIT_BROKEN_PIPE
    raise NotRunningError("the run ended before the command did")


def _write(fd: int, data: bytes) -> None:
    """Write all of it; blocks, so that a slow reader slows the command down."""
    while data:
        data = data[os.write(fd, data) :]


async def _pass_input(command: RemoteCommand) -> None:
    """Pass standard input on as the command reads it."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    wanted = threading.Semaphore(0)

    def read() -> None:
        # No standard input; the loop is closed.
        with contextlib.suppress(OSError, RuntimeError):
            while wanted.acquire():
                data = os.read(STDIN, CHUNK)
                loop.call_soon_threadsafe(chunks.put_nowait, data)
                if not data:
                    return

    # A thread, since asyncio can't wait for files; a daemon, since a read can't be interrupted, and would
    # hold up the exit. It makes no coroutine: the loop can close before such a one has begun.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    wanted.release()
    while data := await chunks.get():
        await command.write(data)
        wanted.release()
    await command.end_input()


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Set the terminal to raw mode, and back again."""
    before = termios.tcgetattr(STDIN)
    tty.setraw(STDIN, termios.TCSADRAIN)  # what is typed ahead is kept
    try:
        yield
    finally:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signals(
    command: RemoteCommand, leave: Callable[[], object], *, is_terminal: bool
) -> Iterator[list[int]]:
    """Pass signals on to the command; of a terminal, its size instead.

    Args:
        command: The command.
        leave: Called at a signal that ends this process: the second one, or any with a terminal.
        is_terminal: Whether Ctrl-C comes as input.

    Yields:
        The signals that have come.
    """
    loop = asyncio.get_running_loop()
    came: list[int] = []
    tasks: set[asyncio.Task[None]] = set()

    def start(task: asyncio.Task[None]) -> None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def take(number: int) -> None:
        came.append(number)
        if is_terminal or len(came) > 1:
            leave()
        else:
            start(loop.create_task(command.kill(number)))

    handled = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_heeded(n)]
    for number in handled:
        loop.add_signal_handler(number, take, number)
    if is_terminal:
        loop.add_signal_handler(signal.SIGWINCH, lambda: start(loop.create_task(command.resize(*_size()))))
        handled.append(signal.SIGWINCH)
    try:
        yield came
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
        for task in tasks:
            task.cancel()


def _is_heeded(number: int) -> bool:
    # nohup ignores SIGHUP, and shells ignore SIGINT for background jobs: both stay ignored.
    return signal.getsignal(number) is not signal.SIG_IGN


def _size() -> tuple[int, int]:
    """Rows and columns of the terminal."""
    columns, rows = os.get_terminal_size(STDOUT)
    return rows, columns
