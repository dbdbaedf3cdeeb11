"""Reads the bus and records a run: one direction, from stream entries to files and to those who count.

Each entry is decoded once and checked (`Ingest`), stored (`RunDirectory`), and passed on as records to the
sinks: totals, witness, guards, the run's state. Then the bus may forget it. What the coordinator itself has
to report takes the same way from `record` on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu.records import TABLES, Event, Host, Log, Probe, Published, Record, to_row
from wotemu_runtime.bus import Consumer, OtherVersionError, Streams
from wotemu_runtime.fidelity import Witness
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.ingest import Ingest
from wotemu_runtime.recording.retention import forgotten, trim
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.recording.totals import Totals

BLOCK_MS = 200
CHECKPOINT_EVERY_S = 0.25
"""While much comes. A checkpoint takes a file and a round trip to the bus; what came after the last
one comes again to a coordinator that takes over."""
COUNT_S = 5.0
"""Time limit for counting records that are not stored."""

GATHER_S = 0.01
"""At most so much later an entry is read where many come."""


class Sink(Protocol):
    """Takes batches of records as they are recorded."""

    @property
    def tables(self) -> AbstractSet[str]:
        """The tables whose records it takes."""

    def take(self, records: Sequence[Record]) -> None:
        """Take records of one of these tables, in order."""


Listener = Callable[[Event], None]
Durable = Callable[[], Checkpoint | None]


class Recorder:
    """Records one run.

    Args:
        directory: where its records are stored.
        witness: judges the probes among them.
        now: the bus's clock, in seconds since the epoch.
        sinks: get every batch of records of their tables, also those that an earlier coordinator stored.
        listener: gets every event as it is recorded.
        durable: the checkpoint up to which the bus may forget; None means the directory's own.
        resumed: whether an earlier coordinator has read the beginning of the streams.
    """

    def __init__(
        self,
        directory: RunDirectory,
        witness: Witness,
        now: Callable[[], float],
        *,
        sinks: Sequence[Sink] = (),
        listener: Listener = lambda _: None,
        durable: Durable = lambda: None,
        resumed: bool = False,
    ) -> None:
        self.directory = directory
        self.totals = Totals()
        self.ingest = Ingest(now(), resumed=resumed)
        self._witness = witness
        self._now = now
        everyone: tuple[Sink, ...] = (self.totals, witness, *sinks)
        self._sinks = {table: [sink.take for sink in everyone if table in sink.tables] for table in TABLES}
        self._listener = listener
        self._durable = durable
        self._trimmed: Checkpoint | None = None
        self.draining = False
        """Whether `run` is to return once nothing more comes."""
        self.entries = 0
        """How many stream entries were taken so far: while that grows, `run` makes progress."""
        self._consumer: Consumer | None = None

    def __repr__(self) -> str:
        return f"Recorder({self.directory!r}, {self.entries} entries, draining={self.draining})"

    # From the bus

    async def run(self, client: Redis, streams: Streams) -> None:
        """Record what comes until `draining`, and then until nothing more comes.

        Raises:
            EmulationError: the run directory can't be written to, or the bus lost what it had.
        """
        consumer = self._consumer = Consumer(client, streams.all_records(), self.directory.last.positions)
        kept = self._now()
        async for entries in consumer.batches(BLOCK_MS, GATHER_S):
            if consumer.is_away:
                self.record(*self.ingest.bus_failed(self._now()))
            else:
                is_back, events = self.ingest.bus_answered(self._now())
                self.record(*events)
                if is_back:
                    await _check_commands(client, streams)
            for _, _, fields in entries:
                self._take(fields)
            self.entries += len(entries)
            if not entries or self._now() - kept >= CHECKPOINT_EVERY_S:
                kept = self._now()
                self.store(*self._witness.settle(kept))
                self._write(self.directory.keep, consumer.positions)
                with contextlib.suppress(OSError, RedisError):
                    await self._trim(client, streams)
            else:
                self._write(self.directory.flush_events)
            if not entries and self.draining and not consumer.is_away:
                return

    def _take(self, entry: dict[bytes, bytes]) -> None:
        batch, events = self.ingest.accept(entry, self._now())
        self.directory.taken[batch.table] += batch.received
        self._write(self.directory.store, batch.table, batch.rows, batch.packed)
        self._pass_on(batch.table, batch.rows)
        self.record(*events)

    def _pass_on(self, table: str, rows: list[list[Any]], *, is_new: bool = True) -> None:
        """Have the sinks and the listener take rows, as records that are made of them once."""
        if table != Log.TABLE:
            self._witness.count(len(rows))
        sinks = self._sinks[table]
        if not rows or not sinks:
            return
        kind = TABLES[table]
        records = [kind(*row) for row in rows]
        for take in sinks:
            take(records)
        for record in records if is_new else ():
            if isinstance(record, Event):
                self._listener(record)

    async def _trim(self, client: Redis, streams: Streams) -> None:
        checkpoint = self._durable() or self.directory.last
        if checkpoint != self._trimmed:
            await trim(client, streams, checkpoint)
            self._trimmed = checkpoint

    # From the coordinator

    def record(self, *events: Event) -> None:
        """Record events that did not come over the bus, and pass them on like those that did."""
        for event in events:
            self.store(event)
            self._pass_on(Event.TABLE, [to_row(event)])
        if events:
            self._write(self.directory.flush_events)

    def record_host(self, sample: Host) -> None:
        """Record a sample of this machine's load."""
        self.store(sample)
        self._pass_on(Host.TABLE, [to_row(sample)])

    def store(self, *records: Probe | Event | Host | Published) -> None:
        """Store records that did not come over the bus, without passing them on."""
        for record in records:
            self._write(self.directory.store, record.TABLE, [to_row(record)])

    def role_lost(self, role: str, reason: str, host: str) -> None:
        """Record that a role's task is gone, and that another has to take its place."""
        self.record(*self.ingest.role_lost(role, self._now(), reason, host))

    def check_silence(self) -> None:
        """Record which roles have fallen silent; to be called once a second."""
        self.record(*self.ingest.check_silence(self._now()))

    def _write(self, write: Callable[..., None], *what: Any) -> None:
        try:
            write(*what)
        except OSError as error:
            where = f"run directory {self.directory.run_dir}"
            raise EmulationError(
                f"can't write to it: {error.strerror}", where=where, hint="is its disk full?"
            ) from error

    # Taking over

    def replay(self) -> None:
        """Pass on what an earlier coordinator stored in this directory."""
        for table, rows in self.directory.stored():
            self.ingest.remember(table, rows, self._now())
            self._pass_on(table, rows, is_new=False)

    async def missing(self, client: Redis, streams: Streams) -> dict[str, int]:
        """How many rows of each table the bus has forgotten that are not stored here; counted once."""
        taken = self.directory.taken
        found = {
            table: count - taken[table]
            for table, count in (await forgotten(client, streams)).items()
            if count > taken[table]
        }
        taken.update(found)
        return found

    # The end

    async def drain(self, running: asyncio.Task[None], patience_s: float) -> bool:
        """Have `run`, whose task is `running`, store all that came.

        Returns:
            False if it made no progress for `patience_s` before it was done.
        """
        self.draining = True
        while True:
            entries = self.entries
            await asyncio.wait([running], timeout=patience_s)
            if running.done() or self.entries == entries:
                return running.done()

    async def count_the_rest(self, client: Redis, streams: Streams) -> None:
        """After `run` was cancelled: count what is on the bus and will not be stored."""
        positions = self._consumer.positions if self._consumer is not None else {}
        rest = Consumer(client, streams.all_records(), positions).batches(block_ms=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COUNT_S):
                while entries := await anext(rest):
                    for _, _, fields in entries:
                        with contextlib.suppress(OtherVersionError):  # of which the run has failed already
                            self.ingest.count(fields)

    def finish(self, ended: AbstractSet[str] = frozenset()) -> None:
        """Record all that is missing; `ended` are the roles that owe a count of their records."""
        self.record(*list(self.ingest.finish(self._now(), ended)))


async def _check_commands(client: Redis, streams: Streams) -> None:
    """Check that a bus that is back still has the commands: roles that come later need them."""
    with contextlib.suppress(OSError, RedisError):
        if not await client.exists(streams.commands):
            raise EmulationError("it came back without what it had kept", where="event bus")
