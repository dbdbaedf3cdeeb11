"""Waits for news, for times and for the end, and ends them when the run is stopped or fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TypeVar

from wotemu.errors import WotemuError

Result = TypeVar("Result")


class RunControl:
    """Stop, abort and failure of one run, and the waits that they end.

    A stop ends the run cleanly: the roles end, and what they still send is recorded. An abort waits for none
    of that.

    Args:
        now: the bus's clock, in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._abort = asyncio.Event()
        self.failure: WotemuError | None = None
        """The first error that ends the run."""

    def __repr__(self) -> str:
        return f"RunControl(stop={self.stop_requested}, failure={self.failure!r})"

    def news(self) -> None:
        """Wake every wait, which looks at its condition again."""
        self._news.set()

    def stop(self, *, at_once: bool) -> None:
        """Request the end of the run; `at_once`: an abort."""
        self._stop.set()
        if at_once:
            self._abort.set()
        self.news()

    def fail(self, error: WotemuError) -> None:
        """End the run with this error; the first one counts."""
        self.failure = self.failure or error
        self.news()

    @property
    def has_failed(self) -> bool:
        """Whether there was an error that ends the run."""
        return self.failure is not None

    @property
    def stop_requested(self) -> bool:
        """Whether the run is to end."""
        return self._stop.is_set()

    @property
    def abort_requested(self) -> bool:
        """Whether the run is to end at once."""
        return self._abort.is_set()

    async def unless_stopped(self, work: Coroutine[None, None, Result]) -> Result | None:
        """The result of `work`, or None where a stop came first; then the work is cancelled."""
        return await _unless(work, self._stop)

    async def unless_aborted(self, work: Coroutine[None, None, Result]) -> Result | None:
        """The result of `work`, or None where an abort came first; then the work is cancelled."""
        return await _unless(work, self._abort)

    async def until(self, holds: Callable[[], bool]) -> bool:
        """Wait until the condition holds, which is looked at with each news.

        Returns:
            False where the run is stopped before.

        Raises:
            WotemuError: what the run failed of meanwhile.
        """
        while not holds():
            await self._news_or_failure()
            if self.stop_requested:
                return False
        return True

    async def until_time(self, t: float) -> bool:
        """Wait until `t` on the bus's clock; otherwise as `until`."""
        while (left_s := t - self._now()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news_or_failure()
            if self.stop_requested:
                return False
        return True

    async def until_over(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds, through stops and failures; only an abort ends it before."""
        while not holds() and not self.abort_requested:
            self._news.clear()
            await self._news.wait()

    async def _news_or_failure(self) -> None:
        self._news.clear()
        if self.failure is None and not self.stop_requested:
            await self._news.wait()
        if self.failure is not None:
            raise self.failure


async def _unless(work: Coroutine[None, None, Result], event: asyncio.Event) -> Result | None:
    task = asyncio.ensure_future(work)
    happens = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([task, happens], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        happens.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])  # `await task` would swallow this one's own cancellation
