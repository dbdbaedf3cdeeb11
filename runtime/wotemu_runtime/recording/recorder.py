"""Takes what comes over the bus: stores it, counts it, has it witnessed, and lets the bus forget it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu.records import Event, Host, Probe, to_row
from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.fidelity import Witness
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.ingest import Ingest
from wotemu_runtime.recording.retention import forgotten, trim
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.recording.totals import Totals

BLOCK_MS = 200
COUNT_S = 5.0
"""What is not stored is counted for so long at most."""

Observe = Callable[[str, list[list[Any]]], None]
Kept = Callable[[], Checkpoint | None]


class Recorder:
    """One run's records. `observe` sees all rows, also those that a coordinator before this one stored.

    The bus forgets what `kept` says is safe; None means what the recorder has.
    """

    def __init__(
        self,
        recorder: RunDirectory,
        witness: Witness,
        observe: Observe,
        now: Callable[[], float],
        kept: Kept = lambda: None,
        *,
        reception: Ingest,
    ) -> None:
        self._recorder = recorder
        self._witness = witness
        self._observe = observe
        self._now = now
        self._kept = kept
        self._trimmed: Checkpoint | None = None
        self.counters = Totals()
        self._reception = reception
        self.draining = False
        """Whether `run` is to return once nothing more comes."""
        self.entries = 0
        """How many entries of the bus were taken so far: while that grows, it makes progress."""
        self._consumer: Consumer | None = None

    def __repr__(self) -> str:
        return f"Recorder({self._recorder!r})"

    def replay(self) -> None:
        """Take into account what is stored already."""
        for table, rows in self._recorder.stored():
            self._reception.remember(table, rows)
            self._take(table, rows)

    async def missing(self, client: Redis, streams: Streams) -> dict[str, int]:
        """How many rows of each table the bus has forgotten that are not stored here; told once."""
        found = {
            table: count - self._recorder.taken[table]
            for table, count in (await forgotten(client, streams)).items()
            if count > self._recorder.taken[table]
        }
        self._recorder.taken.update(found)
        return found

    async def run(self, client: Redis, streams: Streams) -> None:
        """Until `draining`, and then until nothing more comes."""
        consumer = self._consumer = Consumer(client, streams.all_records(), self._recorder.last.positions)
        async for entries in consumer.batches(BLOCK_MS):
            if self._reception.bus(is_away=consumer.is_away):
                await self._check(client, streams)
            for _, _, fields in entries:
                table, count, rows = self._reception.accept(fields)
                self._recorder.taken[table] += count
                self._write(self._recorder.store, table, rows)
                self._take(table, rows)
            self.store(*self._witness.settle(self._now()))
            self._write(self._recorder.keep, consumer.positions)
            self.entries += len(entries)
            if not entries and self.draining and not consumer.is_away:
                return
            with contextlib.suppress(OSError, RedisError):
                await self._trim(client, streams)

    async def drain(self, running: asyncio.Task[None], patience_s: float) -> bool:
        """Let `run`, which is `running`, store all that came; False if it stopped making progress before."""
        self.draining = True
        while True:
            entries = self.entries
            await asyncio.wait([running], timeout=patience_s)
            if running.done() or self.entries == entries:
                return running.done()

    async def leave_the_rest(self, client: Redis, streams: Streams) -> None:
        """After `run` was cancelled: count what is on the bus and will not be stored."""
        positions = self._consumer.positions if self._consumer is not None else {}
        rest = Consumer(client, streams.all_records(), positions).batches(block_ms=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COUNT_S):
                while entries := await anext(rest):
                    for _, _, fields in entries:
                        self._reception.leave(fields)

    @staticmethod
    async def _check(client: Redis, streams: Streams) -> None:
        """A bus that is back must have what it kept: without it roles that come later know of nothing."""
        with contextlib.suppress(OSError, RedisError):
            if not await client.exists(streams.commands):
                raise EmulationError("it came back without what it had kept", where="event bus")

    def _take(self, table: str, rows: list[list[Any]]) -> None:
        self.counters.take(table, rows)
        self._witness.take(table, rows)
        self._observe(table, rows)

    def take_host(self, sample: Host) -> None:
        """A sample of this machine."""
        self.store(sample)
        self._witness.take(Host.TABLE, [to_row(sample)])

    def store(self, *records: Probe | Event | Host) -> None:
        """Store records that did not come over the bus."""
        for record in records:
            self._write(self._recorder.store, record.TABLE, [to_row(record)])

    async def _trim(self, client: Redis, streams: Streams) -> None:
        kept = self._kept() or self._recorder.last
        if kept != self._trimmed:
            await trim(client, streams, kept)
            self._trimmed = kept

    def _write(self, write: Callable[..., None], *what: Any) -> None:
        try:
            write(*what)
        except OSError as error:
            where = f"run directory {self._recorder.run_dir}"
            raise EmulationError(
                f"can't write to it: {error.strerror}", where=where, hint="is its disk full?"
            ) from error
