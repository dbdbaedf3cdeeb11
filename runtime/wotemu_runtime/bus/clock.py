"""The bus's clock as a machine knows it: its own, set right by an offset that is measured again and again.

Clocks of several machines differ, drift apart, and are set while a run goes on. All that roles record, and
all that they do at a time, is in the bus's clock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

EXCHANGES = 8
AGAIN_S = 10.0
SOON_S = 1.0
GOOD_ERROR_S = 0.0005
"""What is known less well than this is measured again soon."""

MAX_DRIFT = 100e-6
"""Seconds a second by which two machines' quartz clocks may drift apart (crystals have 20 to 100 ppm)."""


@attrs.frozen
class Offset:
    """Seconds to add to a machine's clock to get the bus's: off by at most `error_s`."""

    offset_s: float
    error_s: float

    def after(self, age_s: float) -> Offset:
        """What is left of it later."""
        return attrs.evolve(self, error_s=self.error_s + MAX_DRIFT * age_s)

    def contradicts(self, other: Offset) -> bool:
        """Whether no offset can be right for both."""
        return abs(self.offset_s - other.offset_s) > self.error_s + other.error_s


UNKNOWN = Offset(0.0, math.inf)
"""Before anything was measured."""


def best_offset(exchanges: Iterable[tuple[float, float, float]]) -> Offset:
    """The offset by exchanges of ``(sent, the bus's answer, received)``: by the one with the shortest way.

    The bus read its clock at some moment between the two, so the middle is wrong by at most half of it
    (Cristian, "Probabilistic clock synchronization", 1989).
    """
    sent, bus, received = min(exchanges, key=lambda exchange: exchange[2] - exchange[0])
    return Offset(bus - (sent + received) / 2, (received - sent) / 2)


def chosen(old: Offset, age_s: float, new: Offset) -> Offset:
    """Which of two to go on with: the surer, but never an old one that is proved wrong.

    So that a busy moment does not make the clock worse, and a clock that was set is noticed.
    """
    aged = old.after(age_s)
    return new if new.contradicts(aged) or new.error_s <= aged.error_s else aged


async def measure_offset(client: Redis, wall: Callable[[], float] = time.time) -> Offset:
    """The offset of this machine's clock, which is `wall`."""
    exchanges = []
    for _ in range(EXCHANGES):
        sent = wall()
        seconds, micros = await client.time()
        exchanges.append((sent, seconds + micros / 1e6, wall()))
    return best_offset(exchanges)


class BusClock:
    """The bus's time on this machine, whose own clock is `wall`; its own time until it is measured."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.offset = UNKNOWN
        self._wall = wall
        self._measured = time.monotonic()

    def __repr__(self) -> str:
        return f"BusClock({self.offset.offset_s:+.6f} s, ±{self.offset.error_s:.6f} s)"

    @classmethod
    async def measured(cls, client: Redis, wall: Callable[[], float] = time.time) -> BusClock:
        """A clock that has been compared with the bus's."""
        clock = cls(wall)
        await clock.measure(client)
        return clock

    def now(self) -> float:
        """Seconds since the epoch on the bus's clock."""
        return self._wall() + self.offset.offset_s

    async def measure(self, client: Redis) -> None:
        """Compare it with the bus's again."""
        new = await measure_offset(client, self._wall)
        now = time.monotonic()
        self.offset, self._measured = chosen(self.offset, now - self._measured, new), now

    async def follow(self, client: Redis, on_change: Callable[[], None] = lambda: None) -> None:
        """Compare it from time to time, until cancelled; `on_change` hears that it was set."""
        while True:
            await asyncio.sleep(AGAIN_S if self.offset.error_s <= GOOD_ERROR_S else SOON_S)
            before = self.offset.offset_s
            with suppress(OSError, RedisError):
                await self.measure(client)
            if self.offset.offset_s != before:
                on_change()


__all__ = ["BusClock", "Offset", "best_offset", "chosen", "measure_offset"]
