"""Each record counts once, under the name of who was the role then; what never came is counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.engine.conftest import BusServer
from wotemu.records import App, Event, to_row
from wotemu_runtime.bus import (
    Origin,
    Publisher,
    Streams,
    connect,
    decode_batch,
    decode_origin,
)
from wotemu_runtime.bus.client import NewEntry
from wotemu_runtime.recording.deduplication import Accepted, Deduplicator

STREAMS = Streams("test")


def rows(*times: float) -> list[list[Any]]:
    return [[t, "a", "key", 1.0] for t in times]


def event(t: float, kind: str) -> list[list[Any]]:
    return [to_row(Event(t, kind, "agent:a", kind))]


def test_a_batch_that_comes_twice_counts_once() -> None:
    intake = Deduplicator()
    origin = Origin("agent:a", 1.0, 0)
    assert intake.accept("app", rows(1, 2), origin) == Accepted(rows(1, 2))
    assert intake.accept("app", rows(1, 2), origin) == Accepted([])
    assert intake.accept("app", rows(3), Origin("agent:a", 1.0, 2)) == Accepted(rows(3))


def test_what_a_bus_forgot_is_counted_of_each_sender_and_table() -> None:
    intake = Deduplicator()
    intake.accept("app", rows(1), Origin("agent:a", 1.0, 0))
    assert intake.accept("app", rows(9), Origin("agent:a", 1.0, 8)).lost == 7
    assert intake.accept("app", rows(9), Origin("agent:b", 1.0, 3)).lost == 3
    assert intake.accept("system", [[1.0, "a"]], Origin("agent:a", 1.0, 0)).lost == 0


def test_who_takes_over_misses_nothing_that_another_has_read() -> None:
    assert Deduplicator(resumed=True).accept("app", rows(9), Origin("agent:a", 1.0, 8)) == Accepted(rows(9))


def test_a_task_whose_place_another_took_tells_nothing_of_the_time_after() -> None:
    intake = Deduplicator()
    old, new = Origin("agent:a", 1.0, 0), Origin("agent:a", 20.0, 0)
    assert intake.supersede("agent:a", 1.0, 2.0)
    assert intake.supersede("agent:a", 20.0, 25.0)
    assert not intake.supersede("agent:a", 1.0, 30.0), "the place is the later life's"
    assert intake.is_current(new)
    assert not intake.is_current(old)
    assert intake.accept("app", rows(23, 24, 25, 26), old) == Accepted(
        rows(23, 24), superseded=2, is_current=False
    )
    assert intake.accept("events", event(26, "app.exited"), old).rows == []
    losses = event(26, "records.lost")
    assert intake.accept("events", losses, Origin("agent:a", 1.0, 1)).rows == losses, "they are lost anyhow"
    assert intake.accept("app", rows(24, 26), new) == Accepted(rows(24, 26))


async def test_a_publisher_sends_what_was_not_confirmed_again_as_it_was(bus_server: BusServer) -> None:
    """The bus may have it: its reader tells by the number that it is the same."""
    client = await connect(bus_server.address)
    publisher = Publisher(client, STREAMS, "agent:a", time.time)
    intake = Deduplicator()
    publisher.put(*(App(float(number), "a", "key", 0.0) for number in range(3)))
    answered, send = True, client.add_entries

    async def unanswered(entries: Sequence[NewEntry]) -> None:
        await send(entries)
        if not answered:
            raise RedisError("no answer")

    client.add_entries = unanswered  # type: ignore[method-assign]
    answered = False
    with pytest.raises(RedisError):
        await publisher.flush()
    publisher.put(App(3.0, "a", "key", 0.0))
    answered = True
    await publisher.flush()
    assert [len(batch) for batch in await _batches(client)] == [3, 3, 1]
    entries: Any = await client.xrange(STREAMS.metrics("app"))
    admitted = [intake.accept(*decode_batch(entry), decode_origin(entry)) for _, entry in entries]
    assert [row[0] for each in admitted for row in each.rows] == [0.0, 1.0, 2.0, 3.0]
    assert not any(each.lost or each.superseded for each in admitted)
    await client.aclose()


async def _batches(client: Redis) -> list[list[list[Any]]]:
    entries: Any = await client.xrange(STREAMS.metrics("app"))
    return [decode_batch(entry)[1] for _, entry in entries]
