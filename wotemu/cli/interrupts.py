"""Ctrl-C and its like: the first ends the run cleanly, the second at once, a third just leaves."""

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
    """While entered, signals are counted and answered on the running loop."""

    def __init__(
        self, stop: Callable[[], None], abandon: Callable[[], None], tell: Callable[[str], None]
    ) -> None:
        self._stop = stop
        self._abandon = abandon
        self._tell = tell
        self._handled: list[int] = []
        self.count = 0

    def __repr__(self) -> str:
        return f"Interrupts(count={self.count})"

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            if (
                signal.getsignal(number) is not signal.SIG_IGN
            ):  # as nohup has it, and shells for background jobs
                loop.add_signal_handler(number, self.hit)
                self._handled.append(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._handled:
            asyncio.get_running_loop().remove_signal_handler(number)

    def hit(self) -> None:
        """One more signal came."""
        self.count += 1
        if self.count == 1:
            self._tell("ending the run; once more ends it at once, without a report")
            self._stop()
        elif self.count == 2:
            self._tell("ending the run at once")
            self._abandon()
        else:
            leave_at_once(EXIT_INTERRUPTED)
