"""The loop of a process that forks children on request: it reads a channel and reaps children that end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections.abc import Callable
from typing import Any

from wotemu_runtime.processes.channel import Channel

OnRequest = Callable[[dict[str, Any]], None]
OnChild = Callable[[int, int], None]


def serve(channel: Channel, on_request: OnRequest, on_child: OnChild, *, until_closed: bool) -> None:
    """Handle requests and ended children, one at a time.

    Args:
        channel: Where requests come from.
        on_request: Gets each request, with the descriptors that came with it as its ``fds``.
        on_child: Gets the process id and the wait(2) status of each child that ended.
        until_closed: Return when the channel's other end is closed; else go on reaping for ever.
    """
    # SIGCHLD needs a handler to be delivered at all; Python then writes its number to the wake-up pipe.
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            reap(on_child)
            for key, _ in selector.select():
                if key.fd == wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_read, 4096)
                elif received := channel.receive():
                    request, fds = received
                    on_request({**request, "fds": fds} if fds else request)
                elif until_closed:
                    return
                else:
                    selector.unregister(channel)


def reap(on_child: OnChild) -> None:
    """Call `on_child` for each child that has ended; return at once when there is none."""
    # One SIGCHLD may stand for several children.
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        on_child(pid, status)
