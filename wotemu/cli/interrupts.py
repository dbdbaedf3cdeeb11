"""Ctrl-C, SIGTERM and SIGHUP: the first ends the run cleanly, the second at once, a third the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self

from wotemu.cli.screen.terminal import leave_at_once
from wotemu.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Handles the signals on the running loop, as a context manager."""

    def __init__(
        self, stop: Callable[[], None], abort: Callable[[], None], announce: Callable[[str], None]
    ) -> None:
        """Prepare; nothing is handled before it is entered.

        Args:
            stop: Ends the run, with its report.
            abort: Ends the run at once, without a report.
            announce: Shows a message to the user.
        """
        self._stop = stop
        self._abort = abort
        self._announce = announce
        self._handled: list[int] = []
        self.count = 0

    def __repr__(self) -> str:
        return f"Interrupts(count={self.count})"

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            # nohup ignores SIGHUP, and shells ignore SIGINT for background jobs: both stay ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.hit)
                self._handled.append(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._handled:
            asyncio.get_running_loop().remove_signal_handler(number)

    def hit(self) -> None:
        """Handle one signal."""
        self.count += 1
        if self.count == 1:
            self._announce("ending the run; once more ends it at once, without a report")
            self._stop()
        elif self.count == 2:
            self._announce("ending the run at once")
            self._abort()
        else:
            leave_at_once(EXIT_INTERRUPTED)
