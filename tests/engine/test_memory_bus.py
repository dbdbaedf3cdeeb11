"""The bus in memory that unit tests use answers as a real server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError

from tests.engine.conftest import BusServer
from wotemu_runtime.bus import connect
from wotemu_runtime.testing import MemoryBus

FIRST = b"0-0"


@pytest.fixture(params=["real", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    if request.param == "memory":
        yield MemoryBus().client
        return
    server: BusServer = request.getfixturevalue("bus_server")
    client = await connect(server.address)
    yield client
    await client.aclose()


def entry(number: int) -> Any:
    return {b"m": b"%d" % number}


def contents(answer: Any) -> dict[bytes, list[list[Any]]]:
    """An answer to XREAD without its ids."""
    return {
        name: [[fields for _, fields in part] for part in parts] for name, parts in (answer or {}).items()
    }


async def test_streams_are_read_after_positions_in_parts_and_in_order(client: Redis) -> None:
    streams: Any = {"a": FIRST, "b": FIRST, "c": FIRST}
    assert contents(await client.xread(streams, count=9, block=1)) == {}
    ids = [await client.xadd("a", entry(number)) for number in range(3)]
    await client.xadd("b", entry(3))
    assert contents(await client.xread(streams, count=2, block=1)) == {
        b"a": [[entry(0), entry(1)]],
        b"b": [[entry(3)]],
    }
    streams["a"] = ids[1]
    assert contents(await client.xread(streams, count=2, block=1))[b"a"] == [[entry(2)]]
    found: Any = await client.xrange("a")
    assert [(key, dict(fields)) for key, fields in found] == [(key, entry(n)) for n, key in enumerate(ids)]
    assert await client.xrange("none") == []


async def test_who_waits_for_a_stream_is_woken_by_what_comes(client: Redis) -> None:
    async def read() -> Any:
        return await client.xread({"a": FIRST, "b": FIRST}, count=9, block=4000)

    waiting = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    await client.xadd("b", entry(1))
    async with asyncio.timeout(2):
        assert contents(await waiting) == {b"b": [[entry(1)]]}


async def test_a_pipeline_trims_exactly_and_keeps_counts(client: Redis) -> None:
    ids: list[Any] = [await client.xadd("a", entry(number)) for number in range(4)]
    pipe = client.pipeline(transaction=True)
    pipe.xtrim("a", minid=ids[2].decode(), approximate=False)
    pipe.hset("counts", mapping={"app": "5", "events": "6"})
    pipe.hset("counts", mapping={"app": "7"})
    assert await pipe.execute() == [2, 2, 0]
    found: Any = await client.xrange("a")
    assert [key for key, _ in found] == ids[2:]
    assert await client.hgetall("counts") == {b"app": b"7", b"events": b"6"}
    assert await client.hgetall("none") == {}


async def test_values_are_bytes_and_are_there_until_they_expire(client: Redis) -> None:
    assert await client.get("card") is None
    assert await client.set("card", "text") is True
    assert await client.set("card", "other", nx=True) is None
    assert await client.get("card") == b"text"
    assert await client.set("lease", b"mine", nx=True, px=60) is True
    assert await client.get("lease") == b"mine"
    await asyncio.sleep(0.2)
    assert await client.get("lease") is None
    assert await client.set("lease", b"theirs", nx=True, px=60_000) is True


async def test_what_exists_is_what_has_something(client: Redis) -> None:
    await client.xadd("stream", entry(1))
    await client.set("value", "x")
    await client.hset("hash", mapping={"a": "1"})
    assert [await client.exists(name) for name in ("stream", "value", "hash", "none")] == [1, 1, 1, 0]


async def test_a_lock_is_its_owners_who_alone_may_renew_and_release_it(client: Redis) -> None:
    mine, theirs = (Lock(client, "lock", timeout=0.3, thread_local=False) for _ in range(2))
    assert await mine.acquire(blocking=False, token="mine")
    assert not await theirs.acquire(blocking=False, token="theirs")
    for refused in (theirs.reacquire, theirs.release):
        theirs.local.token = b"theirs"
        with pytest.raises(LockError):
            await refused()
    for _ in range(3):
        await asyncio.sleep(0.15)
        assert await mine.reacquire()
    await mine.release()
    assert await theirs.acquire(blocking=False, token="theirs")
    mine.local.token = b"mine"
    with pytest.raises(LockError):
        await mine.reacquire()
    await asyncio.sleep(0.5)
    assert await mine.acquire(blocking=False, token="mine")
