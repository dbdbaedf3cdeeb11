"""The app's process: loads one app on WoTPy, waits for T0, runs it, and measures its interactions.

It runs on asyncio's own loop: WoTPy's CoAP server goes deaf on uvloop. What it sends on its socket is in
`channel`; what it prints goes to its standard streams as usual.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from wotemu.app.metrics import connect_metrics
from wotemu.app.waiting import report_long_waits
from wotemu.records import App
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.default_logging import log_by_default
from wotemu_runtime.app_process.loading.loader import AppFunction, failure_of, load_app, split_target
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.messages import MAX_MESSAGE, Failed, Ready, Up, Waits
from wotemu_runtime.app_process.servient import build_servient

UP_AFTER_S = 1.0
"""An app that went on for so long without raising is up."""

SHUTDOWN_S = 2.0
GRACE_S = 0.5
"""What the app and its servers may take to end, and what threads and other tasks may take after that."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_UNUSABLE = 2
"""It could not be prepared: starting it again would not help."""

_logger = logging.getLogger(__name__)


def run_app(spec: AppSpec, records: socket.socket) -> int:
    """Run one app until it fails, or SIGTERM or its agent's hanging up ends it; the process's exit code.

    Sends `Ready` when everything is loaded, waits for `Go`, then starts the servers and the app.
    """
    channel = AgentConnection(records)
    _set_streams_up()
    try:
        function = prepare(spec, channel)
        log_by_default()
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        _fail(channel, error, "prepare", spec.root)
        channel.flush(SHUTDOWN_S)
        return EXIT_UNUSABLE
    process = _AppProcess(spec, function, channel)
    try:
        return asyncio.run(process.run())
    except SystemExit as error:
        return _left(error, channel, spec.root)
    finally:
        channel.flush(SHUTDOWN_S)


def prepare(spec: AppSpec, channel: AgentConnection) -> AppFunction:
    """Import and check the app, apply its fixes of WoTPy, and hang the measuring in. Nothing is opened."""
    from wotemu_runtime.app_process.measuring.child_processes import measure_children
    from wotemu_runtime.app_process.measuring.interaction_meter import Meter
    from wotemu_runtime.app_process.measuring.wotpy_hooks import install
    from wotemu_runtime.app_process.wotpy_patches import apply_fixes

    sys.argv = [split_target(spec.target)[1]]  # as if it were started by its name, and not what we were
    replica = spec.conf.replica
    connect_metrics(lambda key, value: channel.record(App(time.monotonic(), replica, key, value)))
    report_long_waits(
        lambda what, seconds, missing: channel.send(Waits(what, seconds, (missing or "")[:MAX_MESSAGE]))
    )
    apply_fixes(spec.wotpy_fixes)
    install(Meter(replica, channel.record))
    measure_children(replica)
    return load_app(spec)


class _AppProcess:
    """One run of one app on this process's loop."""

    def __init__(self, spec: AppSpec, function: AppFunction, channel: AgentConnection) -> None:
        self._spec = spec
        self._function = function
        self._channel = channel
        self._asked = asyncio.Event()
        """SIGTERM has come: an app that returns from now on is over."""
        self._stop = asyncio.Event()
        """The app is to be cancelled."""
        self._ours: Any = None

    async def run(self) -> int:
        """Everything from `Ready` on; the exit code."""
        loop = asyncio.get_running_loop()
        self._channel.attach(loop)
        self._take_sigterm(loop)
        loop.add_signal_handler(signal.SIGINT, _nothing)  # Ctrl-C is the coordinator's to answer
        loop.set_exception_handler(self._unhandled)
        try:
            servient = build_servient(self._spec)
            self._channel.send(Ready())
            going = asyncio.create_task(self._channel.wait_go())
            if not await self._first(going) or not going.result():
                going.cancel()
                return EXIT_OK
            return await self._serve(servient)
        finally:
            self._channel.detach()

    async def _serve(self, servient: Any) -> int:
        hang_up = asyncio.create_task(self._end_at_hang_up())
        starting = asyncio.create_task(servient.start())
        if not await self._first(starting):
            starting.cancel()
            return EXIT_OK
        error = _error(starting)
        if error is not None:
            _fail(self._channel, error, "start", self._spec.root)
            return EXIT_FAILED
        arguments = starting.result(), self._spec.conf, asyncio.get_running_loop()
        task = asyncio.create_task(self._function(*arguments, **self._spec.params), name=self._spec.target)
        error = await self._watch(task)
        if error is not None:
            _fail(self._channel, error, "run", self._spec.root)
        hang_up.cancel()
        if self._asked.is_set():
            _exit_later(EXIT_OK)
        await _shut_down(servient, task)
        return EXIT_OK if error is None else EXIT_FAILED

    async def _watch(self, task: asyncio.Task[Any]) -> BaseException | None:
        """Wait until the app raises, which it returns, or the process is to end."""
        if not await self._first(task, timeout_s=UP_AFTER_S) or _error(task) is None:
            self._channel.send(Up(returned=task.done()))
        if not await self._first(task):
            return None
        error = None if task.cancelled() and self._asked.is_set() else _error(task)
        if error is None:
            await self._asked.wait()  # the app returned: its Things go on
        return error

    async def _first(self, task: asyncio.Task[Any], timeout_s: float | None = None) -> bool:
        """Wait for the task, for the end of the process or for so long; true where the task is done."""
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return task.done()

    async def _end_at_hang_up(self) -> None:
        await self._channel.wait_closed()
        self._end()

    def _end(self) -> None:
        self._asked.set()
        self._stop.set()
        _exit_later(EXIT_OK)

    def _take_sigterm(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the app at SIGTERM, unless it takes the signal itself; know of the signal in any case."""
        apps_own = signal.getsignal(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, self._terminated)
        self._ours = signal.getsignal(signal.SIGTERM)
        if apps_own not in (signal.SIG_DFL, None):  # set as its module was imported; the loop is still woken
            signal.signal(signal.SIGTERM, apps_own)
        add = loop.add_signal_handler

        def add_signal_handler(number: int, callback: Callable[..., Any], *args: Any) -> None:
            if number == signal.SIGTERM:
                callback = partial(self._tell_app, callback)
            add(number, callback, *args)

        loop.__dict__["add_signal_handler"] = add_signal_handler

    def _terminated(self) -> None:
        """SIGTERM came; with `signal.signal` the app may have taken it, too."""
        self._asked.set()
        if signal.getsignal(signal.SIGTERM) is self._ours:
            self._end()

    def _tell_app(self, callback: Callable[..., Any], *args: Any) -> None:
        self._asked.set()
        callback(*args)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell of an exception that nobody took; the app goes on, as it would in production."""
        error = context.get("exception")
        if isinstance(error, SystemExit):
            return  # the process is about to leave with it
        loop.default_exception_handler(context)
        if error is not None:
            self._channel.error(failure_of(error, "run", self._spec.root))


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    """What a task raised, if it is done and did; one that was cancelled has failed, too."""
    if not task.done():
        return None
    return asyncio.CancelledError("it cancelled itself") if task.cancelled() else task.exception()


async def _shut_down(servient: Any, task: asyncio.Task[Any]) -> None:
    try:
        async with asyncio.timeout(SHUTDOWN_S):
            task.cancel()
            await asyncio.wait({task})
            await servient.shutdown()
    except TimeoutError:
        _logger.warning("the app or its servers did not end within %g s", SHUTDOWN_S)
    except Exception:  # whatever WoTPy's servers raise now, the process ends
        _logger.warning("a server did not end cleanly", exc_info=True)


def _exit_later(code: int) -> None:
    """Leave the process a little after the deadline even if a task or a thread refuses to end."""

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(SHUTDOWN_S + GRACE_S, leave)
    timer.daemon = True
    timer.start()


def _left(leaving: SystemExit, channel: AgentConnection, root: str) -> int:
    """The exit code of an app that left by `sys.exit`; only another one than 0 is a failure."""
    if leaving.code is None or leaving.code == EXIT_OK:
        return EXIT_OK
    _fail(channel, leaving, "run", root)
    return leaving.code if isinstance(leaving.code, int) else EXIT_FAILED


def _fail(channel: AgentConnection, error: BaseException, stage: str, root: str) -> None:
    failure = failure_of(error, stage, root)
    sys.stderr.write(failure.traceback)
    sys.stderr.flush()
    channel.send(Failed(failure))


def _nothing() -> None:
    pass


def _set_streams_up() -> None:
    """Lines leave as they are printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def main(arguments: list[str]) -> int:
    """Entry point: ``python -m wotemu_runtime.app_process.main FD SPEC``.

    FD is the inherited socket's number; SPEC is the spec as JSON, or ``@`` and a descriptor to read it from.
    """
    descriptor, spec = arguments
    if spec.startswith("@"):
        with open(int(spec[1:]), encoding="utf-8") as file:  # noqa: PTH123  # a descriptor has no path
            spec = file.read()
    return run_app(AppSpec.from_dict(json.loads(spec)), socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
