"""The bus's clock as a role knows it: its kernel's monotonic clock and a number to add to it.

On the bus's own kernel that number is the bus's, so the two are one clock. On other machines it is measured
again and again, and corrected little by little: clocks of several machines drift apart. Wall clocks, which
are set while a run goes on, move nothing. All that roles record, and all that they do at a time, is in the
bus's clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu_runtime.bus.anchor import KEY, UNANCHORED, Anchor, kernel_id
from wotemu_runtime.bus.offset import UNKNOWN, Offset, Slew, best_offset, surer
from wotemu_runtime.bus.wall_clock import epoch_s

EXCHANGES = 8
AGAIN_S = 10.0
SOON_S = 1.0
GOOD_ERROR_S = 0.0005
"""An offset with a larger error is measured again soon."""
_SAME_KERNEL_TRIES = 3

Read = Callable[[], float]


async def exchange(client: Redis, monotonic: Read) -> tuple[Anchor, tuple[float, float, float]]:
    """The bus's anchor, and an exchange with it: this clock, the bus's time, this clock."""
    sent = monotonic()
    async with client.pipeline(transaction=True) as pipe:
        pipe.time()
        pipe.get(KEY)
        (seconds, micros), text = await pipe.execute()
    received = monotonic()
    anchor = UNANCHORED if text is None else Anchor.from_json(text)
    return anchor, (sent, seconds + micros / 1e6 - anchor.wall_s, received)


async def measure(client: Redis, monotonic: Read) -> tuple[Anchor, Offset]:
    """The bus's anchor, and what is to be added to this monotonic clock for the bus's time."""
    found = [await exchange(client, monotonic) for _ in range(EXCHANGES)]
    return found[-1][0], best_offset(each for _, each in found)


class BusClock:
    """The bus's time; until it is measured, this machine's own.

    `own_epoch_s` is what this machine adds to its monotonic clock for times since the epoch; `offset` is the
    rest, up to the bus's time. `kernel` identifies the monotonic clock.
    """

    def __init__(
        self, monotonic: Read = time.monotonic, *, own_epoch_s: float | None = None, kernel: str | None = None
    ) -> None:
        self._monotonic = monotonic
        self._epoch_s = epoch_s() if own_epoch_s is None else own_epoch_s
        self._kernel = kernel_id() if kernel is None else kernel
        self._offset = UNKNOWN
        self._measured_s = monotonic()
        self._slew = Slew(0.0, 0.0, 0.0)
        self._doubt: Offset | None = None
        self.worst_error_s = 0.0
        """The largest error that the time has had since it was first measured."""
        self.is_the_bus = False
        """Whether this is the bus's own clock, on its own kernel."""

    def __repr__(self) -> str:
        if self.is_the_bus:
            return "BusClock(the bus's own)"
        return f"BusClock({self.offset.offset_s:+.6f} s, ±{self.offset.error_s:.6f} s)"

    @classmethod
    async def measured(cls, client: Redis, anchor_s: float | None = None) -> BusClock:
        """A clock that has been compared with the bus's; see `measure`."""
        clock = cls()
        await clock.measure(client, anchor_s)
        return clock

    @property
    def offset(self) -> Offset:
        """What is added to this machine's time now, and by how much that may be wrong."""
        now_s = self._monotonic()
        if self.is_the_bus:
            return Offset(0.0, 0.0)
        aged = self._offset.after(now_s - self._measured_s)
        return Offset(self._slew.at(now_s), aged.error_s + abs(self._slew.left(now_s)))

    def now(self) -> float:
        """Seconds since the epoch on the bus's clock."""
        return self.at(self._monotonic())

    def at(self, monotonic_s: float) -> float:
        """The bus's time at a time of this machine's monotonic clock."""
        return monotonic_s + self._epoch_s + self._slew.at(monotonic_s)

    def left_s(self, t: float) -> float:
        """How long it is until `t` on the bus's clock; what waits so long is neither early nor late."""
        return self._slew.when(t - self._epoch_s) - self._monotonic()

    def be_the_bus(self, anchor_s: float) -> None:
        """This kernel is the bus's, and `anchor_s` what it adds to its monotonic clock."""
        self.is_the_bus, self._epoch_s, self._slew = True, anchor_s, Slew(0.0, 0.0, 0.0)

    async def measure(self, client: Redis, anchor_s: float | None = None) -> None:
        """Compare it with the bus's (again). `anchor_s`: this kernel is known to be the bus's."""
        if anchor_s is not None:
            self.be_the_bus(anchor_s)
        if self.is_the_bus or await self._is_the_bus(client):
            return
        _, new = await measure(client, self._monotonic)
        self._take(attrs.evolve(new, offset_s=new.offset_s - self._epoch_s))

    async def _is_the_bus(self, client: Redis) -> bool:
        """Whether the bus's anchor is of this kernel.

        It is checked by a measurement, since copies of a running virtual machine have one boot id.
        """
        if self._offset is not UNKNOWN:
            return False  # decided when it was first measured
        for _ in range(_SAME_KERNEL_TRIES):
            anchor, found = await measure(client, self._monotonic)
            if anchor is not UNANCHORED and (not self._kernel or anchor.kernel != self._kernel):
                return False
            if anchor is not UNANCHORED and not found.contradicts(Offset(anchor.monotonic_s, GOOD_ERROR_S)):
                self.be_the_bus(anchor.monotonic_s)
                return True
            await asyncio.sleep(SOON_S)  # a bus that has just started, or whose wall clock has just been set
        return False

    def _take(self, new: Offset) -> None:
        """Go on with a new measurement."""
        if self._offset is UNKNOWN:
            self._offset, self._measured_s = new, self._monotonic()
            self._slew = Slew(new.offset_s, new.offset_s, self._measured_s)
        else:
            self._note_error()
            self._correct(new)
        self._note_error()

    def _note_error(self) -> None:
        self.worst_error_s = max(self.worst_error_s, self.offset.error_s)

    def _correct(self, new: Offset) -> None:
        """Slew to a new measurement; one that contradicts the last one has to come twice.

        The bus reports a step of its wall clock a moment after the step.
        """
        now_s = self._monotonic()
        age_s = now_s - self._measured_s
        if new.contradicts(self._offset.after(age_s)):
            confirmed = self._doubt is not None and not new.contradicts(self._doubt)
            self._doubt = None if confirmed else new
            if not confirmed:
                return
        else:
            self._doubt, new = None, surer(self._offset, age_s, new)
        self._slew = Slew(self._slew.at(now_s), new.offset_s, now_s)
        self._offset, self._measured_s = new, now_s

    async def follow(self, client: Redis, on_change: Callable[[], None] = lambda: None) -> None:
        """Compare it from time to time, until cancelled; `on_change` is called whenever it is corrected."""
        while not self.is_the_bus:
            is_good = self._doubt is None and self.offset.error_s <= GOOD_ERROR_S
            await asyncio.sleep(AGAIN_S if is_good else SOON_S)
            before = self._offset
            with suppress(OSError, RedisError):
                await self.measure(client)
            if self._offset.offset_s != before.offset_s:
                on_change()


__all__ = ["BusClock", "exchange", "measure"]
