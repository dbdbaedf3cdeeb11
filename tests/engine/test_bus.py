"""The bus loses nothing that it could keep, and counts the rest."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis, UnixDomainSocketConnection
from redis.exceptions import RedisError

from tests.engine.conftest import BusServer
from wotemu.errors import EmulationError
from wotemu.records import App, Event
from wotemu_runtime.bus import BusAddress, Consumer, Publisher, Streams, connect, decode_batch
from wotemu_runtime.bus import publisher as publishing
from wotemu_runtime.bus.codec import encode_batch
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.retention import trim

STREAMS = Streams("test")


def metric(number: int) -> App:
    return App(float(number), "node", "key", float(number))


async def read_all(client: Redis, stream: str) -> list[list[object]]:
    entries: Any = await client.xrange(stream)
    return [row for _, fields in entries for row in decode_batch(fields)[1]]


async def test_records_arrive_in_order_in_batches(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)
    publisher = Publisher(client, STREAMS, "agent:node", time.time)
    publisher.put(*(metric(number) for number in range(600)))
    await publisher.flush()
    assert [row[0] for row in await read_all(client, STREAMS.metrics("app"))] == list(map(float, range(600)))
    assert await client.xlen(STREAMS.metrics("app")) == 3  # 256 + 256 + 88
    await client.aclose()


async def test_an_event_is_one_entry_and_goes_at_once(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)
    publisher = Publisher(client, STREAMS, "agent:node", time.time)
    consumer = Consumer(client, [STREAMS.events])
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        publisher.put(
            Event(1.0, "app.ready", "agent:node", "up"), Event(2.0, "app.ready", "agent:node", "up")
        )
        kinds: list[str] = []
        async for entries in consumer.batches():
            kinds += [decode_batch(fields)[1][0][1] for _, _, fields in entries]
            if len(kinds) == 2:
                break
        publisher.close()
    assert await client.xlen(STREAMS.events) == 2
    await client.aclose()


async def test_what_can_not_be_sent_is_kept_and_sent_when_the_bus_is_back(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)
    publisher = Publisher(client, STREAMS, "agent:node", time.time)
    bus_server.stop()
    publisher.put(metric(1), metric(2))
    with pytest.raises(RedisError):
        await publisher.flush()
    bus_server.start()
    again = await connect(bus_server.address)
    await publisher.flush()
    assert [row[0] for row in await read_all(again, STREAMS.metrics("app"))] == [1.0, 2.0]
    await again.aclose()
    await client.aclose()


async def test_what_the_buffer_can_not_keep_is_counted(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MAX_KEPT", 10)
    monkeypatch.setattr(publishing, "MAX_BATCH", 10)
    client = await connect(bus_server.address)
    publisher = Publisher(client, STREAMS, "agent:node", time.time)
    publisher.put(*(metric(number) for number in range(25)))
    await publisher.flush()
    assert [row[0] for row in await read_all(client, STREAMS.metrics("app"))] == [
        float(n) for n in range(15, 25)
    ]
    (lost,) = await read_all(client, STREAMS.events)
    assert (lost[1], lost[4]) == ("records.lost", {"what": "app", "count": 15, "table": "app"})
    await client.aclose()


async def test_a_consumer_resumes_after_the_last_entry(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)
    stream = STREAMS.metrics("app")
    consumer = Consumer(client, [stream])
    assert consumer.positions == {}
    batches = consumer.batches(block_ms=50)
    for number in range(3):
        await client.xadd(stream, encode_batch("app", [[number]]))  # type: ignore[arg-type]
        entries = await anext(batches)
        assert [decode_batch(fields)[1] for _, _, fields in entries] == [[[number]]]
    assert await anext(batches) == []
    await client.xadd(stream, encode_batch("app", [[3]]))  # type: ignore[arg-type]
    another = await anext(Consumer(client, [stream], consumer.positions).batches(block_ms=50))
    assert [decode_batch(fields)[1] for _, _, fields in another] == [[[3]]]
    await client.aclose()


async def test_another_schema_is_refused_by_name(bus_server: BusServer) -> None:
    from wotemu_runtime.bus.codec import pack

    with pytest.raises(EmulationError, match="another version of WoTemu: records of schema 99"):
        decode_batch(pack([99, "app", []]))


async def test_nobody_speaks_to_the_bus_without_its_password(bus_server: BusServer) -> None:
    (await (await connect(bus_server.address)).aclose())
    with pytest.raises(EmulationError, match="refuses the password"):
        async with asyncio.timeout(10):  # at once, and not when the deadline has passed
            await connect(BusAddress("wrong", path=bus_server.address.path), deadline_s=1000)


def test_the_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(BusAddress("secret", path="/x"))


async def test_a_reader_that_is_cancelled_ends_whenever_that_is(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)

    async def read() -> None:
        async for _ in Consumer(client, [STREAMS.events]).batches(block_ms=20):
            pass

    for turn in range(20):
        readers = [asyncio.create_task(read()) for _ in range(20)]
        for _ in range(20 + turn):
            await asyncio.sleep(0)  # each turn cancels at another point of connecting, sending and reading
        for reader in readers:
            reader.cancel()
        _, running = await asyncio.wait(readers, timeout=5)
        assert not running
    await client.aclose()


async def test_a_task_that_trims_in_a_pipeline_ends_when_it_is_cancelled(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)
    recorded = Checkpoint(run="x", positions={STREAMS.events: "1-0"}, taken={"events": 1})

    async def forget() -> None:
        while True:
            await trim(client, STREAMS, recorded)

    for turn in range(20):
        tasks = [asyncio.create_task(forget()) for _ in range(10)]
        for _ in range(20 + turn):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        _, running = await asyncio.wait(tasks, timeout=5)
        assert not running
    await client.aclose()


async def test_a_pipeline_on_a_connection_that_uvloop_closed_fails_as_redis_does(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop raises `RuntimeError` where a transport was closed in that moment; the recorder goes on then."""
    client = await connect(bus_server.address)
    recorded = Checkpoint(run="x", positions={STREAMS.events: "1-0"}, taken={"events": 1})

    async def closed(*_: object) -> None:
        raise RuntimeError(
            "unable to perform operation on <UnixTransport closed=True>; the handler is closed"
        )

    monkeypatch.setattr(UnixDomainSocketConnection, "_send_packed_command", closed)
    with pytest.raises(RedisError, match="the handler is closed"):
        await trim(client, STREAMS, recorded)
    with pytest.raises(RedisError, match="the handler is closed"):
        await client.ping()
    monkeypatch.undo()
    assert await client.ping()
    await client.aclose()
