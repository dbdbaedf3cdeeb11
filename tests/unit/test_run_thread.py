"""A coroutine in a thread of its own: awaited and cancelled from another loop, and its end is noticed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from wotemu.emulation.run_thread import RunThread
from wotemu.errors import NotRunningError


async def thread_name() -> str:
    return threading.current_thread().name


async def test_it_runs_beside_a_loop_that_is_blocked() -> None:
    beats: list[float] = []

    async def beat() -> str:
        for _ in range(10):
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)
        return "over"

    thread = RunThread("beating", beat)
    assert await thread.call(thread_name) == "beating"
    time.sleep(0.5)  # noqa: ASYNC251  # a cell that computes
    assert len(beats) == 10
    await thread.join()
    assert thread.result.result() == "over"


async def test_what_is_raised_there_is_raised_here_and_the_end_is_said() -> None:
    end = threading.Event()

    async def wait() -> None:
        await asyncio.to_thread(end.wait)
        raise ZeroDivisionError

    async def fail() -> None:
        raise KeyError("k")

    thread = RunThread("failing", wait)
    with pytest.raises(KeyError):
        await thread.call(fail)
    for_ever = asyncio.create_task(thread.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    end.set()
    with pytest.raises(NotRunningError, match="failing: the run is over"):
        await for_ever
    await thread.join()
    with pytest.raises(ZeroDivisionError):
        thread.result.result()
    with pytest.raises(NotRunningError):
        await thread.call(thread_name)


async def test_cancelling_waits_until_the_work_there_has_ended() -> None:
    end, began, ended = threading.Event(), threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    thread = RunThread("working", lambda: asyncio.to_thread(end.wait))
    working = asyncio.create_task(thread.call(work))
    try:
        await asyncio.to_thread(began.wait)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert ended.is_set()
    finally:
        end.set()  # else the thread would outlive the tests, and the interpreter wait for it
    await thread.join()
