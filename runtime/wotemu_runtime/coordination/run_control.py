"""What a coordinator waits for: news of the roles, the time to come, a failure, or to be told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TypeVar

from wotemu.errors import WotemuError

Result = TypeVar("Result")


class RunControl:
    """Wakes one coordinator. Make it inside of an event loop; `now` is the bus's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._failure: WotemuError | None = None

    def __repr__(self) -> str:
        return f"RunControl(stop={self.stop_requested}, failure={self._failure!r})"

    def news(self) -> None:
        """Something has changed: who waits looks again."""
        self._news.set()

    def stop(self, *, at_once: bool) -> None:
        """End the run cleanly, or `at_once`."""
        self._stop.set()
        if at_once:
            self._at_once.set()
        self.news()

    def fail(self, error: WotemuError) -> None:
        """End the run for this reason, unless there is one already."""
        self._failure = self._failure or error
        self.news()

    @property
    def has_failed(self) -> bool:
        """Whether there is a reason to end the run."""
        return self._failure is not None

    @property
    def stop_requested(self) -> bool:
        """Whether the run is to end."""
        return self._stop.is_set()

    @property
    def abort_requested(self) -> bool:
        """Whether the run is to end at once."""
        return self._at_once.is_set()

    async def until_abort(self) -> None:
        """Until the run is to end at once."""
        await self._at_once.wait()

    async def unless_stopped(self, work: Coroutine[None, None, Result]) -> Result | None:
        """The result of `work`, or None if the run is stopped meanwhile; then the work is cancelled."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task])  # `await task` would swallow this one's own cancellation

    async def until(self, holds: Callable[[], bool]) -> bool:
        """Until that holds, by the news; False if the run is stopped before. Raises what failed."""
        while not holds():
            await self._news_or_failure()
            if self.stop_requested:
                return False
        return True

    async def until_time(self, t: float) -> bool:
        """Until `t` on the bus's clock; False if the run is stopped before. Raises what failed."""
        while (left_s := t - self._now()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news_or_failure()
            if self.stop_requested:
                return False
        return True

    async def until_over(self, holds: Callable[[], bool]) -> None:
        """Until that holds, whatever has failed, unless nobody waits for it."""
        while not holds() and not self.abort_requested:
            self._news.clear()
            await self._news.wait()

    async def _news_or_failure(self) -> None:
        self._news.clear()
        if self._failure is None and not self.stop_requested:
            await self._news.wait()
        if self._failure is not None:
            raise self._failure
