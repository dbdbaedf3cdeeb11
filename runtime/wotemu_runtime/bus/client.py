"""redis-py's client with one command more: several stream entries in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import hiredis
from redis.asyncio import Redis

NewEntry = tuple[str, Mapping[bytes, bytes]]
"""The name of a stream, and the fields of an entry that is added to it."""


class Appender(Protocol):
    """The sending end of the bus."""

    async def add_entries(self, entries: Sequence[NewEntry]) -> None:
        """Add entries to their streams, in order.

        Raises:
            OSError, RedisError: some may have been added, or all.
        """


class BusClient(Redis):
    """A client of the bus."""

    async def add_entries(self, entries: Sequence[NewEntry]) -> None:
        """See `Appender`. redis-py's own pipeline takes twice as much CPU for this."""
        packed = [_xadd(stream, fields) for stream, fields in entries]
        connection = await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_packed_command(packed)
            await connection.read_responses(len(packed))
        finally:
            await self.connection_pool.release(connection)


def _xadd(stream: str, fields: Mapping[bytes, bytes]) -> bytes:
    command: Any = ("XADD", stream, "*", *chain.from_iterable(fields.items()))
    packed: bytes = hiredis.pack_command(command)
    return packed


__all__ = ["Appender", "BusClient", "NewEntry"]
