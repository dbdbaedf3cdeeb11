"""Carries TCP connections into a node over two streams of the bus, one for each direction.

An entry has the number of its connection, ``c``, and one of these fields: ``open`` with the node's port, from
the end where a connection came in; ``opened`` or ``refused``, the answer; ``data``; ``credit``, the bytes of
data that were passed on, so that as many may follow; ``eof``, the end of one direction; ``reset``, the end of
both. An entry ``alive`` without a number has those of all connections that an end has open, every few
seconds: a connection that the other end no longer has, as that died, is reset.

Of a connection whose reader is slow, at most `SEND_WINDOW` bytes a direction are on the bus. Each end trims
the stream that it reads, so that two streams stay of a node, with a single entry each, when nothing moves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu_runtime.bus import Appender, Consumer
from wotemu_runtime.bus.send_window import SEND_CHUNK, SendWindow

ANSWERS_S = 10.0
"""A node that does not answer for so long takes no connection."""
ALIVE_EVERY_S = 2.0
SILENT_S = 15.0
"""A connection of which nothing came for so long, while the bus answered, is over at the other end."""

OnOpen = Callable[["Channel", int], None]
"""Is called with each connection that the other end opens, and the port that it is for."""


@attrs.define
class Traffic:
    """Bytes of connections: `sent` over the bus by this end, and `taken` from it."""

    sent: int = 0
    taken: int = 0


class Channel:
    """One connection at one end; `Multiplexer` makes it."""

    def __init__(self, multiplexer: Multiplexer, number: bytes, traffic: Traffic) -> None:
        self.heard_s = asyncio.get_running_loop().time()
        """When the other end was heard of it last, on the loop's clock."""
        self._multiplexer = multiplexer
        self._number = number
        self._traffic = traffic
        self._answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._window = SendWindow()
        # The other end's window bounds it. Without it, a slow reader would hold up the credit behind data.
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reset = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Channel {self._number.decode()}, {self._window}>"

    async def open(self, port: int) -> bool:
        """Ask the other end for a connection to a port of the node; whether it has made one."""
        try:
            await self._send_entry(open=port)
            async with asyncio.timeout(ANSWERS_S):
                return await self._answer
        except TimeoutError:
            await self.reset()
            return False
        except (OSError, RedisError):
            return False

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer that there is a connection, and carry it; see `carry`."""
        with contextlib.suppress(OSError, RedisError):
            await self._send_entry(opened=1)
        await self.carry(reader, writer)

    async def refuse(self) -> None:
        """Answer that nothing takes a connection."""
        with contextlib.suppress(OSError, RedisError):
            await self._send_entry(refused=1)

    async def reset(self) -> None:
        """End both directions."""
        self._reset.set()
        with contextlib.suppress(OSError, RedisError):  # the other end resets it when it hears no more of it
            await self._send_entry(reset=1)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection's two directions until both have ended or it is reset; then close it."""
        try:
            async with asyncio.TaskGroup() as group:
                broken = group.create_task(self._until_reset())
                directions = [group.create_task(self._send(reader)), group.create_task(self._pass_on(writer))]
                await asyncio.wait(directions)
                broken.cancel()
        except* (OSError, RedisError):
            writer.transport.abort()
            if not self._reset.is_set():
                await self.reset()
        finally:
            writer.close()

    async def _send(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(2 * SEND_CHUNK):
            async for part in self._window.parts(data):
                await self._send_entry(data=part)
                self._traffic.sent += len(part)
        await self._send_entry(eof=1)
        await self._window.all_taken()

    async def _pass_on(self, writer: asyncio.StreamWriter) -> None:
        while (data := await self._waiting.get()) is not None:
            if writer.is_closing():  # uvloop's transports then raise a RuntimeError
                raise ConnectionResetError
            self._traffic.taken += len(data)
            writer.write(data)
            await writer.drain()
            await self._send_entry(credit=len(data))
        if not writer.is_closing():
            writer.write_eof()

    async def _until_reset(self) -> None:
        await self._reset.wait()
        raise ConnectionResetError

    async def _send_entry(self, **fields: bytes | int) -> None:
        await self._multiplexer.send(self._number, **fields)

    def take(self, fields: Mapping[bytes, bytes]) -> None:
        """Take what the other end sent."""
        if not self._answer.done() and fields.keys() & {b"opened", b"refused", b"reset"}:
            self._answer.set_result(b"opened" in fields)
        if b"data" in fields:
            self._waiting.put_nowait(fields[b"data"])
        if b"eof" in fields:
            self._waiting.put_nowait(None)
        self._window.grant(int(fields.get(b"credit", 0)))
        if b"reset" in fields:
            self.drop()

    def drop(self) -> None:
        """End it here alone: it is over at the other end."""
        self._reset.set()

    @property
    def is_reset(self) -> bool:
        """Whether it was reset by either end."""
        return self._reset.is_set()


class Multiplexer:
    """One end of a node's connections.

    Args:
        bus: Sends entries.
        out: The stream that this end writes.
        on_open: For connections that the other end opens; None where this one opens them.
    """

    def __init__(self, bus: Appender, out: str, on_open: OnOpen | None = None) -> None:
        self._bus = bus
        self._out = out
        self._on_open = on_open
        self._channels: dict[bytes, Channel] = {}
        self._unknown: set[bytes] = set()
        self._sent_alive_s = 0.0

    def __repr__(self) -> str:
        return f"<Multiplexer to {self._out}, {len(self._channels)} open>"

    @contextmanager
    def channel(self, number: str, traffic: Traffic) -> Iterator[Channel]:
        """A connection that this end opens, there while the block runs."""
        made = self._channels[number.encode()] = Channel(self, number.encode(), traffic)
        try:
            yield made
        finally:
            del self._channels[number.encode()]

    def forget(self, channel: Channel) -> None:
        """Forget a connection that the other end has opened."""
        self._channels = {number: each for number, each in self._channels.items() if each is not channel}

    async def send(self, number: bytes, **fields: bytes | int) -> None:
        """Send an entry of a connection. Raises OSError or RedisError where the bus does not take it."""
        await self._add({b"c": number, **{key.encode(): _encoded(each) for key, each in fields.items()}})

    async def _add(self, fields: Mapping[bytes, bytes]) -> None:
        await self._bus.add_entries([(self._out, fields)])

    def take(self, fields: Mapping[bytes, bytes]) -> None:
        """Take an entry of the other end's."""
        now_s = asyncio.get_running_loop().time()
        numbers = [fields[b"c"]] if b"c" in fields else fields[b"alive"].split()
        for number in numbers:
            if number in self._channels:
                self._channels[number].heard_s = now_s
        if b"c" not in fields:
            return
        number = fields[b"c"]
        if b"open" in fields and self._on_open is not None:
            opened = self._channels[number] = Channel(self, number, Traffic())
            self._on_open(opened, int(fields[b"open"]))
        elif number in self._channels:
            self._channels[number].take(fields)
        elif b"data" in fields:
            self._unknown.add(number)

    async def look(self, *, bus_away: bool) -> None:
        """Tell the other end what is open, and reset what is over at one end; to be called every second."""
        now_s = asyncio.get_running_loop().time()
        for channel in self._channels.values():
            if bus_away:
                channel.heard_s = now_s
            elif now_s - channel.heard_s > SILENT_S:
                channel.drop()
        with contextlib.suppress(OSError, RedisError):
            while self._unknown:
                await self.send(self._unknown.pop(), reset=1)
            if self._channels and now_s - self._sent_alive_s > ALIVE_EVERY_S:
                self._sent_alive_s = now_s
                await self._add({b"alive": b" ".join(self._channels)})


async def read_streams(client: Redis, ends: Mapping[str, Multiplexer]) -> None:
    """Read what the other ends send, by the stream that each writes, until cancelled."""
    consumer = Consumer(client, ends)
    async for entries in consumer.batches():
        for stream, _, fields in entries:
            ends[stream].take(fields)
        with contextlib.suppress(OSError, RedisError):  # the next one trims as much
            for stream, last in {stream: last for stream, last, _ in entries}.items():
                await client.xtrim(stream, minid=last.decode(), approximate=False)
        for end in ends.values():
            await end.look(bus_away=consumer.is_away)


def _encoded(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value
