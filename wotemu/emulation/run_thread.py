"""An event loop in a thread of its own, for what must not stand still while the user's loop does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from wotemu.errors import NotRunningError

T = TypeVar("T")
R = TypeVar("R")


class RunThread(Generic[T]):
    """Runs one coroutine to its end.

    A cell of a notebook that computes for ten seconds holds up the notebook's event loop for as long. A run
    that lived on it would set phases, guards and its end too late.

    Attributes:
        result: What the coroutine returned or raised, once the thread is over.
        over: Is done once the thread is.
    """

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Start the thread.

        Args:
            name: Of the thread.
            main: Makes the coroutine, in the thread.
        """
        self.result: Future[T] = Future()
        self.over: Future[None] = Future()
        self._name = name
        self._loop = asyncio.SelectorEventLoop()
        # A daemon: where the process ends without leaving the emulation, the kernel removes it.
        self._thread = threading.Thread(target=self._work, args=(main,), name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"RunThread({self._name!r}, {'over' if self.result.done() else 'running'})"

    def _work(self, main: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                value = runner.run(main())
        except BaseException as error:  # raised again where the result is asked for
            self.result.set_exception(error)
        else:
            self.result.set_result(value)
        self.over.set_result(None)

    def post(self, callback: Callable[..., object], *args: Any) -> None:
        """Have the thread call something soon; nothing where it is over."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    async def call(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Await a coroutine in the thread. Cancelling this cancels it there, and waits until it has ended.

        Raises:
            NotRunningError: The thread ended before the coroutine did.
        """
        answer: Future[R] = Future()
        started: list[asyncio.Task[R]] = []

        def start() -> None:
            task = self._loop.create_task(make())
            started.append(task)
            task.add_done_callback(lambda _: _copy_outcome(task, answer))

        self.post(start)
        waiting = asyncio.wrap_future(answer)
        both: list[asyncio.Future[Any]] = [waiting, asyncio.wrap_future(self.over)]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.post(lambda: [task.cancel() for task in started])
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # nobody asks for it any more
            raise
        if not waiting.done() or waiting.cancelled():
            raise NotRunningError("the run is over", where=self._name)
        return waiting.result()

    async def join(self) -> None:
        """Wait until the thread is over. What its coroutine raised is in `result`."""
        await asyncio.wait([asyncio.wrap_future(self.over)])


def _copy_outcome(task: asyncio.Task[R], answer: Future[R]) -> None:
    """Give a future what a task came to, in the task's thread."""
    if task.cancelled():
        answer.cancel()
    elif (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())
