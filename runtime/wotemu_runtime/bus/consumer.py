"""Reads streams in order, and resumes after reconnections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

BLOCK_MS = 500
MAX_ENTRIES = 500
_RETRY_S = 0.2

Entry = tuple[str, bytes, dict[bytes, bytes]]
"""A stream's name, the entry's id, and its fields."""


FIRST = "0-0"
"""The position before the first entry of a stream."""


class Consumer:
    """Reads each stream from its first entry, or after the position given for it; every entry once."""

    def __init__(self, client: Redis, streams: Iterable[str], after: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._last = {stream: (after or {}).get(stream, FIRST).encode() for stream in streams}
        self.reconnections = 0
        self.is_away = False
        """Whether the bus did not answer when it was last asked."""

    @property
    def positions(self) -> dict[str, str]:
        """The id of the last entry that was read of each stream that had any."""
        return {stream: last.decode() for stream, last in self._last.items() if last != FIRST.encode()}

    async def batches(self, block_ms: int = BLOCK_MS) -> AsyncIterator[list[Entry]]:
        """Lists of new entries; an empty one after `block_ms` without any, so that the caller may stop."""
        while True:
            try:
                answer: Any = await self._client.xread(self._last, count=MAX_ENTRIES, block=block_ms)  # type: ignore[arg-type]
            except (OSError, RedisError):
                self.reconnections += 1
                self.is_away = True
                await asyncio.sleep(_RETRY_S)
                yield []
                continue
            self.is_away = False
            yield self._entries(answer or {})

    def _entries(self, answer: dict[bytes, list[list[tuple[bytes, dict[bytes, bytes]]]]]) -> list[Entry]:
        entries: list[Entry] = []
        for name, parts in answer.items():
            stream = name.decode()
            for part in parts:
                for entry_id, fields in part:
                    entries.append((stream, entry_id, fields))
                    self._last[stream] = entry_id
        return entries
