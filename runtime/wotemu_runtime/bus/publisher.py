"""Sends records to the bus in batches; buffers what it can't send, and counts what it had to drop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from redis.exceptions import RedisError

from wotemu.records import Event, Record, to_row
from wotemu_runtime.bus.client import Appender, NewEntry
from wotemu_runtime.bus.codec import Origin, encode_origin, encode_packed, pack_row
from wotemu_runtime.bus.streams import Streams

MAX_BATCH = 256
MAX_BATCH_BYTES = 1024**2
MAX_AGE_S = 1.0
MAX_KEPT = 50_000
"""Records of one table buffered while the bus is away; beyond it the oldest are dropped and counted."""
MAX_KEPT_BYTES = 8 * 1024**2
"""Their bytes: lines that an app prints may have 16 KB each."""
STUCK_S = 6.0
"""At the end, sending is given up when the bus confirms nothing for so long."""
TRY_S = 2.0
"""At the end, each try takes so long at most: it may have begun when there was no route to the bus."""
LAST_S = 30.0
"""At the end, the rest is dropped after so long, even if the bus still takes some."""
_RETRY_S = 0.5

Account = Callable[[Mapping[str, int]], Event]
"""Makes a publisher's last event from the number of its records by table, that event among them."""


@attrs.define
class _Table:
    """The records of one table: sent, under way, buffered."""

    sent: int = 0
    under_way: list[bytes] = attrs.field(factory=list)
    """A batch that the bus has not confirmed: it is sent again unchanged, since the bus may have it."""
    kept: deque[bytes] = attrs.field(factory=deque)
    """Rows as msgpack, so that each is packed once and its size is known."""
    kept_bytes: int = 0

    @property
    def total(self) -> int:
        """The number of records that were not dropped."""
        return self.sent + len(self.under_way) + len(self.kept)

    @property
    def is_done(self) -> bool:
        return not self.under_way and not self.kept

    def put(self, packed: bytes) -> bool:
        """Buffer one more row; whether there are enough for a batch."""
        self.kept.append(packed)
        self.kept_bytes += len(packed)
        return len(self.kept) >= MAX_BATCH or self.kept_bytes >= MAX_BATCH_BYTES

    def drop_oldest(self) -> int:
        """Drop what is too much, the oldest rows first; how many rows."""
        dropped = 0
        while len(self.kept) > MAX_KEPT or (self.kept_bytes > MAX_KEPT_BYTES and len(self.kept) > 1):
            self.kept_bytes -= len(self.kept.popleft())
            dropped += 1
        return dropped

    def batch(self, most: int) -> list[bytes]:
        """What is to be sent next; empty where nothing is."""
        if self.under_way:
            return self.under_way
        if len(self.kept) <= most and self.kept_bytes <= MAX_BATCH_BYTES:
            self.under_way, self.kept_bytes = list(self.kept), 0
            self.kept.clear()
            return self.under_way
        least_kept_bytes = self.kept_bytes - MAX_BATCH_BYTES
        while self.kept and len(self.under_way) < most and self.kept_bytes > least_kept_bytes:
            self.under_way.append(self.kept.popleft())
            self.kept_bytes -= len(self.under_way[-1])
        return self.under_way

    def confirmed(self) -> None:
        self.sent += len(self.under_way)
        self.under_way = []


class Publisher:
    """The sending end of the bus for one role. `put` never waits; `run` sends."""

    def __init__(self, client: Appender, streams: Streams, source: str, now: Callable[[], float]) -> None:
        self._client = client
        self._streams = streams
        self._source = source
        self._now = now
        self._life = now()
        self._tables: dict[str, _Table] = {}
        self._lost: dict[str, int] = {}
        self._full = asyncio.Event()
        self._closing = False
        self._account: Account | None = None
        self._muted = False
        self._sending = asyncio.Lock()

    def __repr__(self) -> str:
        kept = {name: len(table.kept) for name, table in self._tables.items() if table.kept}
        return f"Publisher({self._source!r}, kept={kept}, lost={self._lost})"

    def put(self, *records: Record) -> None:
        """Take records; they are sent within a second, events at once."""
        for record in records:
            self.put_row(record.TABLE, to_row(record))

    def put_row(self, table: str, row: Sequence[Any]) -> None:
        """Take one record as its row."""
        if self._muted:
            return
        rows = self._tables.get(table)
        if rows is None:
            rows = self._tables[table] = _Table()
        if rows.put(pack_row(row)):
            if dropped := rows.drop_oldest():
                self.lose(table, dropped)
            self._full.set()
        elif table == Event.TABLE:
            self._full.set()

    def waiting_bytes(self, table: str) -> int:
        """About how many bytes of a table are still to be sent."""
        return self._tables[table].kept_bytes if table in self._tables else 0

    def lose(self, what: str, count: int) -> None:
        """Report that `count` records of `what` were lost before they came here."""
        if self._muted:
            return
        self._lost[what] = self._lost.get(what, 0) + count

    async def mute(self, account: Account) -> None:
        """Send the rest, then the account; records that are put later are dropped without being counted."""
        self._muted = True
        await self._settled()
        self._put_account(account)
        await self._settled()

    async def _settled(self) -> None:
        """Send until nothing is buffered."""
        while self._unsent():
            try:
                await self.flush()
            except (OSError, RedisError):
                await asyncio.sleep(_RETRY_S)

    def close(self, account: Account | None = None) -> None:
        """Have `run` send the rest, with the account as the last event, and return."""
        self._closing, self._account = True, account
        self._full.set()

    async def run(self, began_s: float | None = None) -> None:
        """Send until closed, then the rest.

        Args:
            began_s: Time of the loop from which the sending times are counted. Publishers that share a client
                share it too: what is due at the same time is sent in one round trip. None: now.
        """
        loop = asyncio.get_running_loop()
        due_s = loop.time() if began_s is None else began_s
        while not self._closing:
            while due_s <= loop.time():
                due_s += MAX_AGE_S
            try:
                async with asyncio.timeout_at(due_s):
                    await self._full.wait()
            except TimeoutError:
                due_s += MAX_AGE_S  # by the loop's time it may be a little early
            self._full.clear()
            try:
                await self.flush()
            except (OSError, RedisError):
                await asyncio.sleep(_RETRY_S)  # the records stay; the client connects again by itself
        await self._finish()

    async def flush(self) -> None:
        """Send everything that is kept; what could not be sent stays kept, and the error is raised."""
        async with self._sending:
            self._report_losses()
            while tables := self._unsent():
                await self._send(tables)

    async def _send(self, names: Sequence[str]) -> None:
        """Send the next batch of each of these tables, in one round trip."""
        await self._client.add_entries([self._entry(name) for name in names])
        # Where it fails, the bus may have some of them: all are sent again, and the reader drops those.
        for name in names:
            self._tables[name].confirmed()

    def _entry(self, name: str) -> NewEntry:
        """The stream of a table, and the entry with its next batch."""
        table = self._tables[name]
        batch = table.batch(1 if name == Event.TABLE else MAX_BATCH)
        origin = Origin(self._source, self._life, table.sent)
        stream = self._streams.events if name == Event.TABLE else self._streams.metrics(name)
        return stream, {**encode_packed(name, batch), **encode_origin(origin)}

    def _unsent(self, only: Sequence[str] = ()) -> list[str]:
        """The tables that have something to send."""
        waiting = [name for name, table in self._tables.items() if not table.is_done]
        return [name for name in waiting if not only or name in only]

    # The end

    async def _finish(self) -> None:
        """Send the rest while the bus takes it, then the account, by which a reader finds what never came."""
        async with self._sending:
            self._report_losses()
            await self._send_rest()
            if self._account is not None and not self._muted:
                self._put_account(self._account)
                await self._send_rest([Event.TABLE])

    async def _send_rest(self, only: Sequence[str] = ()) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + LAST_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STUCK_S) as patience:
                while tables := self._unsent(only):
                    try:
                        async with asyncio.timeout(TRY_S):
                            await self._send(tables)
                        patience.reschedule(min(end, loop.time() + STUCK_S))
                    except (OSError, RedisError):
                        await asyncio.sleep(_RETRY_S)

    def _put_account(self, account: Account) -> None:
        totals = {name: table.total for name, table in self._tables.items()}
        totals[Event.TABLE] = totals.get(Event.TABLE, 0) + 1
        self._tables.setdefault(Event.TABLE, _Table()).put(pack_row(to_row(account(totals))))

    def _report_losses(self) -> None:
        for what, count in self._lost.items():
            data = {"what": what, "count": count, "table": what}
            event = Event(self._now(), "records.lost", self._source, f"{count} {what} lost", data)
            self._tables.setdefault(Event.TABLE, _Table()).put(pack_row(to_row(event)))
        self._lost.clear()
