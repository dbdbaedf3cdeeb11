"""The control protocol over the event bus, for runs whose coordinator is on another machine.

A connection is two streams, one for each way, of ``data``, ``eof``, and ``credit``: how many more entries the
other end may send. A client opens one by an entry on the run's ``control`` stream. Each end adds an entry
``alive`` every few seconds, so that the other one notices when it died without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import NotRunningError
from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.control.wire import MAX_LINE

CHUNK = 32 * 1024
CREDIT = 32
"""Entries that one end may send before the other has taken any."""
ANSWERS_S = 10.0
"""A coordinator that does not answer for so long does not run; one that has just died may be replaced."""
CLOSES_S = 5.0
"""Time limit of closing a connection while the bus does not answer."""
ALIVE_EVERY_S = 2.0
SILENT_S = 15.0
"""An end of which nothing came for so long, while the bus answered, has died."""
AWAY_S = 60.0
"""A connection ends when the bus has not answered for so long."""
EXPIRES_S = 600
"""The streams of a connection whose ends both died are removed after so long without an entry."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
"""Serves one connection; the text says who is at its other end."""


async def serve_over_bus(client: Redis, streams: Streams, serve: Serve) -> None:
    """Serve the connections that clients open from now on, until cancelled."""
    seconds, _ = await client.time()
    after = {streams.control: f"{int(seconds) * 1000 - 1000}-0"}  # what came before was for another process
    async with asyncio.TaskGroup() as group:
        async for entries in Consumer(client, [streams.control], after).batches():
            for _, _, fields in entries:
                number, who = fields[b"number"].decode(), fields[b"who"].decode()
                group.create_task(_serve_one(client, streams, number, who, serve), name=f"control of {who}")


async def _serve_one(client: Redis, streams: Streams, number: str, who: str, serve: Serve) -> None:
    with contextlib.suppress(OSError, RedisError):
        out, into = streams.to_client(number), streams.to_run(number)
        await _add(client, out, hello=1)
        async with _bridged(client, out, into, _Heard()) as (reader, writer):
            await serve(reader, writer, who)


@asynccontextmanager
async def bus_connection(client: Redis, streams: Streams, who: str) -> AsyncIterator[Ends]:
    """A connection to the run's control server, closed after the block.

    Args:
        client: A client of the run's bus.
        streams: Its streams.
        who: Who connects, for people.

    Raises:
        NotRunningError: No coordinator answers.
    """
    number, heard = uuid4().hex, _Heard()
    async with _bridged(client, streams.to_run(number), streams.to_client(number), heard) as ends:
        await client.xadd(streams.control, {"number": number, "who": who}, maxlen=1000)
        try:
            async with asyncio.timeout(ANSWERS_S):
                await heard.first.wait()
        except TimeoutError:
            raise NotRunningError("no coordinator answers over its bus", where=streams.stack) from None
        yield ends
        if heard.is_lost:
            raise NotRunningError("its coordinator does not answer any more", where=streams.stack)


@asynccontextmanager
async def _bridged(client: Redis, out: str, into: str, heard: _Heard) -> AsyncIterator[Ends]:
    """One end of a connection, as a reader and writer of this process; `heard` is of the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    own = await asyncio.open_unix_connection(sock=theirs)
    near = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE)
    credit = asyncio.Semaphore(CREDIT)
    sending = asyncio.create_task(_send(client, out, own[0], credit))
    taking = asyncio.create_task(_take(client, into, out, own[1], credit, heard))
    beating = asyncio.create_task(_beat(client, out))
    try:
        yield near
    finally:
        beating.cancel()
        near[1].close()
        # What was written last is sent, unless the other end has left and takes no more.
        await asyncio.wait([sending, taking], timeout=CLOSES_S, return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, taking):
            task.cancel()
        await asyncio.gather(sending, taking, beating, return_exceptions=True)
        own[1].close()
        with contextlib.suppress(OSError, RedisError):
            await client.delete(into)


async def _send(client: Redis, out: str, reader: asyncio.StreamReader, credit: asyncio.Semaphore) -> None:
    """Send what this end writes, as far as there is credit, then its end."""
    # A connection that is closed with data in it that nobody has read is reset.
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            await credit.acquire()
            await _add(client, out, data=data)
    await _add(client, out, eof=1)


async def _take(
    client: Redis,
    into: str,
    out: str,
    writer: asyncio.StreamWriter,
    credit: asyncio.Semaphore,
    heard: _Heard,
) -> None:
    """Take what the other end sends, until it leaves or nothing comes of it any more."""
    consumer = Consumer(client, [into])
    async for entries in consumer.batches():
        if heard.is_over(bool(entries), bus_away=consumer.is_away):
            writer.close()
            return
        for _, _, fields in entries:
            for _ in range(int(fields.get(b"credit", 0))):
                credit.release()
            if b"eof" in fields:
                writer.close()
                return
            if b"data" in fields:
                writer.write(fields[b"data"])
                await writer.drain()
                await _add(client, out, credit=1)


class _Heard:
    """When the other end was heard: `first` is set then, `is_lost` once it was silent for too long."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.is_lost = False
        self._looked_s = asyncio.get_running_loop().time()
        self._silent_s = 0.0
        self._away_s = 0.0

    def is_over(self, has_come: bool, *, bus_away: bool) -> bool:
        """Take that something has come, or nothing; whether to wait no longer."""
        now_s = asyncio.get_running_loop().time()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        self._away_s = self._away_s + passed_s if bus_away else 0.0
        if has_come:
            self.first.set()
            self._silent_s = 0.0
        elif not bus_away:
            self._silent_s += passed_s
        self.is_lost = self._silent_s > SILENT_S or self._away_s > AWAY_S
        return self.is_lost


async def _beat(client: Redis, out: str) -> None:
    """Let the other end know that this one lives."""
    while True:
        await asyncio.sleep(ALIVE_EVERY_S)
        with contextlib.suppress(OSError, RedisError):
            await _add(client, out, alive=1)


async def _add(client: Redis, stream: str, **fields: Any) -> None:
    # Both or none: an end that leaves in between must not leave a stream that stays for ever.
    async with client.pipeline(transaction=True) as both:
        both.xadd(stream, fields)  # type: ignore[arg-type]
        both.expire(stream, EXPIRES_S)
        await both.execute()
