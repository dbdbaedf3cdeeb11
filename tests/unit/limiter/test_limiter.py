"""A limiter limits the containers on its machine when they start, and when the timeline says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import attrs

from wotemu.records import Event
from wotemu.scenario.timeline import Change, Timeline
from wotemu_runtime.agent.control_group import NO_MEMORY_LIMIT
from wotemu_runtime.bus import Streams, decode_batch
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.limiter.container_limits import ContainerLimits
from wotemu_runtime.limiter.docker import Container, ContainerGoneError, Docker, DockerRefusesError
from wotemu_runtime.limiter.role import RETRY_S, Limiter
from wotemu_runtime.limiter.schedule import LimitRole
from wotemu_runtime.roles.machine_limits import LimitStream, MachineLimits
from wotemu_runtime.roles.role import running
from wotemu_runtime.testing import EPOCH_S, MemoryBus, make_role, on_jumping_clock

STREAMS = Streams("test")
MIB = 1 << 20
NODES = {
    "pi": {"service": "pi", "replicas": ["pi-1", "pi-2"]},
    "free": {"service": "free-node", "replicas": ["free"]},
}
LIMITS = {"pi": MachineLimits(cpu=0.5, mem_bytes=64 * MIB), "free": MachineLimits()}
PI_1, PI_2, FREE = (
    Container(name, service, slot)
    for name, service, slot in (("one", "pi", 1), ("two", "pi", 2), ("three", "free-node", 1))
)


@attrs.define
class Machine:
    """Docker of one machine: what runs, what was changed and when, in seconds of the loop."""

    runs: list[Container] = attrs.field(factory=list)
    updates: list[tuple[float, str, dict[str, int]]] = attrs.field(factory=list)
    refuses: str = ""
    hosts: dict[str, dict[str, int]] = attrs.field(factory=dict)
    _starts: asyncio.Queue[Container] = attrs.field(factory=asyncio.Queue)

    def start(self, container: Container) -> None:
        self.runs.append(container)
        self._starts.put_nowait(container)

    async def cgroup_version(self) -> int:
        return 1

    async def containers(self) -> list[Container]:
        if self.refuses == "all":
            raise DockerRefusesError("no answer: no such file")
        return list(self.runs)

    async def started(self) -> AsyncGenerator[Container | None, None]:
        yield None
        while True:
            yield await self._starts.get()

    async def host_config(self, container: Container) -> dict[str, Any]:
        if container not in self.runs:
            raise ContainerGoneError(container.id)
        return self.hosts.get(container.id, {})

    async def update(self, container: Container, limits: Mapping[str, int]) -> None:
        if container not in self.runs:
            raise ContainerGoneError(container.id)
        if self.refuses:
            raise DockerRefusesError(self.refuses)
        self.updates.append((round(asyncio.get_running_loop().time(), 3), container.id, dict(limits)))


def change(number: int, at_s: float, node: str, cpu: float | None, mem_bytes: int | None = None) -> Change:
    return Change(number, at_s, "limit", None, node, None, {}, {"cpu": cpu, "mem_bytes": mem_bytes})


@attrs.define
class Limiting:
    role: LimitRole
    bus: MemoryBus

    async def command(self, command: str, number: str = "", **data: Any) -> None:
        entry = {"command": command, "id": number or command, **data}
        await self.bus.xadd(STREAMS.commands, pack(entry))

    async def begin(self, t0_s: float, *changes: Change) -> None:
        await self.command("timeline", timeline=Timeline(0, 600.0, (), changes).to_dict())
        await self.command("t0", t0=EPOCH_S + t0_s)

    async def events(self) -> list[tuple[str, str]]:
        rows = [decode_batch(fields)[1][0] for _, fields in await self.bus.xrange(STREAMS.events)]
        return [(event.kind, event.message) for event in (Event(*row) for row in rows)]


@asynccontextmanager
async def limiting(machine: Machine, *before: tuple[float, *tuple[Change, ...]]) -> AsyncIterator[Limiting]:
    bus = MemoryBus()
    made = make_role(bus, "limits:roof", {"nodes": NODES})
    role = LimitRole(made.assignment, made.session)
    this = Limiting(role, bus)
    for each in before:
        await this.begin(*each)
    async with running(role, reports_host=False) as group:
        await role.session.commands.caught_up.wait()
        limiter = Limiter(role, cast(Docker, machine), LIMITS)
        tasks = [group.create_task(limiter.watch()), group.create_task(limiter.follow())]
        yield this
        await this.command("stop")
        for task in tasks:
            task.cancel()


def quota(cpu_us: int, period_us: int = 10_000) -> dict[str, int]:
    return {"CpuQuota": cpu_us, "CpuPeriod": period_us}


@on_jumping_clock
async def test_every_container_gets_its_nodes_limits_when_it_starts() -> None:
    machine = Machine([PI_1, FREE, Container("other", "gw-field", 1)])
    async with limiting(machine):
        await asyncio.sleep(1)
        assert [each[1:] for each in machine.updates] == [
            ("one", {**quota(5000), "Memory": 64 * MIB, "MemorySwap": 64 * MIB})
        ]
        machine.start(PI_2)
        await asyncio.sleep(1)
    assert [each[1] for each in machine.updates] == ["one", "two"]


@on_jumping_clock
async def test_changes_are_set_when_they_are_due_and_end_as_it_began() -> None:
    """By the limiter's own clock, while the bus is away; and those of other nodes are not its containers'."""
    machine = Machine([PI_1, FREE])
    changes = [
        change(1, 10, "pi-1", 0.05, 32 * MIB),
        change(2, 20, "pi-1", None),
        change(3, 20, "free", 0.2, 32 * MIB),
        change(4, 30, "free", None),
        change(5, 30, "pi-2", 0.1),
    ]
    async with limiting(machine, (100.0, *changes)) as one:
        await asyncio.sleep(50)
        one.bus.is_away = True
        await asyncio.sleep(100)
        one.bus.is_away = False
        await asyncio.sleep(5)
    assert machine.updates[1:] == [
        (110, "one", {**quota(1000, 20_000), "Memory": 32 * MIB, "MemorySwap": 32 * MIB}),
        (120, "one", {**quota(5000), "Memory": 64 * MIB, "MemorySwap": 64 * MIB}),
        (120, "three", {**quota(2000), "Memory": 32 * MIB, "MemorySwap": 32 * MIB}),
        (130, "three", {**quota(-1), "Memory": NO_MEMORY_LIMIT, "MemorySwap": NO_MEMORY_LIMIT}),
    ]


@on_jumping_clock
async def test_a_container_that_starts_again_gets_what_holds_by_then() -> None:
    machine = Machine([PI_1])
    async with limiting(machine, (0.0, change(1, 10, "pi-1", 0.1), change(2, 50, "pi-1", None))):
        await asyncio.sleep(20)
        machine.runs.clear()
        machine.start(again := attrs.evolve(PI_1, id="again"))
        await asyncio.sleep(50)
        assert again in machine.runs
    found = [(id, body["CpuQuota"]) for _, id, body in machine.updates]
    assert found == [("one", 5000), ("one", 1000), ("again", 1000), ("again", 5000)]


@on_jumping_clock
async def test_a_limiter_in_anothers_place_changes_only_what_differs() -> None:
    held = {"CpuQuota": 5000, "CpuPeriod": 10_000, "Memory": 64 * MIB, "MemorySwap": 64 * MIB}
    machine = Machine([PI_1, PI_2], hosts={"one": held, "two": held})
    async with limiting(machine, (-50.0, change(1, 10, "pi-1", 0.1), change(2, 200, "pi-2", 0.1))):
        await asyncio.sleep(5)
    assert [each[1:] for each in machine.updates] == [("one", quota(1000))]


@on_jumping_clock
async def test_changes_by_hand_are_added_and_dropped() -> None:
    machine = Machine([PI_1])
    async with limiting(machine, (0.0, change(1, 100, "pi-1", 0.1))) as one:
        await asyncio.sleep(10)
        by_hand = attrs.asdict(change(2, 20, "pi-1", 0.2))
        await one.command("changes", "by hand", changes=[by_hand], drop=[1])
        await asyncio.sleep(200)
    assert [(at, body["CpuQuota"]) for at, _, body in machine.updates[1:]] == [(20, 2000)]


@on_jumping_clock
async def test_what_docker_refuses_before_t0_ends_the_run_and_is_a_warning_later() -> None:
    machine = Machine([PI_1], refuses="no CFS here")
    async with limiting(machine) as one:
        await asyncio.sleep(1)
        text = "pi-1: Docker refuses its limits: no CFS here"
        assert ("role.unable", text) in await one.events()
        await one.begin(5)
        await asyncio.sleep(10)
        machine.refuses = ""
        await asyncio.sleep(RETRY_S * 2)
        assert [each[1] for each in machine.updates] == ["one"], "it is tried again"
        machine.refuses = "out of memory"
        machine.start(PI_2)
        await asyncio.sleep(10)
        later = [message for kind, message in await one.events() if kind == "limit.unenforced"]
        assert later == ["not enforced: pi-2: Docker refuses its limits: out of memory"]


@on_jumping_clock
async def test_a_machine_without_a_docker_to_ask_says_so() -> None:
    async with limiting(Machine(refuses="all")) as one:
        await asyncio.sleep(10)
        found = [message for kind, message in await one.events() if kind == "role.unable"]
        assert found == ["Docker can't be asked for containers: no answer: no such file"]


def test_limits_are_read_from_what_docker_says_a_container_has() -> None:
    swapping = {"Memory": 64 * MIB, "MemorySwap": 128 * MIB}
    assert ContainerLimits.held(swapping) == ContainerLimits(), "no node of WoTemu's swaps"
    assert ContainerLimits.held({"CpuQuota": 0, "CpuPeriod": 0, "Memory": 0}) == ContainerLimits()
    assert ContainerLimits.held({"CpuQuota": -1, "CpuPeriod": 10_000, "Memory": NO_MEMORY_LIMIT}) == (
        ContainerLimits()
    )
    for cpu, mem_bytes in ((0.25, None), (None, 64 * MIB), (0.01, 64 * MIB)):
        wanted = ContainerLimits.of(cpu, mem_bytes)
        body = wanted.update_from(ContainerLimits(), cgroup_version=2)
        assert ContainerLimits.held(body) == wanted
        back = ContainerLimits().update_from(wanted, cgroup_version=2)
        assert ContainerLimits.held({**body, **back}) == ContainerLimits()
        assert back.get("MemorySwap", -1) == -1, "version 2 has no limit of swap then"


@on_jumping_clock
async def test_an_agent_gets_what_its_own_machine_computed() -> None:
    bus = MemoryBus()
    stream = LimitStream(bus.client, STREAMS)
    limits = {"pi": MachineLimits(cpu=0.5, device="as a Pi", missing=("little",), cores=4)}
    waiting = asyncio.create_task(stream.wait_for("roof", "pi"))
    await stream.announce("cellar", {"pi": MachineLimits(cpu=0.1)})
    await asyncio.sleep(10)
    assert not waiting.done()
    await stream.announce("roof", limits)
    assert await waiting == limits["pi"]
