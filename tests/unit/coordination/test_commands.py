"""Commands are sent until the bus confirms them, and replayed by who takes over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import Timeline
from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.codec import unpack
from wotemu_runtime.control.live_changes import Crash
from wotemu_runtime.coordination.command_log import CommandLog
from wotemu_runtime.coordination.command_sender import BUS_AWAY_DEADLINE_S, CommandSender
from wotemu_runtime.coordination.live_timeline import Insertion
from wotemu_runtime.testing import MemoryBus, on_jumping_clock

STREAMS = Streams("test")


async def sent(bus: MemoryBus) -> list[dict[str, Any]]:
    return [unpack(fields) for _, fields in await bus.xrange(STREAMS.commands)]


@on_jumping_clock
async def test_a_command_is_sent_once_the_bus_is_back() -> None:
    bus = MemoryBus()
    bus.is_away = True
    asyncio.get_running_loop().call_later(30, setattr, bus, "is_away", False)
    await CommandSender(bus.client, STREAMS).send(command="t0", t0=5.0)
    assert asyncio.get_running_loop().time() == pytest.approx(30, abs=0.5)
    (command,) = await sent(bus)
    assert (command["command"], command["t0"]) == ("t0", 5.0)


@on_jumping_clock
async def test_a_bus_that_stays_away_is_an_error() -> None:
    bus = MemoryBus()
    bus.is_away = True
    with pytest.raises(EmulationError, match="it does not answer: it is away"):
        await CommandSender(bus.client, STREAMS).send(command="stop")
    assert asyncio.get_running_loop().time() == pytest.approx(BUS_AWAY_DEADLINE_S)


@on_jumping_clock
async def test_each_command_has_an_id_of_its_own() -> None:
    bus = MemoryBus()
    sender = CommandSender(bus.client, STREAMS)
    await sender.send(command="stop")
    await sender.send(command="stop")
    assert len({command["id"] for command in await sent(bus)}) == 2


@on_jumping_clock
async def test_the_log_has_the_timeline_t0_the_guards_and_the_end() -> None:
    bus, timeline = MemoryBus(), Timeline(seed=1, duration_s=60.0, phases=(), changes=())
    sender = CommandSender(bus.client, STREAMS)
    assert await CommandLog.read(bus.client, STREAMS) == CommandLog()
    await sender.send(command="timeline", timeline=timeline.to_dict())
    await sender.send(command="t0", t0=5.0)
    await sender.send(command="changes", guard=3, at_s=2.5, t=7.5, changes=[], drop=[])
    by_hand = Insertion(3.5, change=Crash(targets="cam-1"), who="me")
    await sender.send(command="changes", **by_hand.to_dict(), t=8.5, changes=[], drop=[])
    await sender.send(command="changes", guard=1, at_s=4.0, t=9.0, changes=[], drop=[])
    log = await CommandLog.read(bus.client, STREAMS)
    inserted = (Insertion(2.5, guard=3), by_hand, Insertion(4.0, guard=1))
    assert log == CommandLog(timeline.hash, 5.0, inserted, stopped=False), "in the order of the stream"


def test_a_command_that_the_bus_stored_twice_counts_once() -> None:
    command = {"command": "changes", "id": "a", **Insertion(2.5, guard=3).to_dict()}
    assert CommandLog.replay([command, command]).insertions == (Insertion(2.5, guard=3),)


@pytest.mark.parametrize("command", ["stop", "mute"])
def test_a_run_that_was_sent_its_end_is_stopped(command: str) -> None:
    assert CommandLog.replay([{"command": command}]).stopped
