"""How a role follows its timeline, hears commands and counts what it sent, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from wotemu.records import App, Event, Host
from wotemu.scenario.timeline import Change, Timeline
from wotemu_runtime.bus import Streams, decode_batch
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.container_environment import HOST_VARIABLE
from wotemu_runtime.roles.role import Role, running
from wotemu_runtime.testing import EPOCH_S, MemoryBus, make_role, on_jumping_clock
from wotemu_runtime.testing.fake_engine import ADDRESS

STREAMS = Streams("test")


def change(number: int, at_s: float, after: str = "running", node: str = "cam") -> Change:
    return Change(number, at_s, "app", None, node, None, "running", after)


def timeline(*changes: Change) -> dict[str, Any]:
    return Timeline(0, 600.0, (), changes).to_dict()


@attrs.define
class Following:
    """A role that notes what it applied, and when (seconds on the loop's clock)."""

    role: Role
    bus: MemoryBus
    applied: list[tuple[float, int]] = attrs.field(factory=list)

    def apply(self, due: Change) -> None:
        self.applied.append((round(asyncio.get_running_loop().time(), 3), due.id))

    async def command(self, command: str, command_id: str = "", **data: Any) -> None:
        await self.bus.xadd(STREAMS.commands, pack({"command": command, "id": command_id or command, **data}))


@asynccontextmanager
async def following(bus: MemoryBus, **data: Any) -> AsyncIterator[Following]:
    role = make_role(bus, "agent:cam", data)
    this = Following(role, bus)
    async with running(role) as group:
        task = group.create_task(role.changes.follow(this.apply))
        yield this
        await this.command("stop")
        task.cancel()


async def events(bus: MemoryBus) -> list[Event]:
    return [Event(*decode_batch(fields)[1][0]) for _, fields in await bus.xrange(STREAMS.events)]


@on_jumping_clock
async def test_nothing_is_applied_before_t0_is_known_and_all_of_it_by_its_own_clock_afterwards() -> None:
    async with following(MemoryBus()) as one:
        await one.command("timeline", timeline=timeline(change(1, 10), change(2, 599), change(3, 20)))
        await asyncio.sleep(30)
        assert one.applied == []
        await one.command("t0", t0=EPOCH_S + 31)
        await asyncio.sleep(1)
        one.bus.is_away = True  # the bus delays nothing
        await asyncio.sleep(620)
        one.bus.is_away = False
    assert one.applied == [(41, 1), (51, 3), (630, 2)]


@on_jumping_clock
async def test_a_role_follows_only_its_own_changes() -> None:
    async with following(MemoryBus()) as one:
        await one.command("timeline", timeline=timeline(change(1, 1), change(2, 2, node="hub")))
        await one.command("t0", t0=EPOCH_S)
        await asyncio.sleep(5)
    assert [number for _, number in one.applied] == [1]


@on_jumping_clock
async def test_a_role_that_takes_part_in_a_gateways_changes_leaves_the_answer_to_the_gateway() -> None:
    ours, others = (
        Change(number, number, "disconnect", "field", node, None, False, True)
        for number, node in ((1, "cam"), (2, "hub"))
    )
    async with following(MemoryBus(), takes_part_in=["disconnect"]) as one:
        await one.command("timeline", timeline=timeline(ours, others, change(3, 3)))
        await one.command("t0", t0=EPOCH_S)
        await asyncio.sleep(5)
    assert [number for _, number in one.applied] == [1, 3]
    answered = [event.data["id"] for event in await events(one.bus) if event.kind == "change.applied"]
    assert answered == [3]
    async with following(MemoryBus()) as one:
        await one.command("timeline", timeline=timeline(ours))
        await one.command("t0", t0=EPOCH_S)
        await asyncio.sleep(5)
    assert one.applied == []


@on_jumping_clock
async def test_changes_that_a_guard_adds_moves_or_drops_are_heeded_while_the_role_waits() -> None:
    async with following(MemoryBus()) as one:
        await one.command("timeline", timeline=timeline(change(1, 100), change(2, 200), change(3, 300)))
        await one.command("t0", t0=EPOCH_S)
        await asyncio.sleep(50)
        changes = [attrs.asdict(each) for each in (change(2, 60), change(9, 70), change(8, 80, node="hub"))]
        await one.command("changes", changes=changes, drop=[3], guard=0, at_s=50.0)
        await asyncio.sleep(300)
    assert one.applied == [(60, 2), (70, 9), (100, 1)]


@on_jumping_clock
async def test_a_command_that_comes_twice_is_taken_once_and_t0_is_never_moved() -> None:
    async with following(MemoryBus()) as one:
        await one.command("timeline", timeline=timeline(change(1, 10)))
        await one.command("t0", t0=EPOCH_S)
        await asyncio.sleep(20)
        await one.command("timeline", timeline=timeline(change(1, 10)))
        await one.command("t0", "another", t0=EPOCH_S + 100)
        await asyncio.sleep(200)
    assert one.applied == [(10, 1)]
    assert one.role.t0.result() == EPOCH_S


@on_jumping_clock
async def test_a_role_ends_when_it_is_told_to_and_says_how_many_records_it_sent() -> None:
    bus = MemoryBus()
    async with following(bus) as one:
        await asyncio.sleep(1)
        one.role.ready()
        for number in range(600):
            one.role.publisher.put(App(EPOCH_S, "cam", "k", float(number)))
    done = (await events(bus))[-1]
    assert (done.kind, done.data["records"]) == ("role.done", {"events": 2, "app": 600})


@on_jumping_clock
async def test_gateways_go_on_when_only_the_others_are_to_stop() -> None:
    bus = MemoryBus()
    gateway, agent = make_role(bus, "gateway:field"), make_role(bus, "agent:cam")
    async with running(gateway), running(agent):
        await bus.xadd(STREAMS.commands, pack({"command": "stop", "id": "1", "but": ["gateway:"]}))
        await asyncio.sleep(5)
        assert (gateway.stopping.is_set(), agent.stopping.is_set()) == (False, True)
        await bus.xadd(STREAMS.commands, pack({"command": "stop", "id": "2"}))


@on_jumping_clock
async def test_a_muted_role_goes_on_says_so_after_its_last_record_and_records_nothing_more() -> None:
    bus = MemoryBus()
    async with following(bus) as one:
        one.role.publisher.put(App(EPOCH_S, "cam", "k", 1.0))
        await one.command("mute")
        await asyncio.sleep(5)
        assert not one.role.stopping.is_set()
        one.role.publisher.put(App(EPOCH_S, "cam", "k", 2.0))
    kinds = [event.kind for event in await events(bus)]
    assert kinds == ["role.muted"]
    assert len(await bus.xrange(STREAMS.metrics("app"))) == 1


@on_jumping_clock
async def test_what_was_due_before_a_role_came_is_taken_at_once_and_only_the_rest_is_followed() -> None:
    bus = MemoryBus()
    await bus.xadd(
        STREAMS.commands,
        pack(
            {
                "command": "timeline",
                "id": "1",
                "timeline": timeline(change(1, 5), change(2, 8), change(3, 90)),
            }
        ),
    )
    await bus.xadd(STREAMS.commands, pack({"command": "t0", "id": "2", "t0": EPOCH_S}))
    await asyncio.sleep(50)
    role = make_role(bus, "agent:cam")
    async with running(role):
        await role.session.commands.caught_up.wait()
        missed = role.changes.pop_overdue()
        assert [each.id for each in missed] == [1, 2]
        assert role.changes.pop_overdue() == []
        role.changes.report_overdue(missed)
        await bus.xadd(STREAMS.commands, pack({"command": "stop", "id": "3"}))
    (took_over,) = [event for event in await events(bus) if event.kind == "role.took_over"]
    assert took_over.data["changes"] == 2


@on_jumping_clock
async def test_roles_of_one_process_share_a_session_and_each_follows_its_own_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "edge-1")
    bus = MemoryBus()
    session = make_role(bus, "agent:cam").session
    cam, hub = (
        Role(Assignment(name=name, stack="test", bus=ADDRESS, data={}), session)
        for name in ("agent:cam", "agent:hub")
    )
    applied: list[tuple[str, int]] = []
    async with running(cam, hub) as group:
        following = [
            group.create_task(cam.changes.follow(lambda due: applied.append(("cam", due.id)))),
            group.create_task(hub.changes.follow(lambda due: applied.append(("hub", due.id)))),
        ]
        commands: list[dict[str, Any]] = [
            {"command": "timeline", "timeline": timeline(change(1, 5), change(2, 6, node="hub"))},
            {"command": "t0", "t0": EPOCH_S},
        ]
        for command in commands:
            await bus.xadd(STREAMS.commands, pack({"id": command["command"], **command}))
        await asyncio.sleep(10.5)
        await bus.xadd(STREAMS.commands, pack({"command": "stop", "id": "stop"}))
        for task in following:
            task.cancel()
    assert applied == [("cam", 1), ("hub", 2)]
    done = [event.source for event in await events(bus) if event.kind == "role.done"]
    assert sorted(done) == ["agent:cam", "agent:hub"]
    samples = [decode_batch(fields)[1] for _, fields in await bus.xrange(STREAMS.metrics(Host.TABLE))]
    assert sum(map(len, samples)) == 10, "one host report for both"
