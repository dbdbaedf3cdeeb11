"""Connections to published ports over the event bus: both directions, slow readers, ends that die."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import attrs
import pytest
import uvloop

from tests.engine.conftest import BusServer
from wotemu_runtime.bus import BusClient, Streams, connect
from wotemu_runtime.bus.send_window import SEND_WINDOW
from wotemu_runtime.publishing import multiplexer
from wotemu_runtime.publishing.multiplexer import Multiplexer, Traffic, read_streams
from wotemu_runtime.publishing.node_ports import serve_ports

STREAMS = Streams("field")
TO_NODE, FROM_NODE = STREAMS.to_ports("gui"), STREAMS.from_ports("gui")
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
App = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@attrs.define
class Published:
    """A node's port, as it is reached from another machine."""

    client: BusClient
    end: Multiplexer
    agent: asyncio.Task[None]
    traffic: Traffic = attrs.field(factory=Traffic)

    @asynccontextmanager
    async def connection(self, port: int = 80) -> AsyncIterator[Ends | None]:
        """A connection to the port; None where it is refused."""
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        with contextlib.closing(writer), self.end.channel(uuid4().hex, self.traffic) as channel:
            if not await channel.open(port):
                far.close()
                yield None
                return
            carrying = asyncio.create_task(channel.carry(*await asyncio.open_connection(sock=far)))
            try:
                yield reader, writer
            finally:
                writer.close()
                await asyncio.wait([carrying])

    async def stored(self) -> int:
        """Bytes of data on the bus."""
        found: list[Any] = [await self.client.xrange(key) for key in (TO_NODE, FROM_NODE)]
        return sum(len(fields.get(b"data", b"")) for entries in found for _, fields in entries)

    async def trimmed(self) -> None:
        """Wait until nothing is on the bus but the last entry of each stream."""
        while [await self.client.xlen(key) for key in (TO_NODE, FROM_NODE)] != [1, 1]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def published(bus_server: BusServer, app: App) -> AsyncIterator[Published]:
    """Serve `app` at port 80 of a node; its other ports refuse."""
    server = await asyncio.start_server(app, "127.0.0.1", 0)

    async def connected(port: int) -> socket.socket:
        if port != 80:
            raise ConnectionRefusedError
        made = socket.socket()
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, server.sockets[0].getsockname())
        return made

    async with (
        aclosing(await connect(bus_server.address, 10)) as ours,
        aclosing(await connect(bus_server.address, 10)) as theirs,
    ):
        role = cast(Any, SimpleNamespace(session=SimpleNamespace(client=theirs, streams=STREAMS)))
        agent = asyncio.create_task(serve_ports(role, "gui", connected))
        end = Multiplexer(ours, TO_NODE)
        reading = asyncio.create_task(read_streams(ours, {FROM_NODE: end}))
        try:
            yield Published(ours, end, agent)
        finally:
            for task in (agent, reading):
                task.cancel()
            await asyncio.wait([agent, reading])
            server.close()


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer how much came before the end of it."""
    size = 0
    while data := await reader.read(65536):
        size += len(data)
    writer.write(b"%d bytes" % size)
    writer.close()


async def test_the_end_of_one_direction_is_passed_on_and_nothing_is_left(bus_server: BusServer) -> None:
    async with published(bus_server, count) as node, asyncio.timeout(30):
        async with node.connection() as ends:
            assert ends is not None
            reader, writer = ends
            writer.write(bytes(3_000_000))
            writer.write_eof()
            assert await reader.read() == b"3000000 bytes"
        assert node.traffic == Traffic(sent=3_000_000, taken=len(b"3000000 bytes"))
        async with node.connection(81) as refused:
            assert refused is None
        await node.trimmed()


async def test_a_slow_reader_holds_up_its_own_connection_alone(bus_server: BusServer) -> None:
    poured: list[int] = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(poured)
        poured.append(0)
        for _ in range(600):
            writer.write(bytes(65536))
            await writer.drain()
            poured[number] += 65536
        writer.close()

    async with (
        asyncio.timeout(30),
        published(bus_server, pour) as node,
        node.connection() as slow,
        node.connection() as other,
    ):
        assert slow is not None
        assert other is not None
        assert len(await other[0].read()) == 600 * 65536
        assert await node.stored() <= 2 * SEND_WINDOW
        assert poured[0] < 300 * 65536  # what the kernel's buffers of a connection hold, and a window
        assert len(await slow[0].read()) == 600 * 65536


def test_a_connection_that_its_app_resets_ends_alone(bus_server: BusServer) -> None:
    """A reset is passed on and ends no other connection; under uvloop, as in containers."""
    reset = struct.pack("ii", 1, 0)

    async def half_close_and_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()

    async def connected() -> None:
        async with published(bus_server, half_close_and_reset) as node, asyncio.timeout(30):
            for _ in range(2):
                async with node.connection() as ends:
                    assert ends is not None
                    reader, writer = ends
                    assert await reader.read() == b""
                    with pytest.raises(ConnectionError):
                        while True:
                            writer.write(b"x")
                            await writer.drain()
                            await asyncio.sleep(0.02)
            assert not node.agent.done()

    uvloop.run(connected())


async def test_what_a_dead_end_had_open_is_reset_by_the_other(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiplexer, "ALIVE_EVERY_S", 0.2)
    monkeypatch.setattr(multiplexer, "SILENT_S", 2.0)
    came = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            assert await reader.read(1) == b"x"
            await reader.read()
        came.set()
        writer.close()

    async with published(bus_server, wait) as node, asyncio.timeout(30), node.connection() as ends:
        assert ends is not None
        ends[1].write(b"x")
        with pytest.raises(TimeoutError):  # a quiet one stays
            async with asyncio.timeout(4):
                await ends[0].read()
        node.agent.cancel()
        await came.wait()
        assert await ends[0].read() == b""
