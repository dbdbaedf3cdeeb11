"""Measures programs that are no NodeApp: commands, and new interpreters that an app or a command starts.

The start hook of a node's interpreters (`app_process.start_hook`) calls `measure_program`. A child that is
forked inherits its parent's hooks.
"""

from __future__ import annotations

import os
import sys
import threading
from multiprocessing import util

from wotemu.app.agent_socket import connect
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.messages import MAX_MESSAGE, Waits

FLUSH_S = 1.0
"""Seconds that a process's exit may be delayed to send its last records."""
_EXIT_PRIORITY = 100
"""Finalizers of `multiprocessing` with the highest priority run first."""

_lock = threading.Lock()
_is_measured = False


def claim() -> bool:
    """Take the measuring of this process over; false where it is measured already."""
    global _is_measured
    with _lock:
        was_measured, _is_measured = _is_measured, True
    return not was_measured


def measure_program() -> None:
    """Record this process's interactions as those of its node, unless it is a NodeApp, which does so itself.

    Raises:
        OSError: the node's agent can't be reached.
        ImportError, AttributeError: this version of WoTPy has not what is measured.
    """
    if not claim():
        return
    from wotemu_runtime.app_process.measuring.interaction_meter import Meter
    from wotemu_runtime.app_process.measuring.wotpy_hooks import install

    connection = connect(os.environ)
    if connection is None:
        return
    agent = AgentConnection(connection)
    install(Meter(os.environ.get("WOTEMU_REPLICA", ""), agent.record, agent.claim))
    _flush_at_exit(agent)
    flush_at_exit_of_forks(agent)
    if (waiting := sys.modules.get("wotemu.app.waiting")) is not None:
        waiting.report_long_waits(
            lambda what, seconds, missing: agent.send(Waits(what, seconds, (missing or "")[:MAX_MESSAGE]))
        )


def _flush_at_exit(agent: AgentConnection) -> None:
    util.Finalize(None, agent.flush, (FLUSH_S,), exitpriority=_EXIT_PRIORITY)


def flush_at_exit_of_forks(agent: AgentConnection) -> None:
    """Send what waits as a forked child of `multiprocessing` ends, which drops its parent's finalizers."""
    util.register_after_fork(agent, _flush_at_exit)
