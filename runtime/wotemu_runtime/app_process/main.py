"""Entry point of an app's process: prepares the app, runs it, and exits with a code that says how it went.

It runs on asyncio's own loop, as WoTPy's CoAP server receives nothing on uvloop.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sys
import time

from wotemu.app.metrics import connect_metrics
from wotemu.app.waiting import report_long_waits
from wotemu.records import App
from wotemu.topology.node_app import AppFunction
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.app_run import EXIT_FAILED, EXIT_OK, SHUTDOWN_S, AppRun, report_failure
from wotemu_runtime.app_process.default_logging import log_by_default
from wotemu_runtime.app_process.loading.loader import load_app
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.loading.target import split_target
from wotemu_runtime.app_process.messages import MAX_MESSAGE, Waits
from wotemu_runtime.app_process.redaction import hide

EXIT_UNUSABLE = 2
"""The app could not be prepared; another start would fail as well."""


def run_app(spec: AppSpec, connected: socket.socket) -> int:
    """Run one app until it fails, SIGTERM comes, or its agent closes the connection.

    Sends `Ready` when everything is loaded, waits for `Go`, then starts the servers and the app.

    Returns:
        The process's exit code.
    """
    agent = AgentConnection(connected)
    _buffer_lines()
    try:
        function = prepare(spec, agent)
        log_by_default()
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        report_failure(agent, error, "prepare", spec.root)
        agent.flush(SHUTDOWN_S)
        return EXIT_UNUSABLE
    try:
        return asyncio.run(_run(spec, function, agent))
    except SystemExit as error:
        return _exit_code(error, agent, spec.root)
    finally:
        agent.flush(SHUTDOWN_S)


async def _run(spec: AppSpec, function: AppFunction, agent: AgentConnection) -> int:
    return await AppRun(spec, function, agent).run()


def prepare(spec: AppSpec, agent: AgentConnection) -> AppFunction:
    """Import and check the app, patch WoTPy as it asks for, and install the meter. Nothing is opened."""
    # Commands and brokers never run this; only WoT apps pay for the import of WoTPy.
    from wotemu_runtime.app_process.measuring.programs import claim, flush_at_exit_of_forks

    claim()  # an interpreter that starts afresh has a start hook, too
    from wotemu_runtime.app_process.measuring.interaction_meter import Meter
    from wotemu_runtime.app_process.measuring.wotpy_hooks import install
    from wotemu_runtime.app_process.wotpy_patches import apply_fixes

    # As if the app were started by its name: libraries that parse arguments must not see ours.
    sys.argv = [split_target(spec.target)[1]]
    replica = spec.conf.replica
    connect_metrics(lambda key, value: agent.record(App(time.monotonic(), replica, key, value)))
    report_long_waits(
        lambda what, seconds, missing: agent.send(Waits(what, seconds, (missing or "")[:MAX_MESSAGE]))
    )
    if spec.credentials is not None:
        hide(spec.credentials[1])
    apply_fixes(spec.wotpy_fixes)
    install(Meter(replica, agent.record, agent.claim))
    flush_at_exit_of_forks(agent)
    return load_app(spec)


def _exit_code(leaving: SystemExit, agent: AgentConnection, root: str) -> int:
    """The exit code of an app that called `sys.exit`; any other than 0 is a failure."""
    if leaving.code is None or leaving.code == EXIT_OK:
        return EXIT_OK
    report_failure(agent, leaving, "run", root)
    return leaving.code if isinstance(leaving.code, int) else EXIT_FAILED


def _buffer_lines() -> None:
    """Write each printed line at once; to a pipe, Python writes blocks of 8 KiB by default."""
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
