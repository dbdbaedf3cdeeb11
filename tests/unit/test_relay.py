"""A Unix socket that is relayed to a socket made elsewhere."""

from __future__ import annotations

import asyncio
import socket

import pytest

from wotemu_runtime.agent.relay import relayed


async def test_bytes_pass_both_ways_until_one_side_closes() -> None:
    there: asyncio.Queue[socket.socket] = asyncio.Queue()

    async def connect() -> socket.socket:
        ours, theirs = socket.socketpair()
        there.put_nowait(theirs)
        ours.setblocking(False)
        return ours

    async with relayed("\0wotemu-test-relay", connect):
        reader, writer = await asyncio.open_unix_connection("\0wotemu-test-relay")
        writer.write(b"ping" * 100_000)
        there_reader, there_writer = await asyncio.open_connection(sock=await there.get())
        assert await there_reader.readexactly(400_000) == b"ping" * 100_000
        there_writer.write(b"pong")
        assert await reader.readexactly(4) == b"pong"
        there_writer.close()
        assert await reader.read() == b""
        writer.close()
    with pytest.raises(OSError):
        await asyncio.open_unix_connection("\0wotemu-test-relay")


async def test_a_connection_is_closed_where_the_other_side_can_not_be_made() -> None:
    async def refuse() -> socket.socket:
        raise ConnectionRefusedError

    async with relayed("\0wotemu-test-refused", refuse):
        reader, writer = await asyncio.open_unix_connection("\0wotemu-test-refused")
        assert await reader.read() == b""
        writer.close()


async def test_leaving_closes_what_is_relayed() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def connect() -> socket.socket:
        return ours

    async with relayed("\0wotemu-test-leaving", connect):
        reader, writer = await asyncio.open_unix_connection("\0wotemu-test-leaving")
        theirs.send(b"x")
        assert await reader.readexactly(1) == b"x"
    assert await reader.read() == b""
    assert theirs.recv(1) == b""
    writer.close()
    theirs.close()
