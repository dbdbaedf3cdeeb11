"""What several callers add to the bus at once goes in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from wotemu_runtime.bus.client import BusClient


class FakeConnection:
    """Takes commands, and answers them once it may."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def get_connection(self) -> FakeConnection:
        return self

    async def release(self, connection: FakeConnection) -> None:
        assert connection is self

    async def send_packed_command(self, packed: Sequence[bytes]) -> None:
        self.sent.append(list(packed))

    async def read_responses(self, count: int) -> None:
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error


def start(client: BusClient, name: str) -> asyncio.Task[None]:
    return asyncio.create_task(client.add_entries([(name, {b"k": b"v"})]))


def streams(commands: list[bytes]) -> list[str]:
    return [command.split(b"\r\n")[4].decode() for command in commands]


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


@pytest.fixture
def client(connection: FakeConnection) -> BusClient:
    pool: Any = connection
    made = BusClient()
    made.connection_pool = pool
    return made


async def test_what_comes_while_one_waits_for_its_answer_is_sent_together(
    client: BusClient, connection: FakeConnection
) -> None:
    adding = [start(client, "a")]
    await asyncio.sleep(0)
    adding += [start(client, name) for name in ("b", "c")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in adding)
    connection.may_answer.set()
    await asyncio.gather(*adding)
    assert [streams(commands) for commands in connection.sent] == [["a"], ["b", "c"]]


async def test_an_error_is_that_of_all_whose_entries_were_sent_together(
    client: BusClient, connection: FakeConnection
) -> None:
    connection.error = RedisConnectionError("gone")
    first = start(client, "a")
    await asyncio.sleep(0)
    others = [start(client, name) for name in ("b", "c")]
    await asyncio.sleep(0)
    connection.may_answer.set()
    assert await asyncio.gather(first, *others, return_exceptions=True) == [connection.error] * 3
    connection.error = None
    await start(client, "d")
    assert streams(connection.sent[-1]) == ["d"]


async def test_one_that_is_cancelled_leaves_no_other_without_an_answer(
    client: BusClient, connection: FakeConnection
) -> None:
    first = start(client, "a")
    await asyncio.sleep(0)
    sender, other = start(client, "b"), start(client, "c")
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.sleep(0)
    assert streams(connection.sent[-1]) == ["b", "c"]
    sender.cancel()
    with pytest.raises(RedisConnectionError, match="given up"):
        await other
