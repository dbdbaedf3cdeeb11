"""Sends commands to all roles over the bus."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.codec import pack

BUS_AWAY_DEADLINE_S = 60.0
"""A bus that is away so long does not come back: Swarm starts it again within seconds."""
_RETRY_S = 0.2


class CommandSender:
    """Appends commands to the stream that every role reads."""

    def __init__(self, client: Redis, streams: Streams) -> None:
        self._client = client
        self._stream = streams.commands

    def __repr__(self) -> str:
        return f"CommandSender({self._stream!r})"

    async def send(self, **command: Any) -> None:
        """Send one command, again and again until the bus confirms it.

        Args:
            command: its name as `command`, and its arguments.

        Raises:
            EmulationError: the bus did not confirm it within `BUS_AWAY_DEADLINE_S`.
        """
        # The bus may have stored what it did not confirm: by the id, roles take it once.
        entry = pack({**command, "id": uuid4().hex})
        last: Exception | None = None
        try:
            async with asyncio.timeout(BUS_AWAY_DEADLINE_S):
                while True:
                    try:
                        await self._client.xadd(self._stream, entry)  # type: ignore[arg-type]
                        return
                    except (OSError, RedisError) as error:
                        last = error
                        await asyncio.sleep(_RETRY_S)  # a bus does not report when it is back
        except TimeoutError:
            raise EmulationError(f"it does not answer: {last}", where="event bus") from last
