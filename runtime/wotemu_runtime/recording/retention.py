"""Lets the bus forget what is recorded, and keeps count of what it forgot."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from wotemu_runtime.bus.streams import Streams
from wotemu_runtime.recording.checkpoint import Checkpoint


async def trim(client: Redis, streams: Streams, recorded: Checkpoint) -> None:
    """Forget every entry up to the checkpoint's positions, exactly, with the count of the rows in them."""
    if not recorded.positions:
        return
    pipe = client.pipeline(transaction=True)
    for stream, position in recorded.positions.items():
        pipe.xtrim(stream, minid=_after(position), approximate=False)
    pipe.hset(streams.forgotten, mapping={table: str(count) for table, count in recorded.taken.items()})
    await pipe.execute()


async def forgotten(client: Redis, streams: Streams) -> dict[str, int]:
    """How many rows of each table were trimmed."""
    answer: Any = await client.hgetall(streams.forgotten)
    return {table.decode(): int(count) for table, count in answer.items()}


def _after(position: str) -> str:
    milliseconds, _, number = position.partition("-")
    return f"{milliseconds}-{int(number) + 1}"
