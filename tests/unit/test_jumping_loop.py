"""The clock that jumps: what other unit tests rely on."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from wotemu_runtime.testing import JumpingLoop, NothingCanHappenError, on_jumping_clock


@on_jumping_clock
async def test_days_pass_at_once_and_timers_come_in_their_order() -> None:
    loop, began_s = asyncio.get_running_loop(), time.monotonic()
    woken: list[tuple[float, str]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((loop.time(), name))

    await asyncio.gather(sleeper("late", 3000), sleeper("early", 0.5), sleeper("middle", 1000))
    assert woken == [(0.5, "early"), (1000, "middle"), (3000, "late")]
    assert time.monotonic() - began_s < 60


@on_jumping_clock
async def test_no_time_passes_while_something_is_ready_or_runs_in_a_thread() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"x")
        async with asyncio.timeout(0.001):
            assert await loop.sock_recv(ours, 1) == b"x"
    await asyncio.to_thread(time.sleep, 0.01)
    assert loop.time() == 0
    with pytest.raises(ValueError, match="in a thread"):
        await asyncio.to_thread(raise_error)


def raise_error() -> None:
    raise ValueError("in a thread")


@on_jumping_clock
async def test_a_timeout_is_up_before_what_takes_longer() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.sleep(6)
    assert asyncio.get_running_loop().time() == 5


def test_a_wait_for_nothing_at_all_fails() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner, pytest.raises(NothingCanHappenError):
        runner.run(hang())


def test_a_wait_for_what_never_comes_fails_although_others_go_on() -> None:
    @on_jumping_clock
    async def hang() -> None:
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(beat())
            await asyncio.Event().wait()
            beating.cancel()

    async def beat() -> None:
        while True:  # noqa: ASYNC110  # it waits for nothing
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        hang()
