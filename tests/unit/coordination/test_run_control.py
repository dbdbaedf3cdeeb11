"""What a coordinator waits for, and what ends its waiting."""

from __future__ import annotations

import asyncio

import pytest

from wotemu.errors import EmulationError
from wotemu_runtime.coordination.run_control import RunControl
from wotemu_runtime.testing import on_jumping_clock


def waiting() -> RunControl:
    return RunControl(asyncio.get_running_loop().time)


@on_jumping_clock
async def test_a_time_is_waited_for_and_news_do_not_shorten_it() -> None:
    loop, one = asyncio.get_running_loop(), waiting()
    for second in range(100):
        loop.call_later(second, one.news)
    assert await one.until_time(600)
    assert loop.time() == pytest.approx(600)
    assert await one.until_time(300)
    assert loop.time() == pytest.approx(600)


@on_jumping_clock
async def test_a_condition_is_looked_at_again_with_each_news() -> None:
    loop, one = asyncio.get_running_loop(), waiting()
    loop.call_later(5, one.news)
    loop.call_later(9, one.news)
    assert await one.until(lambda: loop.time() > 7)
    assert loop.time() == pytest.approx(9)


@on_jumping_clock
async def test_a_stop_ends_every_wait_but_the_one_for_the_roles_end() -> None:
    loop, one = asyncio.get_running_loop(), waiting()
    loop.call_later(10, lambda: one.stop(at_once=False))
    assert not await one.until_time(600)
    assert loop.time() == pytest.approx(10)
    assert not await one.until_time(600)
    assert not await one.until(lambda: False)
    over = asyncio.create_task(one.until_over(lambda: False))
    await asyncio.sleep(30)
    assert not over.done()
    one.stop(at_once=True)
    await over


@on_jumping_clock
async def test_the_first_failure_is_raised_wherever_the_run_waits() -> None:
    loop, one = asyncio.get_running_loop(), waiting()
    loop.call_later(10, one.fail, EmulationError("first"))
    loop.call_later(11, one.fail, EmulationError("second"))
    with pytest.raises(EmulationError, match="first"):
        await one.until_time(600)
    assert loop.time() == pytest.approx(10)
    await asyncio.sleep(5)
    with pytest.raises(EmulationError, match="first"):
        await one.until(lambda: False)
    assert one.has_failed


@on_jumping_clock
async def test_a_failure_does_not_keep_the_end_of_the_roles_from_being_waited_for() -> None:
    loop, one = asyncio.get_running_loop(), waiting()
    one.fail(EmulationError("first"))
    loop.call_later(7, one.news)
    await one.until_over(lambda: loop.time() > 6)
    assert loop.time() == pytest.approx(7)


@on_jumping_clock
async def test_work_is_cancelled_by_a_stop_and_else_gives_its_result() -> None:
    one = waiting()
    cleaned: list[float] = []

    async def work(seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(2)  # what it has begun is undone first
            cleaned.append(asyncio.get_running_loop().time())
            raise
        return "done"

    assert await one.unless_stopped(work(5)) == "done"
    asyncio.get_running_loop().call_later(5, lambda: one.stop(at_once=False))
    assert await one.unless_stopped(work(100)) is None
    assert cleaned == [12]


@on_jumping_clock
async def test_who_is_cancelled_while_work_goes_on_cancels_the_work_and_stays_cancelled() -> None:
    one = waiting()
    began = asyncio.Event()
    ended: list[str] = []

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    task = asyncio.create_task(one.unless_stopped(work()))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended == ["work"]


@on_jumping_clock
async def test_errors_of_the_work_are_raised() -> None:
    async def work() -> None:
        raise EmulationError("no machine")

    with pytest.raises(EmulationError, match="no machine"):
        await waiting().unless_stopped(work())
