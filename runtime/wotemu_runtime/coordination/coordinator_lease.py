"""The lease of a run's coordinator: one at a time, and the next one when it is released or expires."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import time
import uuid
from typing import Any

import attrs
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.bus import Streams

LASTS_S = 5.0
RENEW_EVERY_S = 1.0
_ASK_EVERY_S = 0.2


@attrs.frozen
class Holder:
    """A coordinator: its process, and since when it coordinates (seconds since the epoch, its own clock)."""

    id: str
    host: str
    pid: int
    since: float

    @classmethod
    def me(cls) -> Holder:
        """This process; its random id differs from all others' even where a process id is reused."""
        return cls(uuid.uuid4().hex, platform.node(), os.getpid(), time.time())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """One coordinator's right to coordinate: a lock on the bus that expires unless it is renewed."""

    def __init__(self, client: Redis, streams: Streams) -> None:
        self._client = client
        self._key = streams.lease
        self.me = Holder.me()
        # Its scripts compare and set in one: between a look and a change, another might have got it.
        self._lock = Lock(client, self._key, timeout=LASTS_S, thread_local=False)

    async def acquire(self) -> None:
        """Get the lease, if need be once its last holder's has expired.

        Raises:
            EmulationError: that one still renews it.
        """
        try:
            async with asyncio.timeout(LASTS_S + RENEW_EVERY_S):
                while not await self._claim():  # noqa: ASYNC110
                    await asyncio.sleep(_ASK_EVERY_S)  # the expiry of a key announces itself to nobody
        except TimeoutError:
            raise self._held(await holder(self._client, self._key)) from None

    async def hold(self) -> None:
        """Renew it until cancelled.

        Raises:
            EmulationError: another coordinator has it.
        """
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            with contextlib.suppress(OSError, RedisError):
                await self._renew()

    async def release(self) -> None:
        """Release it, so that another coordinator need not wait until it expires."""
        with contextlib.suppress(OSError, RedisError):  # which a lock that is another's is, too
            await self._lock.release()

    async def _claim(self) -> bool:
        token = json.dumps(attrs.asdict(self.me))
        return bool(await self._lock.acquire(blocking=False, token=token))

    async def _renew(self) -> None:
        try:
            await self._lock.reacquire()
        except LockError:
            if not await self._claim():  # a bus that was started again may have lost it
                raise self._held(await holder(self._client, self._key)) from None

    @staticmethod
    def _held(now: Holder | None) -> EmulationError:
        return EmulationError(
            f"it is coordinated by {now or 'another process'}",
            where="coordinator",
            hint="end that process first",
        )


async def holder(client: Redis, key: str) -> Holder | None:
    """Who has the lease now."""
    value: Any = await client.get(key)
    return None if value is None else Holder(**json.loads(value))
