"""The control protocol over the event bus: the same requests, with no socket between the two ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from tests.engine.conftest import BusServer
from tests.unit.control.test_socket import STATUS, Asked
from wotemu.errors import InputError, NotRunningError
from wotemu_runtime.bus import Streams, connect
from wotemu_runtime.control import bus_transport
from wotemu_runtime.control.bus_transport import serve_over_bus
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.live_changes import SetConditions
from wotemu_runtime.control.requests import Exited, Printed
from wotemu_runtime.control.server import serve_connection

STREAMS = Streams("field")


@asynccontextmanager
async def served(bus_server: BusServer, run: Asked) -> AsyncIterator[ControlClient]:
    """A client of the run, whose two ends have a connection to the bus each."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: str) -> None:
        await serve_connection(run, reader, writer, lambda: who)

    async with (
        aclosing(await connect(bus_server.address, 10)) as ours,
        aclosing(await connect(bus_server.address, 10)) as theirs,
    ):
        serving = asyncio.create_task(serve_over_bus(ours, STREAMS, serve))
        try:
            yield ControlClient.on_bus("field", theirs, "ada@laptop")
        finally:
            serving.cancel()
            await asyncio.wait([serving])
        left = [key async for key in theirs.scan_iter("wotemu:field:control:*")]
        assert -1 not in [await theirs.ttl(key) for key in left], "nothing stays for ever"


async def test_requests_are_answered_and_events_followed(bus_server: BusServer) -> None:
    run, change = Asked(), SetConditions.of("cam@field", latency="300ms")
    async with served(bus_server, run) as client:
        assert await client.status() == STATUS
        assert (await client.change(change)).text == change.text
        assert run.changes == [(change, "ada@laptop")]
        async with aclosing(client.events(after=7)) as events:
            numbers = [(await anext(events)).number for _ in range(500)]
        assert numbers == list(range(8, 508))
        async with asyncio.timeout(10):
            await run.left.wait()


async def test_commands_take_input_and_what_is_wrong_is_raised(bus_server: BusServer) -> None:
    async with served(bus_server, Asked()) as client:
        async with client.execute("cam", ["cat"]) as command:
            await command.write(b"x" * 200_000)
            await command.end_input()
            found = [each async for each in command.output()]
        printed = b"".join(each.data for each in found if isinstance(each, Printed))
        assert (printed, found[-1]) == (b"x" * 200_000, Exited(3))
        async with client.execute("dog", ["cat"]) as command:
            with pytest.raises(InputError, match="there is no node 'dog'"):
                await anext(command.output())


async def test_a_run_without_a_coordinator_is_said_not_to_run(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wotemu_runtime.control.bus_transport.ANSWERS_S", 0.3)
    monkeypatch.setattr("wotemu_runtime.control.bus_transport.CLOSES_S", 0.3)
    async with aclosing(await connect(bus_server.address, 10)) as client:
        with pytest.raises(NotRunningError, match="field: no coordinator answers over its bus"):
            await ControlClient.on_bus("field", client, "ada@laptop").status()


async def test_a_follower_hears_that_the_coordinator_died(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies without a word: nothing is sent, and its connections are not closed."""
    for name, value in {"ALIVE_EVERY_S": 0.1, "SILENT_S": 1.0, "CLOSES_S": 0.3}.items():
        monkeypatch.setattr(f"wotemu_runtime.control.bus_transport.{name}", value)
    silent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: str) -> None:
        await silent.wait()

    async with (
        aclosing(await connect(bus_server.address, 10)) as ours,
        aclosing(await connect(bus_server.address, 10)) as theirs,
    ):
        serving = asyncio.create_task(serve_over_bus(ours, STREAMS, serve))
        following = asyncio.create_task(anext(ControlClient.on_bus("field", theirs, "ada").events()))
        done, _ = await asyncio.wait([following], timeout=2.5)
        assert not done, "while it lives, its silence is no end"
        add = bus_transport._add

        async def of_the_living(client: Any, stream: str, **fields: Any) -> None:
            if client is not ours:
                await add(client, stream, **fields)

        monkeypatch.setattr(bus_transport, "_add", of_the_living)
        with pytest.raises(NotRunningError, match="field: its coordinator does not answer any more"):
            async with asyncio.timeout(20):
                await following
        serving.cancel()
        await asyncio.wait([serving])
