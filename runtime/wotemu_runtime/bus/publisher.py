"""Sends records to the bus in batches; keeps what it can't send, and counts what it had to drop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.records import Event, Record, to_row
from wotemu_runtime.bus.codec import Origin, encode_batch, encode_origin
from wotemu_runtime.bus.streams import Streams

MAX_BATCH = 256
MAX_AGE_S = 1.0
MAX_KEPT = 50_000
"""Records of one table kept while the bus is away; beyond it the oldest go, and are counted."""
_RETRY_S = 0.5
_LAST_TRY_S = 2.0


class Publisher:
    """The sending end of the bus for one role. `put` never waits; `run` sends."""

    def __init__(self, client: Redis, streams: Streams, source: str, now: Callable[[], float]) -> None:
        self._client = client
        self._streams = streams
        self._source = source
        self._now = now
        self._life = now()
        self._kept: dict[str, deque[list[Any]]] = {}
        self._under_way: dict[str, list[list[Any]]] = {}
        """Batches that the bus has not confirmed: they are sent again as they are, since it may have them."""
        self._sent: Counter[str] = Counter()
        self._lost: dict[str, int] = {}
        self._full = asyncio.Event()
        self._closing = False
        self._muted = False
        self._sending = asyncio.Lock()

    def __repr__(self) -> str:
        kept = {table: len(rows) for table, rows in self._kept.items() if rows}
        return f"Publisher({self._source!r}, kept={kept}, lost={self._lost})"

    def put(self, *records: Record) -> None:
        """Take records; they are sent within a second, events at once."""
        for record in records:
            self.put_row(record.TABLE, to_row(record))

    def put_row(self, table: str, row: list[Any]) -> None:
        """Take one record as its row."""
        if self._muted:
            return
        rows = self._kept.setdefault(table, deque())
        if len(rows) >= MAX_KEPT:
            rows.popleft()
            self._lost[table] = self._lost.get(table, 0) + 1
        rows.append(row)
        if table == Event.TABLE or len(rows) >= MAX_BATCH:
            self._full.set()

    def lose(self, what: str, count: int) -> None:
        """Say that `count` records of `what` were lost before they came here."""
        if self._muted:
            return
        self._lost[what] = self._lost.get(what, 0) + count

    async def mute(self, last: Event) -> None:
        """Send the rest, and an event after all of it; what comes then is of no use to anybody."""
        self._muted = True
        await self._settled()
        self._muted = False
        self.put(last)
        self._muted = True
        await self._settled()

    async def _settled(self) -> None:
        """Nothing is kept any more."""
        while any(self._kept.values()):
            try:
                await self.flush()
            except (OSError, RedisError):
                await asyncio.sleep(_RETRY_S)

    def close(self) -> None:
        """Have `run` send the rest and return."""
        self._closing = True
        self._full.set()

    async def run(self) -> None:
        """Send until closed, then the rest."""
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_AGE_S):
                    await self._full.wait()
            self._full.clear()
            try:
                await self.flush()
            except (OSError, RedisError):
                await asyncio.sleep(_RETRY_S)  # the records stay; the client connects again by itself
        await self._flush_last()

    async def flush(self) -> None:
        """Send everything that is kept; what could not be sent stays kept, and the error is raised."""
        async with self._sending:
            await self._send()

    async def _send(self) -> None:
        self._report_losses()
        for table in list(self._kept):
            while batch := self._next_batch(table):
                origin = Origin(self._source, self._life, self._sent[table])
                entry = {**encode_batch(table, batch), **encode_origin(origin)}
                stream = self._streams.events if table == Event.TABLE else self._streams.metrics(table)
                await self._client.xadd(stream, entry)  # type: ignore[arg-type]
                self._sent[table] += len(batch)
                del self._under_way[table]

    def _next_batch(self, table: str) -> list[list[Any]]:
        """What is to be sent next of a table; empty where nothing is."""
        if table not in self._under_way:
            rows = self._kept[table]
            size = min(1 if table == Event.TABLE else MAX_BATCH, len(rows))
            if not size:
                return []
            self._under_way[table] = [rows.popleft() for _ in range(size)]
        return self._under_way[table]

    async def _flush_last(self) -> None:
        try:
            async with asyncio.timeout(_LAST_TRY_S):
                await self.flush()
        except (OSError, RedisError, TimeoutError):
            return  # nobody is left to tell: the recorder sees the gap in this role's records

    def _report_losses(self) -> None:
        for what, count in self._lost.items():
            event = Event(
                self._now(),
                "records.lost",
                self._source,
                f"{count} {what} lost",
                {"what": what, "count": count},
            )
            self._kept.setdefault(Event.TABLE, deque()).append(to_row(event))
        self._lost.clear()
