"""A request whose task is cancelled: did the app give it up, or did a deadline of the app's expire?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from wotemu_runtime.app_process.measuring.deadlines import watch_deadlines
from wotemu_runtime.app_process.measuring.interaction_meter import Meter
from wotemu_runtime.app_process.measuring.operations import READ
from wotemu_runtime.app_process.measuring.sides import Exchange

SOON_S = 0.01
LONG_S = 30.0


class FakeSide:
    """A consumer of a Thing that there is not."""

    role = "consumer"

    def ignores(self) -> bool:
        return False

    def begin(self) -> Exchange:
        return Exchange("http")

    def thing(self, owner: Any) -> str:
        return "urn:fake"


class Requests:
    """Requests of a Thing that answers at once, never, or with another error when it is cancelled."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self._measured = Meter("node", self.records.append).request(FakeSide(), READ, self._answer)

    async def _answer(self, owner: Any, name: str) -> int:
        if name == "never":
            await asyncio.Event().wait()
        if name == "own error":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ConnectionError("the session is closed") from None
        return 1

    def read(self, name: str = "never") -> Awaitable[int]:
        result: Awaitable[int] = self._measured(self, name)
        return result

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(record.status, record.error) for record in self.records]


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """Deadlines are known while the test runs."""
    with watch_deadlines():
        yield


async def timeout_around(requests: Requests) -> None:
    async with asyncio.timeout(SOON_S):
        await requests.read()


async def timeout_around_a_gather(requests: Requests) -> None:
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(requests.read(), requests.read("quick"))


async def timeout_around_a_group(requests: Requests) -> None:
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as group:
        group.create_task(_coroutine(requests.read()))


async def outer_of_two_timeouts(requests: Requests) -> None:
    async with asyncio.timeout(SOON_S), asyncio.timeout(LONG_S):
        await requests.read()


async def wait_for(requests: Requests) -> None:
    await asyncio.wait_for(requests.read(), SOON_S)


async def wait_for_a_task(requests: Requests) -> None:
    await asyncio.wait_for(asyncio.create_task(_coroutine(requests.read())), SOON_S)


async def wait_for_a_gather(requests: Requests) -> None:
    await asyncio.wait_for(asyncio.gather(requests.read(), requests.read("quick")), SOON_S)


async def own_error_at_a_timeout(requests: Requests) -> None:
    async with asyncio.timeout(SOON_S):
        await requests.read("own error")


async def _coroutine(awaitable: Awaitable[int]) -> int:
    return await awaitable


@pytest.mark.parametrize(
    "deadline",
    [
        timeout_around,
        timeout_around_a_gather,
        timeout_around_a_group,
        outer_of_two_timeouts,
        wait_for,
        wait_for_a_task,
        wait_for_a_gather,
        own_error_at_a_timeout,
    ],
)
async def test_a_deadline_that_expires_is_a_failure(deadline: Callable[[Requests], Awaitable[None]]) -> None:
    requests = Requests()
    with pytest.raises((TimeoutError, ConnectionError)):
        await deadline(requests)
    assert [found for found in requests.outcomes if found[0] != "ok"] == [("failed", "timeout")]


async def hedge(requests: Requests) -> None:
    tasks = [asyncio.create_task(_coroutine(requests.read(name))) for name in ("quick", "never")]
    _, slower = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in slower:
        task.cancel()
    await asyncio.wait(slower)


async def hedge_within_a_long_timeout(requests: Requests) -> None:
    async with asyncio.timeout(LONG_S):
        await hedge(requests)


async def group_that_fails(requests: Requests) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await requests.read()


async def cancelled_while_it_waits_with_a_deadline(requests: Requests) -> None:
    task = asyncio.create_task(asyncio.wait_for(requests.read(), LONG_S))
    await asyncio.sleep(SOON_S)
    task.cancel()
    await asyncio.wait([task])


async def cancelled_after_a_deadline_that_is_over(requests: Requests) -> None:
    async def work() -> None:
        try:
            async with asyncio.timeout(SOON_S):
                await asyncio.sleep(LONG_S)
        except TimeoutError:
            await requests.read()

    task = asyncio.create_task(work())
    await asyncio.sleep(4 * SOON_S)
    task.cancel()
    await asyncio.wait([task])


async def child_of_a_deadline_that_is_over(requests: Requests) -> None:
    children: list[asyncio.Task[int]] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON_S):
            children.append(asyncio.create_task(_coroutine(requests.read())))
            await asyncio.sleep(LONG_S)
    children[0].cancel()
    await asyncio.wait(children)


async def own_error_at_a_cancellation(requests: Requests) -> None:
    task = asyncio.create_task(_coroutine(requests.read("own error")))
    await asyncio.sleep(SOON_S)
    task.cancel()
    await asyncio.wait([task])
    assert isinstance(task.exception(), ConnectionError)


@pytest.mark.parametrize(
    "give_up",
    [
        hedge,
        hedge_within_a_long_timeout,
        group_that_fails,
        cancelled_while_it_waits_with_a_deadline,
        cancelled_after_a_deadline_that_is_over,
        child_of_a_deadline_that_is_over,
        own_error_at_a_cancellation,
    ],
)
async def test_what_the_app_gives_up_is_cancelled(give_up: Callable[[Requests], Awaitable[None]]) -> None:
    requests = Requests()
    await give_up(requests)
    assert [found for found in requests.outcomes if found[0] != "ok"] == [("cancelled", "cancelled")]


async def test_deadlines_work_as_they_did() -> None:
    async def value() -> int:
        return 7

    assert await asyncio.wait_for(value(), 1) == 7
    assert await asyncio.wait_for(value(), None) == 7
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(LONG_S), 0)
    async with asyncio.timeout(None) as deadline:
        deadline.reschedule(asyncio.get_running_loop().time() + LONG_S)
        await asyncio.sleep(0)
    assert not deadline.expired()


async def test_nothing_of_asyncio_is_changed_once_the_watch_is_over() -> None:
    with watch_deadlines():
        inside = asyncio.wait_for, asyncio.Timeout.__aenter__
    assert asyncio.wait_for is not inside[0]
    assert asyncio.Timeout.__aenter__ is not inside[1]
