"""When a node's agent starts, ends and measures its app: with a launcher in this loop, on a jumping clock."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from wotemu.records import App, Event, System
from wotemu.records import Change as ChangeRecord
from wotemu.scenario.timeline import Change, Timeline
from wotemu_runtime.agent.faults import Plug
from wotemu_runtime.agent.limit_setting import Limits, LimitSetting
from wotemu_runtime.agent.metric_socket import listen
from wotemu_runtime.agent.namespaces import OwnNamespaces
from wotemu_runtime.agent.node import NodeAgent
from wotemu_runtime.agent.tcp_connections import Socket
from wotemu_runtime.bus import Streams, decode_batch
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.bus.consumer import BLOCK_MS
from wotemu_runtime.roles.role import Role, running
from wotemu_runtime.testing import EPOCH_S, MemoryBus, make_role, on_jumping_clock

from .loop_launcher import LoopLauncher

STREAMS = Streams("test")
SOON_S = 0.001
STARTS_S = BLOCK_MS / 1000
"""Where no command was given yet, a role is informed once the bus has said so."""
DATA: dict[str, Any] = {
    "replica": "cam",
    "kind": "node",
    "port_mqtt": 1883,
    "port_coap": 5683,
    "statsd_port": None,
    "cgroups": (),
    "cpu_limit": None,
    "mem_limit_bytes": None,
    "is_wot": False,
}


class FakeNamespaces(OwnNamespaces):
    """A node whose metric socket has an address of its own, and that drops no frames."""

    def __init__(self) -> None:
        super().__init__()
        self.listening = listen("")  # the kernel chooses an abstract address

    def listen_for_metrics(self) -> socket.socket:
        return self.listening

    def report(self, *packets: dict[str, Any]) -> None:
        """As a program of the node does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as program:
            program.connect(self.listening.getsockname())
            for packet in packets:
                program.send(json.dumps(packet).encode())

    def read_network_file(self, name: str) -> str | None:
        return None

    def throttling_groups(self) -> tuple[str, ...]:
        return ()

    def tcp_sockets(self) -> list[Socket]:
        return []

    def peer_name(self, address: str) -> str | None:
        return address

    def open_request_packets(self, coap_port: int) -> socket.socket:
        raise PermissionError(errno.EPERM, "no packets here")

    def report_dropped_frames(self, role: Role) -> None:
        pass


@attrs.define
class Node:
    """One agent at work, and what is to be seen of it."""

    role: Role
    bus: MemoryBus
    launcher: LoopLauncher
    namespaces: FakeNamespaces

    async def command(self, command: str, **data: Any) -> None:
        await self.bus.xadd(STREAMS.commands, pack({"command": command, "id": command, **data}))

    async def begin(self, t0_s: float, *changes: Change) -> None:
        await self.command("timeline", timeline=Timeline(0, 600.0, (), changes).to_dict())
        await self.command("t0", t0=EPOCH_S + t0_s)

    async def rows(self, table: str) -> list[list[Any]]:
        stream = STREAMS.events if table == Event.TABLE else STREAMS.metrics(table)
        return [row for _, fields in await self.bus.xrange(stream) for row in decode_batch(fields)[1]]

    async def events(self, kind: str) -> list[Event]:
        return [event for row in await self.rows(Event.TABLE) if (event := Event(*row)).kind == kind]


Work = Any


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """An agent that works until the block is left; `before` is what it hears before it starts."""
    monkeypatch.setattr(
        "wotemu_runtime.agent.resource_usage.Sampler.sample",
        lambda sampler, t, **_: [System(t, sampler._replica, 1.0, None, 2, None, 3)],
    )

    @asynccontextmanager
    async def working(
        prepares_s: float | None = None,
        before: tuple[float, *tuple[Change, ...]] | None = None,
        plug: Plug | None = None,
        setting: LimitSetting | None = None,
        **data: Any,
    ) -> AsyncIterator[Node]:
        bus, launcher = MemoryBus(), LoopLauncher(prepares_s)
        role = make_role(bus, "agent:cam", {**DATA, "is_wot": prepares_s is not None, **data})
        node = Node(role, bus, launcher, FakeNamespaces())
        if before is not None:
            await node.begin(*before)
        try:
            async with running(role) as group:
                await role.session.commands.caught_up.wait()
                working = NodeAgent(
                    role, launcher.agents_end, node.namespaces, plug=plug, limit_setting=setting
                )
                agent = group.create_task(working.run(group))
                yield node
                await node.command("stop")
                await agent
        finally:
            launcher.close()

    return working


def change(number: int, at_s: float, after: str) -> Change:
    return Change(number, at_s, "app", None, "cam", None, "running", after)


@on_jumping_clock
async def test_a_command_starts_at_t0_and_its_agent_is_ready_long_before(work: Work) -> None:
    async with work() as node:
        await asyncio.sleep(5)
        assert len(await node.events("role.ready")) == 1
        assert node.launcher.requests == []
        await node.begin(20)
        await asyncio.sleep(30)
        assert node.launcher.requests == [(20.0, "start")]


@on_jumping_clock
async def test_a_wot_app_is_prepared_before_its_agent_is_ready_and_released_at_t0(work: Work) -> None:
    async with work(prepares_s=7) as node:
        await asyncio.sleep(15)
        assert node.launcher.requests == [(STARTS_S, "start")]
        (ready,) = await node.events("role.ready")
        assert ready.t - EPOCH_S == pytest.approx(STARTS_S + 7)
        await node.begin(20)
        await asyncio.sleep(30)
        (started,) = await node.events("app.started")
        assert started.t - EPOCH_S == pytest.approx(20)


@on_jumping_clock
async def test_the_app_is_killed_started_and_stopped_when_the_timeline_says_so(work: Work) -> None:
    async with work() as node:
        await node.begin(1, change(1, 10, "crashed"), change(2, 100, "running"), change(3, 500, "stopped"))
        await asyncio.sleep(590)
    assert node.launcher.requests == [
        (1.0, "start"),
        (11.0, signal.SIGKILL),
        (101.0, signal.SIGKILL),  # what may still run of it
        (101.0, "start"),
        (501.0, signal.SIGTERM),
    ]
    assert [row[0] for row in await node.rows(ChangeRecord.TABLE)] == [1, 2, 3]


@on_jumping_clock
async def test_a_state_that_no_app_can_be_in_is_answered_with_the_reason(work: Work) -> None:
    async with work() as node:
        await node.begin(1, change(1, 10, "asleep"))
        await asyncio.sleep(20)
    (row,) = await node.rows(ChangeRecord.TABLE)
    answer = ChangeRecord(*row)
    assert (answer.ok, answer.error) == (False, "an app can't be 'asleep'")


@on_jumping_clock
async def test_an_agent_in_anothers_place_does_not_start_what_is_stopped_by_then(work: Work) -> None:
    async with work(before=(-50.0, change(1, 10, "stopped"), change(2, 100, "running"))) as node:
        await asyncio.sleep(40)
        assert node.launcher.requests == []
        assert len(await node.events("role.took_over")) == 1
        await asyncio.sleep(20)
        assert node.launcher.requests == [(50.0, signal.SIGKILL), (50.0, "start")]


@on_jumping_clock
async def test_an_agent_in_anothers_place_unplugs_its_node_as_it_is_by_then(work: Work) -> None:
    plugged: list[tuple[float, str, bool]] = []

    def plug(network: str, *, is_in: bool) -> None:
        plugged.append((round(asyncio.get_running_loop().time(), 1), network, is_in))

    def unplugged(number: int, at_s: float, network: str, after: bool) -> Change:
        return Change(number, at_s, "disconnect", network, "cam", None, not after, after)

    changes = [
        unplugged(1, 10, "field", True),
        unplugged(2, 20, "field", False),
        unplugged(3, 30, "field", True),
        unplugged(4, 35, "home", True),
        unplugged(5, 40, "home", False),
        unplugged(6, 100, "field", False),
    ]
    async with work(before=(-50.0, *changes), plug=plug, takes_part_in=["disconnect"]) as node:
        await asyncio.sleep(60)
    assert plugged == [(0.0, "field", False), (50.0, "field", True)]
    assert await node.rows(ChangeRecord.TABLE) == [], "the gateways answer"
    (down,), (up,) = await node.events("interface.down"), await node.events("interface.up")
    assert (down.data["late_s"], up.data["late_s"]) == pytest.approx((20, 0), abs=0.1)


@on_jumping_clock
async def test_a_fault_that_fails_again_does_not_end_an_agent_in_anothers_place(work: Work) -> None:
    limit = Change(1, 10, "limit", None, "cam", None, {}, {"cpu": 0.5, "mem_bytes": None})
    async with work(before=(-50.0, limit)) as node:
        await asyncio.sleep(5)
        (failed,) = await node.events("change.failed")
        assert failed.data["id"] == 1
        assert node.launcher.requests != [], "its app runs"


@on_jumping_clock
async def test_at_the_end_the_app_is_asked_to_end_and_its_last_words_come_before_the_agents(
    work: Work,
) -> None:
    async with work() as node:
        await node.begin(0)
        node.launcher.last_words = b"bye\n"
        await asyncio.sleep(10)
    assert node.launcher.requests[-1] == (STARTS_S + 10, signal.SIGTERM)
    assert [row[3] for row in await node.rows("logs")] == ["bye"]
    kinds = [Event(*row).kind for row in await node.rows(Event.TABLE)]
    assert kinds[-1] == "role.done"
    assert "app.exited" in kinds
    assert node.namespaces.listening.fileno() < 0, "it is closed"


@on_jumping_clock
async def test_a_sample_is_taken_every_second_from_the_start_to_the_end(work: Work) -> None:
    async with work() as node:
        await asyncio.sleep(100.5)
    times = [row[0] - EPOCH_S for row in await node.rows(System.TABLE)]
    assert times == pytest.approx([STARTS_S + second for second in (*range(1, 101), 100.5)])


@on_jumping_clock
async def test_numbers_that_programs_report_are_recorded_and_what_was_not_sent_is_counted(work: Work) -> None:
    async with work() as node:
        await asyncio.sleep(10)
        node.namespaces.report({"metric": "fps", "value": 25.0}, {"metric": "fps", "value": 24.0, "t": 3.0})
        node.namespaces.report({"lost": 4})
        await asyncio.sleep(5)
    reported = [App(*row) for row in await node.rows(App.TABLE)]
    assert [(one.t - EPOCH_S, one.node, one.key, one.value) for one in reported] == [
        (pytest.approx(STARTS_S + 10), "cam", "fps", 25.0),
        (3.0, "cam", "fps", 24.0),
    ]
    (lost,) = await node.events("records.lost")
    assert (lost.data["what"], lost.data["count"]) == ("app records", 4)


@on_jumping_clock
async def test_a_broker_is_ready_once_it_answers(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    async def watch(role: Role, new_client: Any, up: asyncio.Event) -> None:
        await asyncio.sleep(9)
        up.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("wotemu_runtime.agent.node.monitor", watch)
    async with work(kind="broker") as node:
        await asyncio.sleep(5)
        assert await node.events("role.ready") == []
        assert [what for _, what in node.launcher.requests] == ["start"]
        await asyncio.sleep(10)
        (ready,) = await node.events("role.ready")
        assert ready.t - EPOCH_S == pytest.approx(STARTS_S + 9)


@on_jumping_clock
async def test_an_agent_that_is_told_to_stop_before_t0_ends_and_starts_nothing(work: Work) -> None:
    async with work() as node:
        await asyncio.sleep(5)
    assert node.launcher.requests == []
    assert asyncio.get_running_loop().time() < 6


@on_jumping_clock
async def test_one_process_serves_several_nodes(work: Work) -> None:
    """With one session on the bus for all of them; each node has its app, its metrics and its records."""
    async with work() as cam:
        data = {**DATA, "replica": "hub"}
        hub_role = Role(attrs.evolve(cam.role.assignment, name="agent:hub", data=data), cam.role.session)
        launcher, namespaces = LoopLauncher(), FakeNamespaces()
        publishing = asyncio.create_task(hub_role.publisher.run())
        hub = NodeAgent(hub_role, launcher.agents_end, namespaces)
        try:
            async with asyncio.TaskGroup() as group:
                running_hub = group.create_task(hub.run(group))
                hub_role.t0.set_result(EPOCH_S + 30)
                await cam.begin(20)
                await asyncio.sleep(40)
                namespaces.report({"metric": "fps", "value": 1})
                cam.namespaces.report({"metric": "fps", "value": 2})
                await asyncio.sleep(SOON_S)
                hub_role.stopping.set()
                await running_hub
            hub_role.publisher.close(hub_role.done)
            await publishing
        finally:
            launcher.close()
        assert cam.launcher.requests == [(20.0, "start")]
        assert launcher.requests == [(30.0, "start"), (STARTS_S + 40 + SOON_S, signal.SIGTERM)]
    reported = [App(*row) for row in await cam.rows(App.TABLE)]
    assert sorted((one.node, one.value) for one in reported) == [("cam", 2.0), ("hub", 1.0)]


@attrs.define
class SlowLimits:
    """Limits that hold two seconds after they are asked for."""

    asked: list[tuple[float, list[Limits]]] = attrs.field(factory=list)

    async def begin(self, so_far: Sequence[Limits]) -> None:
        self.asked.append((asyncio.get_running_loop().time(), list(so_far)))
        await asyncio.sleep(2)

    async def set(self, cpu: float | None, mem_bytes: int | None) -> None:
        await self.begin([(cpu, mem_bytes)])


def limited(number: int, at_s: float, cpu: float | None) -> Change:
    return Change(number, at_s, "limit", None, "cam", None, {}, {"cpu": cpu, "mem_bytes": None})


@on_jumping_clock
async def test_a_node_is_ready_once_its_limits_hold_and_answers_changes_of_them_then(work: Work) -> None:
    setting = SlowLimits()
    facts = {"limits": {"device": "as a Pi"}}
    async with work(setting=setting, cpu_limit=0.5, mem_limit_bytes=9000, limits=facts) as node:
        await asyncio.sleep(1)
        assert await node.events("role.ready") == []
        await asyncio.sleep(2)
        (ready,) = await node.events("role.ready")
        assert ready.data["limits"] == {"device": "as a Pi"}
        await node.begin(10, limited(1, 10, 0.1), limited(2, 11, None))
        await asyncio.sleep(30)
    assert setting.asked == [
        (STARTS_S, [(0.5, 9000)]),
        (20, [(0.1, 9000)]),
        (22, [(0.5, 9000)]),
    ]
    answers = [ChangeRecord(*row) for row in await node.rows(ChangeRecord.TABLE)]
    assert [(each.id, each.applied - EPOCH_S) for each in answers] == [(1, 22), (2, 24)]


@on_jumping_clock
async def test_an_agent_in_anothers_place_has_the_limits_of_now_before_its_app_runs(work: Work) -> None:
    setting = SlowLimits()
    before = (-50.0, limited(1, 10, 0.1), limited(2, 20, None), limited(3, 30, 0.2))
    async with work(before=before, setting=setting, cpu_limit=0.5) as node:
        await asyncio.sleep(1)
        assert node.launcher.requests == []
        await asyncio.sleep(2)
        assert [what for _, what in node.launcher.requests] == ["start"]
    assert [limits for _, limits in setting.asked] == [[(0.5, None), (0.1, None), (0.5, None), (0.2, None)]]
    answers = [ChangeRecord(*row) for row in await node.rows(ChangeRecord.TABLE)]
    assert [each.id for each in answers] == [1, 2, 3]


@on_jumping_clock
async def test_a_run_ends_also_while_a_node_waits_for_its_limits(work: Work) -> None:
    async with work(setting=SlowLimits()) as node:
        await asyncio.sleep(1)
    assert await node.events("role.ready") == []
