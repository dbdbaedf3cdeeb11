"""The loop of a process that forks children on request: it serves one channel and reaps what ended."""

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
    """Hand out requests, and the id and wait(2) status of each child that ends.

    With `until_closed` it returns when the channel's other end closes; else it goes on reaping.
    """
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
                    on_request(received[0])
                elif until_closed:
                    return
                else:
                    selector.unregister(channel)


def reap(on_child: OnChild) -> None:
    """Hand out each child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        on_child(pid, status)
