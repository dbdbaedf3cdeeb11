"""Trims the bus's streams to what is not recorded yet, and counts the rows that were trimmed."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from wotemu_runtime.bus.streams import Streams
from wotemu_runtime.recording.checkpoint import Checkpoint


async def trim(client: Redis, streams: Streams, recorded: Checkpoint) -> None:
    """Trim every stream up to the checkpoint's positions, and store the count of the trimmed rows.

    In one transaction: a coordinator that takes over must find both or neither.
    """
    if not recorded.positions:
        return
    pipe = client.pipeline(transaction=True)
    for stream, position in recorded.positions.items():
        pipe.xtrim(stream, minid=_after(position), approximate=False)
    pipe.hset(streams.forgotten, mapping={table: str(count) for table, count in recorded.taken.items()})
    await pipe.execute()


async def forgotten(client: Redis, streams: Streams) -> dict[str, int]:
    """The number of rows of each table that were trimmed so far."""
    answer: Any = await client.hgetall(streams.forgotten)
    return {table.decode(): int(count) for table, count in answer.items()}


def _after(position: str) -> str:
    milliseconds, _, number = position.partition("-")
    return f"{milliseconds}-{int(number) + 1}"
