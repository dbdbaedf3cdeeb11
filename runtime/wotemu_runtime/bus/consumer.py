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
        self.is_away = False
        """Whether the bus did not answer when it was last asked."""

    @property
    def positions(self) -> dict[str, str]:
        """The id of the last entry that was read of each stream that had any."""
        return {stream: last.decode() for stream, last in self._last.items() if last != FIRST.encode()}

    async def batches(self, block_ms: int = BLOCK_MS, gather_s: float = 0.0) -> AsyncIterator[list[Entry]]:
        """Lists of new entries; an empty one after `block_ms` without any, so that the caller may stop.

        Args:
            block_ms: how long to wait for new entries, in milliseconds.
            gather_s: how far apart reads begin at least, in seconds, unless more entries wait than one read
                returns: a read costs as much as several entries. What comes after a pause is read at once.
        """
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            try:
                answer: Any = await self._client.xread(self._last, count=MAX_ENTRIES, block=block_ms)  # type: ignore[arg-type]
            except (OSError, RedisError):
                self.is_away = True
                await asyncio.sleep(_RETRY_S)
                yield []
                continue
            self.is_away = False
            entries = self._entries(answer or {})
            yield entries
            pause_s = begun_s + gather_s - loop.time()
            if 0 < len(entries) < MAX_ENTRIES and pause_s > 0:
                await asyncio.sleep(pause_s)

    def _entries(self, answer: dict[bytes, list[list[tuple[bytes, dict[bytes, bytes]]]]]) -> list[Entry]:
        entries: list[Entry] = []
        for name, parts in answer.items():
            stream = name.decode()
            for part in parts:
                for entry_id, fields in part:
                    entries.append((stream, entry_id, fields))
                    self._last[stream] = entry_id
        return entries
