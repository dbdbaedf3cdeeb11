"""Starts the monitor of a sandbox. It imports little, so that a command can start it before all else."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Monitor:
    """A process that becomes a sandbox when it is given its parameters; see `sandbox`.

    Until then it imports what a sandbox needs, and what it prints goes to this process's standard error.

    Args:
        shaper: The one that is asked for; unless that is ``tun``, it is tried what the kernel has of NetEm.
        command: The prefix of a command that starts a program in a control group.
    """

    def __init__(self, shaper: str, command: Sequence[str] = ()) -> None:
        self.shaper = shaper
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.lifeline, lifeline = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.is_used = False
        """Whether it has become a sandbox, or is about to."""
        fds = (control.fileno(), lifeline.fileno())
        words = [sys.executable, "-m", "wotemu_runtime.engines.local.sandbox", *map(str, fds)]
        with control, lifeline:
            self.process = subprocess.Popen(
                [*command, *words, shaper],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=fds,
                start_new_session=True,  # Ctrl-C in a terminal goes to the coordinator's process group alone
            )

    def __repr__(self) -> str:
        return f"Monitor({self.process.pid}, is_used={self.is_used})"

    def discard(self) -> None:
        """End it if it has not become a sandbox."""
        if not self.is_used:
            self.process.kill()
            self.process.wait()
            self.control.close()
            self.lifeline.close()


@contextmanager
def early_monitor(engine: str, shaper: str) -> Iterator[Monitor | None]:
    """Start the monitor of a run that will probably begin; it is ended where none has begun in the block.

    Args:
        engine: The run's engine; there is a sandbox with ``local`` alone.
        shaper: As `Monitor`'s.
    """
    monitor = Monitor(shaper) if engine == "local" and sys.platform.startswith("linux") else None
    try:
        yield monitor
    finally:
        if monitor is not None:
            monitor.discard()
