"""A run's guards listen to records and publish what is different once one fires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenario.deployment import FIELD, READER, TOPOLOGY
from wotemu import records
from wotemu.errors import EmulationError
from wotemu.records import Record
from wotemu.scenario import Resolver, Scenario, at, event, metric, when
from wotemu.scenario.timeline import Change
from wotemu.scenario.vocabulary.actions import Action
from wotemu_runtime.coordination.guards import Guards
from wotemu_runtime.coordination.live_timeline import LiveTimeline

T0 = 1_000_000.0


class Desk:
    """What a coordinator would hear, and its clock, which stands still until it is set."""

    def __init__(self, *events: Action) -> None:
        self.now = T0
        self.commands: list[dict[str, Any]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.timeline = LiveTimeline(Resolver(TOPOLOGY, Scenario(events=events)))
        self.guards = Guards(self.timeline, lambda: self.now)

    def _tell(self, kind: str, message: str, **data: Any) -> None:
        self.told.append((kind, data))

    async def command(self, **command: Any) -> None:
        self.commands.append(command)

    async def at(self, at_s: float, make: Callable[..., Record], *rows: list[Any]) -> None:
        """Records come in at a moment, and the watch gets its turn."""
        self.now = T0 + at_s
        self.guards.take([make(T0 + at_s, *row) for row in rows])
        await self.guards.decide()

    async def watch(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.guards.run(T0, self.command, self._tell))
        await asyncio.sleep(0)
        return task


CRASH = when(metric("reader.delay") > 2).do(at("1s").set(FIELD, "up", loss="9%"))


async def test_the_roles_hear_what_is_different() -> None:
    desk = Desk(at(5).set(FIELD, "up", latency="1s"), CRASH, at(30).set(FIELD, "up", latency="2s"))
    task = await desk.watch()
    await desk.at(10, records.App, ["reader", "delay", 1.0])
    assert desk.commands == []
    await desk.at(12, records.App, ["reader", "delay", 3.0])
    (command,) = desk.commands
    assert command["command"] == "changes"
    assert command["t"] == T0 + 12
    assert command["drop"] == []
    new, later = (Change(**change) for change in command["changes"])
    assert (new.at_s, new.after["loss"], new.after["latency_s"]) == (13.0, 0.09, 1.0)
    assert (later.at_s, later.after["loss"], later.after["latency_s"]) == (30.0, 0.09, 2.0)
    assert [change.at_s for change in desk.timeline.current.changes] == [5.0, 13.0, 30.0]
    assert desk.told == [("guard.fired", {"id": 0, "at_s": 12.0})]
    await task


async def test_several_guards_fire_one_after_another() -> None:
    desk = Desk(CRASH, when(event("app.crashed")).do(at(0).restart(READER)))
    task = await desk.watch()
    await desk.at(3, records.Event, ["app.crashed", "agent:reader", "", {}])
    await desk.at(6, records.App, ["reader", "delay", 3.0])
    assert [command["t"] - T0 for command in desk.commands] == [3.0, 6.0]
    assert [guard.fired_s for guard in desk.timeline.current.guards] == [6.0, 3.0]
    await task


async def test_what_came_before_t0_counts_for_events() -> None:
    desk = Desk(when(event("app.ready")).do(at(0).heal()))
    desk.guards.take([records.Event(T0 - 1, "app.ready", "agent:reader", "", {})])
    await (await desk.watch())
    assert [kind for kind, _ in desk.told] == ["guard.fired"]


async def test_a_deadline_that_fails_the_run_raises() -> None:
    desk = Desk(when(metric("reader.delay") > 2).do(at(0).heal(), within="20s", otherwise="fail"))
    task = await desk.watch()
    desk.now = T0 + 20
    with pytest.raises(EmulationError, match=r"not within 20 s: reader\.delay > 2"):
        await desk.guards.decide()
    task.cancel()


async def test_a_skipped_guard_is_told() -> None:
    desk = Desk(when(metric("reader.delay") > 2).do(at(0).heal(), within="20s"))
    task = await desk.watch()
    desk.now = T0 + 20
    await desk.guards.decide()
    assert desk.told == [("guard.skipped", {"id": 0})]
    assert desk.commands == []
    task.cancel()


async def test_the_watch_wakes_by_itself_at_a_deadline() -> None:
    desk = Desk(when(metric("reader.delay") > 2).do(at(0).heal(), within="20s", otherwise="fire"))
    desk.now = T0 + 19.99
    task = await desk.watch()
    desk.now = T0 + 20
    async with asyncio.timeout(5):
        await task
    assert [kind for kind, _ in desk.told] == ["guard.fired"]
