"""Reads streams from where it stopped, over reconnections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

BLOCK_MS = 500
MAX_ENTRIES = 500
_RETRY_S = 0.2

Entry = tuple[str, bytes, dict[bytes, bytes]]
"""A stream's name, the entry's id, and its fields."""


class Consumer:
    """Reads each stream from its first entry, every entry once."""

    def __init__(self, client: Redis, streams: Iterable[str]) -> None:
        self._client = client
        self._last: dict[str, bytes] = dict.fromkeys(streams, b"0-0")
        self.reconnections = 0

    async def batches(self, block_ms: int = BLOCK_MS) -> AsyncIterator[list[Entry]]:
        """Lists of new entries; an empty one after `block_ms` without any, so that the caller may stop."""
        while True:
            try:
                answer: Any = await self._client.xread(self._last, count=MAX_ENTRIES, block=block_ms)  # type: ignore[arg-type]
            except (OSError, RedisError):
                self.reconnections += 1
                await asyncio.sleep(_RETRY_S)
                yield []
                continue
            yield self._entries(answer or {})

    async def trim(self, streams: Iterable[str]) -> None:
        """Let the bus forget what was read and stored of these streams."""
        pipe = self._client.pipeline(transaction=False)
        for stream in streams:
            pipe.xtrim(stream, minid=self._after(self._last[stream]), approximate=True)
        await pipe.execute()

    @staticmethod
    def _after(entry_id: bytes) -> str:
        milliseconds, _, number = entry_id.decode().partition("-")
        return f"{milliseconds}-{int(number) + 1}"

    def _entries(self, answer: dict[bytes, list[list[tuple[bytes, dict[bytes, bytes]]]]]) -> list[Entry]:
        entries: list[Entry] = []
        for name, parts in answer.items():
            stream = name.decode()
            for part in parts:
                for entry_id, fields in part:
                    entries.append((stream, entry_id, fields))
                    self._last[stream] = entry_id
        return entries
