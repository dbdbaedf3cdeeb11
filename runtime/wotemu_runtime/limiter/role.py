"""Sets the limits of the stack's containers on this machine, from their start on and by the timeline."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.errors import HostError
from wotemu.topology.resources import NodeResources
from wotemu_runtime.agent.limit_setting import limits_after
from wotemu_runtime.calibration.measuring import rating_of_this_machine
from wotemu_runtime.calibration.wanted_limits import Machine, wanted_limits
from wotemu_runtime.limiter.container_limits import ContainerLimits
from wotemu_runtime.limiter.docker import Container, ContainerGoneError, Docker, DockerRefusesError
from wotemu_runtime.limiter.schedule import LimitRole
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.container_environment import DOCKER_SOCKET
from wotemu_runtime.roles.machine_limits import LimitStream, MachineLimits
from wotemu_runtime.roles.role import running
from wotemu_runtime.roles.session import bus_session

RETRY_S = 1.0


async def serve(assignment: Assignment) -> None:
    """Limit this machine's containers until the run is over."""
    async with bus_session(assignment.bus, assignment.stack) as session:
        own = attrs.evolve(assignment, name=f"{assignment.name}:{session.host}")
        role = LimitRole(own, session)
        async with running(role, reports_host=False) as group, Docker(DOCKER_SOCKET, own.stack) as docker:
            nodes = {node: _resources(data["resources"]) for node, data in own.data["nodes"].items()}
            limits = await asyncio.to_thread(computed, nodes)
            await LimitStream(session.client, session.streams).announce(session.host, limits)
            limiter = Limiter(role, docker, limits)
            await role.session.commands.caught_up.wait()
            tasks = [
                group.create_task(limiter.watch(), name="containers"),
                group.create_task(limiter.follow(), name="limits"),
            ]
            role.ready(sends_nothing=True)
            await role.stopping.wait()
            for task in tasks:
                task.cancel()


def computed(nodes: Mapping[str, NodeResources | None]) -> dict[str, MachineLimits]:
    """The limits of each node on this machine, which is rated first where a node is a device."""
    has_devices = any(each is not None and each.device is not None for each in nodes.values())
    machine = Machine.here(rating_of_this_machine() if has_devices else None)
    return {node: limits_on(machine, resources) for node, resources in nodes.items()}


def limits_on(machine: Machine, resources: NodeResources | None) -> MachineLimits:
    """The limits of one node on a machine."""
    if resources is None:
        return MachineLimits(cores=machine.cores)
    found = wanted_limits(resources, machine)
    return MachineLimits(
        cpu=found.cpu,
        mem_bytes=found.mem_bytes,
        device=found.share.says if found.share else "",
        missing=found.missing,
        cores=machine.cores,
    )


def _resources(data: Mapping[str, Any] | None) -> NodeResources | None:
    return None if data is None else NodeResources(**data)


class Limiter:
    """Sets the limits of containers.

    Args:
        role: Its role, whose assignment names the replicas of each service by their slots.
        docker: This machine's Docker.
        limits: The limits at T0, by node.
    """

    def __init__(self, role: LimitRole, docker: Docker, limits: Mapping[str, MachineLimits]) -> None:
        self._role = role
        self._docker = docker
        self._limits = limits
        nodes: Mapping[str, Mapping[str, Any]] = role.assignment.data["nodes"]
        self._services = {str(data["service"]): (node, data["replicas"]) for node, data in nodes.items()}
        self._containers: dict[Container, ContainerLimits | None] = {}
        """The containers that run, and the limits that they have; None: not known."""
        self._reported: set[str] = set()
        self._cgroup_version: int | None = None

    def __repr__(self) -> str:
        return f"<Limiter of {len(self._containers)} containers>"

    async def watch(self) -> None:
        """Learn which containers run, until cancelled."""
        while True:
            try:
                async for container in self._docker.started():
                    started = await self._docker.containers() if container is None else [container]
                    self._found(started)
            except (DockerRefusesError, ContainerGoneError) as error:
                hint = "WOTEMU_DOCKER_SOCKET names the path of Docker's socket on every machine"
                self._report(f"Docker can't be asked for containers: {error}", hint)
            await asyncio.sleep(RETRY_S)

    def _found(self, started: list[Container]) -> None:
        for container in started:
            if container.service in self._services:
                self._containers.setdefault(container, None)
        self._role.news.set()

    async def follow(self) -> None:
        """Set limits as they are due, until cancelled."""
        while True:
            self._role.news.clear()
            now = self._role.now()
            await asyncio.gather(*(self._limit(each, now) for each in list(self._containers)))
            due = min(
                (self._role.next_due(self._place(each)[1], now) for each in self._containers),
                default=float("inf"),
            )
            left_s = self._role.clock.left_s(due) if due < float("inf") else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if left_s is None else max(0.0, left_s)):
                    await self._role.news.wait()

    def _place(self, container: Container) -> tuple[str, str]:
        """The node and the replica that a container is."""
        node, replicas = self._services[container.service]
        return node, replicas[container.slot - 1]

    async def _limit(self, container: Container, now: float) -> None:
        """Have the limits hold that are due at `now`. What Docker refuses is tried again each `RETRY_S`."""
        wanted = self._wanted(container, now)
        try:
            if self._cgroup_version is None:
                self._cgroup_version = await self._docker.cgroup_version()
            held = self._containers[container]
            if held is None:
                held = ContainerLimits.held(await self._docker.host_config(container))
            if body := wanted.update_from(held, cgroup_version=self._cgroup_version):
                await self._docker.update(container, body)
            self._containers[container] = wanted
        except ContainerGoneError:
            self._containers.pop(container, None)
        except DockerRefusesError as error:
            self._containers[container] = None
            self._report(f"{self._place(container)[1]}: Docker refuses its limits: {error}")
            asyncio.get_running_loop().call_later(RETRY_S, self._role.news.set)

    def _wanted(self, container: Container, now: float) -> ContainerLimits:
        node, replica = self._place(container)
        at_start, change = self._limits[node], self._role.due(replica, now)
        limits = at_start.cpu, at_start.mem_bytes
        return ContainerLimits.of(*(limits if change is None else limits_after(change, limits)))

    def _report(self, text: str, hint: str | None = None) -> None:
        """Report what can't be done, once: before T0 it ends the run."""
        if text in self._reported:
            return
        self._reported.add(text)
        if self._role.t0.done():
            self._role.event("limit.unenforced", f"not enforced: {text}")
        else:
            self._role.unable(HostError(text, where=self._role.session.host, hint=hint))
