"""An event loop whose clock jumps to the next deadline when it is idle: ten minutes pass in milliseconds.

As trio's `MockClock` with an autojump threshold of 0. What runs on it must wait for nothing but the loop's
own timers and what the same loop writes to: for another process or thread the clock does not wait.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

Parameters = ParamSpec("Parameters")

LIMIT_S = 3600.0
"""A test that takes longer, on its own clock, waits for what never comes."""


class NothingCanHappenError(Exception):
    """Every task waits, no timer is set and no descriptor is readable: on a real loop this would hang."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where nothing is ready, it adds the time that it was to wait to `now_s`."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingCanHappenError
        if not ready and timeout is not None:
            self.now_s += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s. What is to run in a thread runs at once, in this one: meanwhile no time passes."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made, as its timers count them."""
        return self._jumping.now_s

    def run_in_executor(  # type: ignore[override]  # mypy knows no way to repeat its generic signature
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call it here and now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def on_jumping_clock(
    test: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Make a test of a coroutine function: it runs on a `JumpingLoop` of its own, for `LIMIT_S` at most."""

    async def limited(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        async with asyncio.timeout(LIMIT_S):
            await test(*args, **kwargs)

    @functools.wraps(test)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(limited(*args, **kwargs))

    return run


__all__ = ["JumpingLoop", "NothingCanHappenError", "on_jumping_clock"]
