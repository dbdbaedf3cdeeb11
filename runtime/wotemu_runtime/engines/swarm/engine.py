"""The swarm engine: has the objects of an emulation created, watches their tasks, and has them removed."""

from __future__ import annotations

import asyncio
import contextlib
import secrets as randomness
from collections.abc import AsyncIterator

import aiodocker
import aiohttp
import attrs

from wotemu.errors import EmulationError, HostError, InputError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.engine import BusAt, Deployed, News, RoleEnded, Unplaced
from wotemu_runtime.engines.swarm.creation import StackCreation
from wotemu_runtime.engines.swarm.docker_client import (
    check_daemon,
    connect_docker,
    has_start_interval,
    negotiated,
)
from wotemu_runtime.engines.swarm.removal import objects_of, remove_stack
from wotemu_runtime.engines.swarm.requirements import (
    DEFAULT_PREFIX,
    check_capacity,
    check_plan,
    unsupported,
)
from wotemu_runtime.engines.swarm.specs import STACK_LABEL, image_of
from wotemu_runtime.engines.swarm.tasks import BUS, BusTask, Tasks
from wotemu_runtime.gateway.shaper_choice import netem_gaps
from wotemu_runtime.planning.models import Plan

WATCH_EVERY_S = 1.0
BUS_DEADLINE_S = 180.0


class SwarmEngine:
    """Places one plan on the swarm of the Docker daemon that the environment (DOCKER_HOST) names.

    Args:
        keep: Whether the objects stay when the run is over.
        shaper: ``tun``, ``netem`` or ``auto``.
        adopted_bus: The bus of an emulation that a coordinator created which has died. `deploy` then creates
            nothing: it adopts the objects that are there.
    """

    name = "swarm"

    def __init__(
        self, *, keep: bool = False, shaper: str = "auto", adopted_bus: BusAddress | None = None
    ) -> None:
        self._keep = keep
        self._shaper = shaper
        self._adopted_bus = adopted_bus
        self._docker: aiodocker.Docker | None = None
        self._stack = ""
        self._owned = False
        """Whether objects of that stack may be this engine's: `remove` leaves those of others alone."""
        self._watcher: asyncio.Task[None] | None = None
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self.image = image_of(None)

    def __repr__(self) -> str:
        return f"SwarmEngine({self._stack!r})"

    async def deploy(self, plan: Plan) -> Deployed:
        """Create everything, or adopt what another coordinator has created.

        Raises:
            HostError: The daemon or its swarm can't run the plan.
            InputError: The stack's name is taken.
            EmulationError: Docker refuses an object, or no machine can run the bus. Nothing is left.
        """
        self._stack = plan.stack
        self._docker = connect_docker()
        if self._adopted_bus is not None:
            self._owned = True  # who adopts an emulation removes it at its end
            self._watch_tasks(plan, self._adopted_bus)
            return self._deployed(plan, self._adopted_bus)
        try:
            bus = await self._create(plan)
        except BaseException:
            await self.remove(failed=True)
            raise
        return self._deployed(plan, bus)

    async def _create(self, plan: Plan) -> BusAddress:
        manager_id, manager_address = await self._check_swarm(plan)
        password = randomness.token_urlsafe(24)
        self._owned = True  # from here on an error may leave objects behind
        docker = self._client()
        checks_early = has_start_interval(docker.api_version)
        creation = StackCreation(docker, plan, self._shaper, has_start_interval=checks_early)
        await creation.create(manager_id, password)
        self._watch_tasks(plan, BusAddress(password, host=manager_address))
        return await self._bus_placed()

    def _watch_tasks(self, plan: Plan, bus: BusAddress) -> None:
        self._watcher = asyncio.create_task(self._watch(_replicas_of(plan), bus), name="tasks")

    def _deployed(self, plan: Plan, bus: BusAddress) -> Deployed:
        return Deployed(
            bus=bus,
            shaper="",
            roles=plan.roles,
            addresses={},
            unenforced=(*unsupported(plan), *(netem_gaps(plan) if self._shaper == "netem" else ())),
        )

    async def news(self) -> AsyncIterator[News]:
        """What happens to the tasks, as Swarm reports it.

        Raises:
            EmulationError: Watching the tasks failed; a role that is lost would go unnoticed.
        """
        while True:
            yield await self._next_news()

    async def _next_news(self) -> News:
        if self._watcher is None:
            raise EmulationError("the swarm engine is closed")
        getting = asyncio.ensure_future(self._news.get())
        # Waits for the watcher too: if it fails, no news would ever come.
        try:
            await asyncio.wait([getting, self._watcher], return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
        finally:
            getting.cancel()
        error = None if self._watcher.cancelled() else self._watcher.exception()
        raise EmulationError(
            f"its tasks can't be watched any more: {error!r}", where="Docker Swarm"
        ) from error

    def leave(self) -> None:
        """Have `remove` leave the objects: another coordinator has adopted them."""
        self._owned = False

    async def remove(self, *, failed: bool = False) -> None:
        """Remove all objects of the stack, unless they are to be kept.

        Args:
            failed: Whether the deployment failed: then they are removed in any case.
        """
        docker, self._docker = self._docker, None  # a second call returns at once
        if docker is None:
            return
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        try:
            if self._owned and (failed or not self._keep):
                await remove_stack(docker, self._stack)
        finally:
            await docker.close()

    async def _check_swarm(self, plan: Plan) -> tuple[str, str]:
        """This manager's id and address, after checking that the swarm can take the plan."""
        docker = self._client()
        try:
            # Without a version in the path, a daemon answers as its newest API does, which may differ from
            # what was tested.
            version = await docker.version()
            docker.api_version = negotiated(version)
            info = await docker.system.info()
        except (aiodocker.DockerError, OSError) as error:
            raise HostError(
                f"no answer: {error}", where="Docker", hint="start it, or name another one in DOCKER_HOST"
            ) from error
        swarm = check_daemon(info)
        if await objects_of(docker, "services", plan.stack):
            raise InputError(
                f"an emulation called {plan.stack!r} is on this swarm",
                where="--name",
                hint=f"take another name, or remove it: wotemu rm {plan.stack}",
            )
        # SubnetSize is 0, or missing, where nobody chose one.
        prefix = swarm.get("Cluster", {}).get("SubnetSize") or DEFAULT_PREFIX
        check_plan(plan, self._shaper)
        check_capacity(plan, prefix, swarm.get("Nodes", 1))
        return swarm["NodeID"], swarm["NodeAddr"]

    def _client(self) -> aiodocker.Docker:
        if self._docker is None:
            raise EmulationError("the swarm engine is closed")
        return self._docker

    # Watching

    async def _bus_placed(self) -> BusAddress:
        """The bus's address once it runs.

        Raises:
            EmulationError: The bus has failed or ended, or a machine can't run it or any other role.
        """
        try:
            async with asyncio.timeout(BUS_DEADLINE_S):
                while True:
                    match await self._next_news():
                        case BusAt(address):
                            return address
                        case Unplaced(_, error):
                            raise error
                        case RoleEnded(role, outcome) if role == BUS:
                            raise EmulationError(f"it has ended: {outcome}", where=f"service {BUS}")
        except TimeoutError:
            raise EmulationError(f"it does not run after {BUS_DEADLINE_S:g} s", where="service bus") from None

    async def _watch(self, replicas: dict[str, list[str]], bus: BusAddress) -> None:
        """Compare the tasks once a second: Docker's events are of services and containers, not of tasks."""
        loop, docker, seen = (
            asyncio.get_running_loop(),
            self._client(),
            Tasks(replicas, adopted=self._adopted_bus is not None),
        )
        while True:
            # A manager that is busy or elects a leader fails requests for seconds; the next one may succeed.
            with contextlib.suppress(OSError, aiodocker.DockerError, aiohttp.ClientError):
                nodes = await docker.nodes.list()
                # A machine that is about to join has no description yet.
                hosts = {node["ID"]: node.get("Description", {}).get("Hostname", "") for node in nodes}
                down = frozenset(node["ID"] for node in nodes if node["Status"]["State"] == "down")
                tasks = await objects_of(docker, "tasks", self._stack, STACK_LABEL)
                for news in seen.look(tasks, hosts, down, loop.time()):
                    if isinstance(news, BusTask):  # each new task may be published at another port
                        self._news.put_nowait(BusAt(attrs.evolve(bus, port=news.port)))
                    else:
                        self._news.put_nowait(news)
            await asyncio.sleep(WATCH_EVERY_S)


def _replicas_of(plan: Plan) -> dict[str, list[str]]:
    """The replicas of each node's service, in the order of their slots."""
    replicas: dict[str, list[str]] = {}
    for replica in plan.replicas:
        replicas.setdefault(f"agent:{replica.node}", []).append(replica.name)
    return replicas
