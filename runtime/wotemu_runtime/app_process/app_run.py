"""One run of an app in its process: waits for T0, starts the servers and the app, and ends both."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Any

from wotemu.topology.node_app import AppFunction
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.failures import failure_of
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.messages import Failed, Ready, Up
from wotemu_runtime.app_process.servient import build_servient
from wotemu_runtime.app_process.termination import Termination

UP_AFTER_S = 1.0
"""An app that has run for so long without raising is up."""

SHUTDOWN_S = 2.0
"""Deadline for the app and its servers to end."""
GRACE_S = 0.5
"""Deadline for threads and other tasks after that."""

EXIT_OK = 0
EXIT_FAILED = 1

_logger = logging.getLogger(__name__)


class AppRun:
    """Runs one app on this process's loop, with a connection to the agent."""

    def __init__(self, spec: AppSpec, function: AppFunction, agent: AgentConnection) -> None:
        self._spec = spec
        self._function = function
        self._agent = agent
        self._stop = asyncio.Event()
        """Cancel the app."""
        self._termination = Termination(asyncio.get_running_loop(), self._end)

    def __repr__(self) -> str:
        return f"<AppRun {self._spec.target!r} stop={self._stop.is_set()}>"

    async def run(self) -> int:
        """Run from `Ready` to the end; the exit code."""
        loop = asyncio.get_running_loop()
        self._agent.attach(loop)
        loop.add_signal_handler(signal.SIGINT, _ignore)  # Ctrl-C is for the coordinator to handle
        loop.set_exception_handler(self._report_unhandled)
        try:
            servient = build_servient(self._spec)
            self._agent.send(Ready())
            waiting = asyncio.create_task(self._agent.wait_go())
            if not await self._wait(waiting) or not waiting.result():
                waiting.cancel()
                return EXIT_OK
            return await self._serve(servient)
        finally:
            self._agent.detach()

    async def _serve(self, servient: Any) -> int:
        """Start the servers, run the app, shut both down; the exit code."""
        watching = asyncio.create_task(self._end_with_agent())
        starting = asyncio.create_task(servient.start())
        if not await self._wait(starting):
            starting.cancel()
            return EXIT_OK
        error = _error(starting)
        if error is not None:
            report_failure(self._agent, error, "start", self._spec.root)
            return EXIT_FAILED
        arguments = starting.result(), self._spec.conf, asyncio.get_running_loop()
        task = asyncio.create_task(self._function(*arguments, **self._spec.params), name=self._spec.target)
        error = await self._watch(task)
        if error is not None:
            report_failure(self._agent, error, "run", self._spec.root)
        watching.cancel()
        if self._termination.requested.is_set():
            _exit_later(EXIT_OK)
        await _shut_down(servient, task)
        return EXIT_OK if error is None else EXIT_FAILED

    async def _watch(self, task: asyncio.Task[Any]) -> BaseException | None:
        """Wait until the app raises, which is returned, or the process is asked to end."""
        if not await self._wait(task, timeout_s=UP_AFTER_S) or _error(task) is None:
            self._agent.send(Up(returned=task.done()))
        if not await self._wait(task):
            return None
        error = None if task.cancelled() and self._termination.requested.is_set() else _error(task)
        if error is None:
            await self._termination.requested.wait()  # an app that returned has Things that are still served
        return error

    async def _wait(self, task: asyncio.Task[Any], timeout_s: float | None = None) -> bool:
        """Wait for the task, but not beyond the app's end or `timeout_s`; true if it is done."""
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return task.done()

    async def _end_with_agent(self) -> None:
        await self._agent.wait_closed()
        self._end()

    def _end(self) -> None:
        self._termination.requested.set()
        self._stop.set()
        _exit_later(EXIT_OK)

    def _report_unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report an exception that nothing handled; the app goes on, as it would in production."""
        error = context.get("exception")
        if isinstance(error, SystemExit):
            return  # the process is about to exit with it
        loop.default_exception_handler(context)
        if error is not None:
            self._agent.error(failure_of(error, "run", self._spec.root))


def report_failure(agent: AgentConnection, error: BaseException, stage: str, root: str) -> None:
    """Print an exception's traceback, and send it to the agent as the reason of the app's end."""
    failure = failure_of(error, stage, root)
    sys.stderr.write(failure.traceback)
    sys.stderr.flush()
    agent.send(Failed(failure))


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    """What a task raised, if it is done and did. A cancelled one has failed: nothing here cancelled it."""
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
    """Exit a little after the deadline, from a thread, even if a task or a thread refuses to end."""

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(SHUTDOWN_S + GRACE_S, leave)
    timer.daemon = True
    timer.start()


def _ignore() -> None:
    pass
