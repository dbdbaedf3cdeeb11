"""What each interrupt does, without a run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from wotemu.cli import interrupts
from wotemu.cli.interrupts import Interrupts


@pytest.fixture
def unignored() -> Iterator[None]:
    """The signals as a terminal's programs have them, even where who runs the tests ignores them."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("unignored")
async def test_the_first_stops_the_second_hurries_and_a_third_just_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []
    monkeypatch.setattr(interrupts, "leave_at_once", done.append)
    came = asyncio.Event()

    def announce(_: str) -> None:
        came.set()

    with Interrupts(lambda: done.append("stop"), lambda: done.append("at once"), announce) as counted:
        for number in (signal.SIGINT, signal.SIGTERM):
            came.clear()
            os.kill(os.getpid(), number)
            await came.wait()
        counted.hit()
    assert done == ["stop", "at once", 130]


async def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts(lambda: None, lambda: None, lambda _: None):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_hang_up_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts(lambda: None, lambda: None, lambda _: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
