"""The agent of one node: starts and stops its app when the timeline says so, and measures it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from socket import socket
from typing import TYPE_CHECKING

from wotemu.errors import EmulationError
from wotemu.records import App
from wotemu.scenario.timeline import Change
from wotemu_runtime.agent import resource_usage
from wotemu_runtime.agent.faults import NodeFaults, Plug
from wotemu_runtime.agent.limit_setting import LimitSetting, OwnGroups
from wotemu_runtime.agent.metric_socket import Lines, Measured, MetricSocket, NotSent, Report, Unmeasured
from wotemu_runtime.agent.namespaces import NodeNamespaces
from wotemu_runtime.agent.node_commands import run_commands
from wotemu_runtime.agent.prober import Prober
from wotemu_runtime.agent.sampling import SAMPLE_EVERY_S, Sampling
from wotemu_runtime.agent.statsd.intake import StatsdIntake
from wotemu_runtime.agent.supervision.app_supervisor import AppSupervisor
from wotemu_runtime.app_process.messages import Claim, Rows, Waits
from wotemu_runtime.broker.monitor import monitor
from wotemu_runtime.planning.probe_rounds import Rounds
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.publishing.node_ports import serve_ports
from wotemu_runtime.roles.role import Role
from wotemu_runtime.wire.node_requests import NodeRequests

if TYPE_CHECKING:
    import aiomqtt

MAX_UNMEASURED = 20
"""Events of one node about programs that are not measured."""


class NodeAgent:
    """The app, samples, probes and metrics of one replica.

    A process may run several of them: what they share (the bus's connection and clock, the report of the
    host's load) comes with their roles, and the node's kernel namespaces are passed in.

    Args:
        role: the replica's role on the bus; its assignment's data says what the node runs and probes.
        launcher: the channel to the node's launcher.
        namespaces: the node's namespaces.
        replace: whether it takes the place of an agent that was killed, whose app still runs.
        plug: takes the node's interfaces down and sets them up, where the gateways have not their other ends.
        limit_setting: sets the node's limits; None: its own control groups.
    """

    def __init__(
        self,
        role: Role,
        launcher: Channel,
        namespaces: NodeNamespaces,
        *,
        replace: bool = False,
        plug: Plug | None = None,
        limit_setting: LimitSetting | None = None,
    ) -> None:
        data = role.assignment.data
        self._role = role
        self._namespaces = namespaces
        self._replica: str = data["replica"]
        self._is_broker: bool = data["kind"] == "broker"
        self._is_wot: bool = data["is_wot"]
        self._mqtt_port: int = data["port_mqtt"]
        self._broker_login: Sequence[str] = data.get("broker_login") or ()
        self._broker_tls: bool = data.get("broker_tls", False)
        self._has_ports: bool = data.get("has_ports", False)
        self._statsd_port: int | None = data["statsd_port"]
        self._statsd: StatsdIntake
        self._cgroups: tuple[str, ...] = tuple(data["cgroups"])
        self._requests = NodeRequests(role, self._replica, data["port_coap"], namespaces.peer_name)
        self._app = AppSupervisor(
            role, launcher, is_wot=self._is_wot, on_claim=self._requests.claim, replace=replace
        )
        self._sampling = Sampling(role, namespaces)
        self._faults = NodeFaults(
            role,
            self._app,
            namespaces.app_processes,
            self._sampling.usage,
            limit_setting or OwnGroups(self._cgroups, data["cpu_limit"], data["mem_limit_bytes"]),
            namespaces.throttling_groups(),
            plug,
        )
        rounds = [Rounds.from_dict(each) for each in data.get("probes", {}).get(self._replica, ())]
        self._unmeasured: set[Unmeasured] = set()
        self._prober = Prober(role, self._replica, rounds, namespaces)

    def _broker_client(self) -> AbstractAsyncContextManager[aiomqtt.Client]:
        return self._namespaces.broker_client(self._mqtt_port, *self._broker_login, tls=self._broker_tls)

    def __repr__(self) -> str:
        return f"NodeAgent({self._replica!r})"

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Run until the role is stopped; then stop the app and record what it says last."""
        await self._catch_up()
        self._prober.open()
        metrics = MetricSocket(self._record, self._namespaces.listen_for_metrics())
        self._statsd = StatsdIntake(self._role, self._replica, self._open_statsd())
        self._requests.open(self._namespaces.open_request_packets)
        tasks = [
            group.create_task(self._role.changes.follow(self.apply), name="timeline"),
            group.create_task(self._sample(), name="samples"),
            group.create_task(self._prober.run(), name="probes"),
            group.create_task(
                run_commands(self._role, self._app.launcher, self._namespaces), name="commands"
            ),
        ]
        answers = asyncio.Event()
        if self._is_broker:
            monitoring = monitor(self._role, self._broker_client, answers)
            tasks.append(group.create_task(monitoring, name="broker"))
        prepared = answers if self._is_broker else self._app.prepared
        if self._has_ports:
            serving = serve_ports(self._role, self._replica, self._namespaces.connect)
            tasks.append(group.create_task(serving, name="published ports"))
        app = group.create_task(self._run_app(group, prepared), name="app")
        tasks.append(group.create_task(self._impose_missed(), name="missed faults"))
        await self._role.stopping.wait()
        for task in tasks:
            task.cancel()
        self._sampling.finish()
        await self._faults.end()
        await self._app.end()
        metrics.close()  # after the app, whose child processes report until their end
        self._statsd.close()
        self._requests.finish()  # after all that could say whose they are
        app.cancel()
        await asyncio.wait([app])  # it listens to the launcher until then
        self._prober.close()
        self._report_losses()

    async def _catch_up(self) -> None:
        """Take the state that earlier changes left, where this agent replaces one that died.

        The limits that are to hold now do so when it returns, unless the run is ended before.
        """
        missed = self._role.changes.pop_overdue()
        for change in missed:
            if change.action == "app":
                self._app.wanted = _wanted_state(change)
        self._faults.catch_up(change for change in missed if change.action != "app")
        limiting = asyncio.ensure_future(self._faults.begin_limits())
        stopping = asyncio.ensure_future(self._role.stopping.wait())
        await asyncio.wait([limiting, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not limiting.cancel():
            limiting.result()
        self._role.changes.report_overdue(missed)

    async def _impose_missed(self) -> None:
        """Impose what an earlier agent missed, or had imposed."""
        await self._app.has_launcher.wait()
        await self._faults.impose_missed()

    async def _run_app(self, group: asyncio.TaskGroup, prepared: asyncio.Event) -> None:
        """Report that the node is ready, wait for T0, run the app."""
        # A WoT app is loaded before T0 and released at it. A broker serves no traffic of its own. A command
        # can't be held back once it runs, so it is started at T0.
        starts_early = self._is_wot or self._is_broker
        running = group.create_task(self._app.run(), name="supervisor") if starts_early else None
        try:
            if starts_early and self._app.wanted == "running" and not self._app.is_paused:
                await prepared.wait()
            self._role.ready(**self._role.assignment.data.get("limits", {}))
            await self._role.session.sleep_until(await self._role.t0)
            self._app.released.set()
            await (running or self._app.run())
        finally:
            if running is not None:
                running.cancel()

    async def apply(self, change: Change) -> None:
        """Apply one change of the timeline. Raises EmulationError for a state that no app can be in."""
        if change.action != "app":
            await self._faults.apply(change)
            return
        match _wanted_state(change):
            case "crashed":
                self._app.crash()
            case "stopped":
                self._app.stop()
            case _:
                self._app.start()

    def _open_statsd(self) -> list[socket]:
        if self._statsd_port is None:
            return []
        try:
            return self._namespaces.open_statsd(self._statsd_port)
        except OSError as error:
            text = f"{self._replica} can't report metrics by StatsD's lines: {error}"
            self._role.event("app.statsd_unavailable", text)
            return []

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            self._statsd.tick()
            self._sampling.sample()
            self._requests.record()

    def _record(self, report: Report) -> None:
        """Record what a program of the node reported over the metric socket."""
        match report:
            case Measured(key, value, t):
                now = self._role.now() if t is None else self._role.clock.at(t)
                self._role.publisher.put(App(now, self._replica, key, value))
            case Rows():
                self._app.record(report)
            case Claim():
                self._requests.claim(report)
            case Lines(packet):
                self._statsd.take(packet)
            case Waits(what, seconds, missing):
                self._app.report_wait(what, seconds, missing)
            case Unmeasured():
                self._report_unmeasured(report)
            case NotSent(count):
                self._role.publisher.lose("app records", count)

    def _report_unmeasured(self, report: Unmeasured) -> None:
        """Report each program once, however often it is started."""
        if report not in self._unmeasured and len(self._unmeasured) < MAX_UNMEASURED:
            self._unmeasured.add(report)
            text = f"{self._replica}: interactions of {report.program!r} are not recorded: {report.why}"
            self._role.event("app.unmeasured", text, program=report.program, why=report.why)

    def _report_losses(self) -> None:
        self._namespaces.report_dropped_frames(self._role)
        if kills := resource_usage.out_of_memory_kills(self._cgroups):
            self._role.event(
                "app.out_of_memory", f"{self._replica} was killed {kills} times at its memory limit"
            )


def _wanted_state(change: Change) -> str:
    """The state that a change asks the app to be in."""
    if change.after not in ("crashed", "stopped", "running"):
        raise EmulationError(f"an app can't be {change.after!r}")
    return str(change.after)
