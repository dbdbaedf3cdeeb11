"""The node agent: starts and ends a node's app when the timeline says so, and measures it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvloop

from wotemu.errors import EmulationError
from wotemu.records import App
from wotemu.scenario.timeline import Change
from wotemu_runtime.agent import resource_usage
from wotemu_runtime.agent.metric_socket import Measured, MetricSocket, NotSent, Report
from wotemu_runtime.agent.prober import Prober
from wotemu_runtime.agent.supervision.app_supervisor import AppSupervisor
from wotemu_runtime.app_process.messages import Rows
from wotemu_runtime.broker.monitor import monitor
from wotemu_runtime.planning.probe_schedule import Rounds
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role, on_bus
from wotemu_runtime.roles.self_monitoring import report_interface_drops

SAMPLE_EVERY_S = 1.0


class Agent:
    """One replica's agent."""

    def __init__(self, role: Role, launcher: Channel) -> None:
        data = role.assignment.data
        self._role = role
        self._replica: str = data["replica"]
        self._kind: str = data["kind"]
        self._port: int = data["port_mqtt"]
        self._cgroups: tuple[str, ...] = tuple(data["cgroups"])
        self._sampler = resource_usage.Sampler(
            self._replica, self._cgroups, data["cpu_limit"], data["mem_limit_bytes"]
        )
        self._is_wot: bool = data["is_wot"]
        probes = data.get("probes", {}).get(self._replica, ())
        self._prober = Prober(role, self._replica, [Rounds.from_dict(each) for each in probes])
        self._tasks: list[asyncio.Task[None]] = []
        """What goes on until the role is told to stop."""
        self._app = AppSupervisor(role, launcher, is_wot=self._is_wot)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Until the role is told to stop."""
        missed = self._role.changes.pop_overdue()
        for change in missed:
            self._app.wanted = self._state(change)
        self._role.changes.report_overdue(missed)
        self._prober.open()
        metrics = MetricSocket(self._measured)
        self._tasks = [
            group.create_task(self._role.changes.follow(self.apply), name="timeline"),
            group.create_task(self._sample(), name="samples"),
            group.create_task(self._prober.run(), name="probes"),
        ]
        app = group.create_task(self._start(group), name="app")
        await self._role.stopping.wait()
        for task in self._tasks:
            task.cancel()
        await self._app.end()
        metrics.close()
        app.cancel()
        self._prober.close()
        self._tell_losses()

    def _measured(self, message: Report) -> None:
        """What a program of the node reported without being the main process of its app."""
        match message:
            case Measured(key, value, t):
                now = self._role.now() if t is None else self._role.clock.at(t)
                self._role.publisher.put(App(now, self._replica, key, value))
            case Rows():
                self._app.record(message)
            case NotSent(count):
                self._role.publisher.lose("app records", count)

    async def _start(self, group: asyncio.TaskGroup) -> None:
        """Get ready, wait for T0, run the app. What needs no T0 starts before it."""
        early = self._is_wot or self._kind == "broker"
        running = group.create_task(self._app.run(), name="lives") if early else None
        try:
            prepared = self._app.prepared
            if self._kind == "broker":
                prepared = asyncio.Event()
                watching = monitor(self._role, self._port, prepared)
                self._tasks.append(group.create_task(watching, name="broker"))
            if early and self._app.wanted == "running":
                await prepared.wait()
            self._role.ready()
            t0 = await self._role.t0
            await self._role.session.sleep_until(t0)
            self._app.released.set()
            await (running or self._app.run())
        finally:
            if running is not None:
                running.cancel()

    def apply(self, change: Change) -> None:
        """One change of the timeline."""
        match self._state(change):
            case "crashed":
                self._app.crash()
            case "stopped":
                self._app.stop()
            case _:
                self._app.start()

    @staticmethod
    def _state(change: Change) -> str:
        """What a change wants the app to be."""
        if change.after not in ("crashed", "stopped", "running"):
            raise EmulationError(f"an app can't be {change.after!r}")
        return str(change.after)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            if sample := self._sampler.sample(self._role.now()):
                self._role.publisher.put(sample)

    def _tell_losses(self) -> None:
        report_interface_drops(self._role)
        if kills := resource_usage.out_of_memory_kills(self._cgroups):
            self._role.event(
                "app.out_of_memory", f"{self._replica} was killed {kills} times at its memory limit"
            )


def run_agent(
    assignment: dict[str, Any], launcher: Channel, on_connected: Callable[[], None] | None = None
) -> int:
    """The agent's process: until the coordinator says stop. It calls `on_connected` once it is on the bus."""
    uvloop.run(_agent(Assignment.from_dict(assignment), launcher, on_connected))
    return 0


async def _agent(assignment: Assignment, launcher: Channel, on_connected: Callable[[], None] | None) -> None:
    async with on_bus(assignment) as (role, group):
        if on_connected is not None:
            on_connected()
        await Agent(role, launcher).run(group)
