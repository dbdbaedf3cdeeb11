"""The time during which a path is measured."""

from __future__ import annotations

import asyncio
import time


class Period:
    """Begins when it is started, and is over after a while, or once it is ended early."""

    def __init__(self, seconds: float) -> None:
        """It is not started.

        Args:
            seconds: How long it is at most.
        """
        self.seconds = seconds
        """How long it is; once it is ended early, how long it was."""
        self._start_s = time.monotonic()
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"Period({self.seconds:g}{', ended early' if self._ended.is_set() else ''})"

    def start(self) -> None:
        """Count from now on."""
        self._start_s = time.monotonic()

    def end(self) -> None:
        """End it early."""
        self.seconds = min(self.seconds, self.now_s)
        self._ended.set()

    @property
    def now_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._start_s

    async def reaches(self, at_s: float) -> bool:
        """Wait until so many seconds after its start; False at once where it is ended before."""
        try:
            async with asyncio.timeout(max(0.0, at_s - self.now_s)):
                await self._ended.wait()
        except TimeoutError:
            return True
        return False
