"""What a network's gateway imposes, and when: on a shaper that only remembers, on a clock that jumps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wotemu.records import Change as ChangeRecord
from wotemu.records import Event, GatewayLoad, Hop
from wotemu.scenario import Scenario, at
from wotemu.scenario.resolver import resolve
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Topology
from wotemu_runtime.bus import Streams, decode_batch
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.gateway.role import Gateway, network_state, packets_taken, serve_network
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.roles.role import Role, running
from wotemu_runtime.testing import EPOCH_S, FakeShaper, MemoryBus, gateway_data, make_role, on_jumping_clock

FIELD = Network("field", NetworkConditions(latency="10ms"))
RADIO = Network("radio", NetworkConditions(latency="5ms", rate="1 Mbps"), shared=True)
WIRELESS = Link(RADIO, up=NetworkConditions(latency="20ms"))
CAM = Node("cam", command=["true"], networks=[FIELD, WIRELESS], scale=2)
HUB = Node("hub", command=["true"], networks=[FIELD, RADIO])
TOPOLOGY = Topology([CAM, HUB])
STREAMS = Streams("test")


class Field:
    """One gateway at work, and what is to be seen of it. T0 is at 1 s on the loop's clock."""

    T0_S = 1.0

    def __init__(self, network: str, events: Sequence[Action]) -> None:
        self.timeline, _ = resolve(TOPOLOGY, Scenario(events=events, duration="10min"))
        plan = make_plan(TOPOLOGY, self.timeline, stack="test", root=Path("/"))
        (planned,) = [each for each in plan.networks if each.name == network]
        self.data = gateway_data(plan, planned)
        self.name = f"gateway:{network}"
        self.bus = MemoryBus()
        self.shaper = FakeShaper()
        self.announced: list[int] = []

    async def begin(self) -> None:
        await self.command("timeline", timeline=self.timeline.to_dict())
        await self.command("t0", t0=EPOCH_S + self.T0_S)

    async def command(self, command: str, **data: Any) -> None:
        await self.bus.xadd(STREAMS.commands, pack({"command": command, "id": command, **data}))

    @asynccontextmanager
    async def serving(self, *, begun: bool = True) -> AsyncIterator[Role]:
        """A gateway that serves until the block is left; `begun`: it hears the timeline before it starts."""

        async def announce() -> None:
            self.announced.append(len(self.shaper.calls))

        role = make_role(self.bus, self.name, self.data)
        async with running(role) as group:
            if begun:
                await self.begin()
                await role.session.commands.caught_up.wait()
            gateway = Gateway(role, self.shaper, network_state(self.data))
            serving = group.create_task(serve_network(role, group, gateway, announce))
            yield role
            await self.command("stop")
            await serving

    async def answers(self) -> list[ChangeRecord]:
        return [ChangeRecord(*row) for row in await self.rows(ChangeRecord.TABLE)]

    async def events(self, kind: str) -> list[Event]:
        events = [Event(*row) for row in await self.rows(Event.TABLE)]
        return [event for event in events if event.kind == kind]

    async def rows(self, table: str) -> list[list[Any]]:
        """All that the gateway has sent of a table."""
        (stream,) = [name for name, holds in STREAMS.all_records().items() if holds == table]
        return [row for _, fields in await self.bus.xrange(stream) for row in decode_batch(fields)[1]]

    def hops(self, replica: str, direction: str) -> list[tuple[float, float]]:
        """When a hop was set (seconds after T0), and to which latency."""
        return [
            (round(t - self.T0_S, 3), float(args[2].latency))
            for t, args in self.shaper.of("set_hop")
            if args[:2] == (replica, direction)
        ]


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the test's own scheduling and the machine's interfaces alone."""
    monkeypatch.setattr("wotemu_runtime.gateway.role.report_interface_drops", lambda *_, **__: None)
    monkeypatch.setattr("wotemu_runtime.gateway.role.request_low_latency", lambda: "ordinary")


@on_jumping_clock
async def test_all_that_holds_is_imposed_before_the_gateway_is_announced_and_ready() -> None:
    field = Field("field", [])
    async with field.serving(begun=False):
        await asyncio.sleep(0.5)
        hops = {args[:2] for _, args in field.shaper.of("set_hop")}
        assert hops == {(name, way) for name in ("cam-1", "cam-2", "hub") for way in ("up", "down")}
        assert field.announced == [1 + len(hops)]
        (ready,) = await field.events("role.ready")
        assert ready.data["shaper"] == "fake"


@on_jumping_clock
async def test_changes_take_hold_when_they_are_due_in_order_and_are_answered() -> None:
    events = [
        at("2min").set(FIELD, "up", latency="1s"),
        at("4min").set(FIELD, "up", latency="2s"),
        at("9min").restore(FIELD, "up"),
    ]
    field = Field("field", events)
    async with field.serving():
        await asyncio.sleep(600)
    assert field.hops("cam-1", "up")[1:] == [(120.0, 1.0), (240.0, 2.0), (540.0, 0.01)]
    assert field.hops("hub", "up")[1:] == field.hops("cam-1", "up")[1:]
    answers = await field.answers()
    assert [(one.due - EPOCH_S - 1, one.ok) for one in answers] == [(120, True), (240, True), (540, True)]
    assert all(one.applied - one.due < 0.001 for one in answers)


@on_jumping_clock
async def test_changes_of_one_moment_are_made_in_the_order_of_the_timeline() -> None:
    field = Field("field", [at(5).set(FIELD, "up", latency="1s"), at(5).partition(["hub"])])
    async with field.serving():
        await asyncio.sleep(10)
    due = [change.id for change in field.timeline.changes if change.applier == "gateway:field"]
    assert [one.id for one in await field.answers()] == due
    assert [method for t, method, _ in field.shaper.calls if t >= 6] == [
        *("set_shared_bucket", "set_hop", "set_hop", "set_hop"),
        *("partition", "close"),
    ]


@on_jumping_clock
async def test_a_change_that_the_shaper_refuses_is_answered_with_the_reason_and_the_next_one_holds() -> None:
    field = Field("field", [at(10).set(FIELD, "up", latency="1s"), at(20).set(FIELD, "up", latency="2s")])
    async with field.serving():
        await asyncio.sleep(5)
        field.shaper.broken = OSError(22, "Invalid argument")
        await asyncio.sleep(10)
        field.shaper.broken = None
        await asyncio.sleep(10)
    first, second = await field.answers()
    assert (first.ok, first.error) == (False, "OSError: [Errno 22] Invalid argument")
    assert (second.ok, second.error) == (True, "")
    assert field.hops("cam-1", "up")[-1] == (20.0, 2.0)
    (failed,) = await field.events("change.failed")
    assert failed.data["id"] == first.id


@on_jumping_clock
async def test_a_change_of_one_link_touches_the_replicas_of_its_node_alone() -> None:
    field = Field("radio", [at(10).set(WIRELESS, "up", latency="50ms")])
    async with field.serving():
        await asyncio.sleep(20)
    assert field.hops("cam-1", "up")[1:] == [(10.0, 0.055)]
    assert field.hops("cam-2", "up")[1:] == [(10.0, 0.055)]
    assert field.hops("hub", "up")[1:] == []
    assert field.hops("cam-1", "down")[1:] == []


@on_jumping_clock
async def test_the_rate_of_a_shared_network_is_its_buckets_and_not_its_hops() -> None:
    field = Field("radio", [at(10).set(RADIO, rate="2 Mbps")])
    async with field.serving():
        await asyncio.sleep(20)
    buckets = [(t, args[0].rate) for t, args in field.shaper.of("set_shared_bucket")]
    assert buckets[0][1] == 1e6
    assert (11.0, 2e6) in [(round(t, 3), rate) for t, rate in buckets]
    assert {args[2].rate for _, args in field.shaper.of("set_hop")} == {None}


@on_jumping_clock
async def test_a_crash_cuts_a_replica_off_and_a_restart_lets_it_back() -> None:
    field = Field("field", [at(10).crash(HUB), at(20).restart(HUB)])
    async with field.serving():
        await asyncio.sleep(30)
    cuts = [(round(t - 1, 3), *args) for t, args in field.shaper.of("cut")]
    assert cuts == [(10.0, "hub", True), (20.0, "hub", False)]


@on_jumping_clock
async def test_a_gateway_in_anothers_place_imposes_what_holds_by_then_before_it_is_announced() -> None:
    events = [
        at(5).set(FIELD, "up", latency="1s"),
        at(6).crash(HUB),
        at(7).partition(["cam"]),
        at(100).restore(FIELD, "up"),
    ]
    field = Field("field", events)
    await field.begin()
    await asyncio.sleep(50)
    async with field.serving(begun=True):
        await asyncio.sleep(100)
    assert field.hops("cam-1", "up") == [(49.0, 1.0), (100.0, 0.01)]
    before = [(method, args) for _, method, args in field.shaper.calls[: field.announced[0]]]
    assert ("cut", ("hub", True)) in before
    assert ("partition", ([["cam-1", "cam-2"], ["hub"]],)) in before
    (took_over,) = await field.events("role.took_over")
    answers = await field.answers()
    assert took_over.data["changes"] == len(answers) - 1
    assert all(one.ok for one in answers)


@on_jumping_clock
async def test_counters_come_every_second_and_once_more_at_the_end() -> None:
    field = Field("field", [])
    async with field.serving(begun=False):
        await asyncio.sleep(10.5)
    rows = [Hop(*row) for row in await field.rows(Hop.TABLE)]
    drained = sorted({row.t - EPOCH_S for row in rows})
    assert drained == pytest.approx([*range(1, 11), 10.5], abs=0.01)
    assert len(rows) == len(drained) * 6


@on_jumping_clock
async def test_a_gateways_own_load_comes_with_its_counters() -> None:
    field = Field("field", [])
    async with field.serving(begun=False):
        await asyncio.sleep(3.5)
    loads = [GatewayLoad(*row) for row in await field.rows(GatewayLoad.TABLE)]
    assert [load.t - EPOCH_S for load in loads] == pytest.approx([1, 2, 3, 3.5], abs=0.01)
    assert [load.interval for load in loads] == pytest.approx([1, 1, 1, 0.5], abs=0.01)
    assert {(load.network, load.shaper, load.packets) for load in loads} == {("field", "fake", 0)}
    assert all(load.cpu >= 0 for load in loads)


def test_each_packet_is_counted_once_on_the_hop_of_its_sender_whatever_became_of_it() -> None:
    def hop(direction: str, sent: int, loss: int = 0, queue: int = 0, cut: int = 0, memory: int = 0) -> Hop:
        return Hop(
            1.0, "field", "cam", direction, "tun", sent, 100 * sent, loss, queue, cut,
            backlog=0, late_max=None, dropped_memory=memory,
        )  # fmt: skip

    up = hop("up", 1000, loss=100, queue=10, cut=1, memory=5)
    rows = [
        up,
        hop("down", 900, loss=9),
        hop("shared", 1000),
        Event(1.0, "role.ready", "gateway:field", "", {}),
    ]
    assert packets_taken([*rows, up]) == 2 * 1116
    assert packets_taken([]) == 0


@on_jumping_clock
async def test_what_the_shaper_did_not_forward_is_told_at_the_end_and_it_is_closed_whatever_happens() -> None:
    field = Field("field", [])
    field.shaper.losses = {"ipv6": 3, "arp": 7}
    async with field.serving(begun=False):
        await asyncio.sleep(5)
    assert [event.data["what"] for event in await field.events("gateway.ignored")] == ["ipv6"]
    assert field.shaper.calls[-1][1] == "close"
    broken = Field("field", [])
    broken.shaper.broken = OSError("no such device")
    with contextlib.suppress(ExceptionGroup):
        async with broken.serving(begun=False):
            await asyncio.sleep(5)
    assert broken.shaper.calls[-1][1] == "close"
