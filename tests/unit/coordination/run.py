"""One run on an engine of tasks and a bus in memory, and what its roles do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from wotemu.records import App, Event
from wotemu.scenario import Phase, Resolver, Scenario
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.codec import unpack
from wotemu_runtime.coordination.coordinator import Coordinator
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.gateway.role import Gateway, network_state, serve_network
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.roles.role import Role
from wotemu_runtime.testing import FakeEngine, FakeShaper, MemoryBus, Play, loop_clock

FIELD = Network("field", NetworkConditions(latency="10ms"))
TOPOLOGY = Topology([Node("cam", command=["true"], networks=[FIELD], scale=2)])
ROLES = {"agent:cam-1", "agent:cam-2", "gateway:field"}
STREAMS = Streams("test")


def node(*, ready_s: float = 0.0, ends_s: float | None = None) -> Play:
    """A node that is ready after `ready_s`, then reports its uptime each second until the end."""

    async def play(role: Role, group: asyncio.TaskGroup) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ready_s):
                await role.stopping.wait()
        role.ready()
        began = role.now()
        while not role.stopping.is_set() and (ends_s is None or role.now() < began + ends_s):
            await asyncio.sleep(1)
            up_s = round(role.now() - began)
            role.publisher.put(App(role.now(), role.assignment.subject, "uptime", float(up_s)))
        if not role.stopping.is_set():
            raise RuntimeError("the agent broke")

    return play


async def deaf(role: Role, group: asyncio.TaskGroup) -> None:
    """A role that is ready and never ends, whatever it is told."""
    role.ready()
    await asyncio.Event().wait()


async def slow(role: Role, group: asyncio.TaskGroup) -> None:
    """A role that takes 5 s to end."""
    role.ready()
    await role.stopping.wait()
    await asyncio.sleep(5)


async def never_placed(role: Role, group: asyncio.TaskGroup) -> None:
    """A role whose process never runs: it sends nothing, and does not end when it is told to."""
    await asyncio.Event().wait()


async def never_ready(role: Role, group: asyncio.TaskGroup) -> None:
    await role.stopping.wait()


OPEN: list[Run] = []
"""Runs whose directories are open; those that a test leaves are closed after it."""


@attrs.define(eq=False)
class Run:
    """One run, and what is to be seen of it. `plays` has what certain roles do; the others are well."""

    run_dir: Path
    events: Sequence[Action] = ()
    phases: Sequence[Phase] = ()
    duration: str = "1min"
    plays: dict[str, Play] = attrs.field(factory=dict)
    bus: MemoryBus = attrs.field(factory=MemoryBus)
    shaper: FakeShaper = attrs.field(factory=FakeShaper)
    told: list[Event] = attrs.field(factory=list)
    on_event: Callable[[Event], None] = lambda _: None
    resume: bool = False
    keep: bool = False
    topology: Topology = TOPOLOGY
    trims: bool = True
    """Whether the bus forgets what is recorded."""
    engine: FakeEngine = attrs.field(default=None)
    recorder: RunDirectory = attrs.field(init=False)
    coordinator: Coordinator = attrs.field(init=False)
    plan: Plan = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        resolver = Resolver(
            self.topology, Scenario(phases=self.phases, events=self.events, duration=self.duration)
        )
        plan = make_plan(self.topology, resolver.timeline, stack="test", root=Path("/"))
        self.plan = attrs.evolve(plan, publishes_over_bus=True)
        self.engine = self.engine or FakeEngine(self.bus, self.play)
        self.recorder = RunDirectory(self.run_dir)
        OPEN.append(self)
        self.coordinator = Coordinator(
            self.plan,
            self.engine,
            self.recorder,
            self.listen,
            resolver,
            resume=self.resume,
            keep=self.keep,
            durable=lambda: None if self.trims else Checkpoint(run="elsewhere"),
            connect_to=self.engine.connect,
            clock=loop_clock(),
        )

    @property
    def live(self) -> LiveRun:
        return self.coordinator.live

    def play(self, role: str) -> Play:
        return self.plays.get(role) or (self.gateway if role.startswith("gateway:") else node())

    async def gateway(self, role: Role, group: asyncio.TaskGroup) -> None:
        await serve_network(role, group, Gateway(role, self.shaper, network_state(role.assignment.data)))

    def listen(self, event: Event) -> None:
        self.told.append(event)
        self.on_event(event)

    async def outcome(self) -> Outcome:
        try:
            return await self.coordinator.run()
        finally:
            self.close()

    def close(self) -> None:
        """Close the run directory, once."""
        if self in OPEN:
            OPEN.remove(self)
            self.recorder.close()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.told if event.kind == kind]

    @property
    def t0(self) -> float:
        assert self.coordinator.outcome.t0 is not None
        return self.coordinator.outcome.t0

    async def commands(self) -> list[dict[str, Any]]:
        return [unpack(fields) for _, fields in await self.bus.xrange(STREAMS.commands)]
