"""The swarm engine: creates networks, configs, secrets and services, and watches their tasks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets as randomness
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiodocker
import aiohttp
import attrs

from wotemu.errors import EmulationError, HostError, InputError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.engine import BusAt, Deployed, News, Unplaced
from wotemu_runtime.engines.swarm import object_names, specs
from wotemu_runtime.engines.swarm.api_version import check_daemon, negotiated
from wotemu_runtime.engines.swarm.capacity import DEFAULT_PREFIX, check_capacity
from wotemu_runtime.engines.swarm.removal import objects_of, remove_stack
from wotemu_runtime.engines.swarm.requirements import unmet
from wotemu_runtime.engines.swarm.services import services as all_services
from wotemu_runtime.engines.swarm.tasks import BusTask, Tasks
from wotemu_runtime.gateway.shaper_choice import netem_gaps
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.roles.container_environment import DEFAULT_PASSWORD_FILE

WATCH_EVERY_S = 1.0
BUS_DEADLINE_S = 180.0
SUBNET_DEADLINE_S = 30.0


class SwarmEngine:
    """Places one plan on the swarm of the Docker daemon that the environment (DOCKER_HOST) names."""

    name = "swarm"

    def __init__(self, *, keep: bool = False, shaper: str = "auto") -> None:
        self._keep = keep
        self._shaper = shaper
        self._docker: aiodocker.Docker | None = None
        self._stack = ""
        self._made = False
        """Whether objects of that stack may be ours: another's are never removed."""
        self._watcher: asyncio.Task[None] | None = None
        self._news: asyncio.Queue[News] = asyncio.Queue()

    def __repr__(self) -> str:
        return f"SwarmEngine({self._stack!r})"

    async def deploy(self, plan: Plan) -> Deployed:
        """Create everything concurrently; an error removes what was made."""
        self._open(plan)
        try:
            manager_id, manager_address = await self._check_swarm(plan)
            password = randomness.token_urlsafe(24)
            self._made = True
            await self._create(plan, manager_id, password)
            bus = BusAddress(password, host=manager_address)
            self._watch_tasks(plan, bus)
            bus = await self._bus_placed()
        except BaseException:
            await self.remove(failed=True)
            raise
        return self._deployed(plan, bus)

    async def take_over(self, plan: Plan, bus: BusAddress) -> Deployed:
        """Go on with what another process has created."""
        self._open(plan)
        self._made = True
        self._watch_tasks(plan, bus)
        return self._deployed(plan, bus)

    def _open(self, plan: Plan) -> None:
        self._stack = plan.stack
        self._docker = connect_docker()

    def _watch_tasks(self, plan: Plan, bus: BusAddress) -> None:
        self._watcher = asyncio.create_task(self._watch(_replicas_of(plan), bus), name="tasks")

    def _deployed(self, plan: Plan, bus: BusAddress) -> Deployed:
        return Deployed(
            bus=bus,
            shaper="",
            roles=plan.roles,
            addresses={},
            unenforced=(*unmet(plan), *(netem_gaps(plan) if self._shaper == "netem" else ())),
        )

    async def news(self) -> AsyncIterator[News]:
        """What becomes of the tasks; `EmulationError` where they can't be watched any more."""
        while True:
            yield await self._next_news()

    async def _next_news(self) -> News:
        if self._watcher is None:
            raise EmulationError("the swarm engine is closed")
        getting = asyncio.ensure_future(self._news.get())
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
        """Have `remove` remove nothing from now on."""
        self._made = False

    async def remove(self, *, failed: bool = False) -> None:
        """Remove all objects of the stack, unless they are to be kept."""
        docker, self._docker = self._docker, None
        if docker is None:
            return
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        try:
            if self._made and (failed or not self._keep):
                await remove_stack(docker, self._stack)
        finally:
            await docker.close()

    # Creating

    async def _check_swarm(self, plan: Plan) -> tuple[str, str]:
        """This manager's id and address; the stack's name must be free."""
        docker = self._client()
        try:
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
        prefix = swarm.get("Cluster", {}).get("SubnetSize") or DEFAULT_PREFIX
        check_capacity(plan, prefix, swarm.get("Nodes", 1))
        return swarm["NodeID"], swarm["NodeAddr"]

    async def _create(self, plan: Plan, manager_id: str, password: str) -> None:
        emulated = [network.name for network in plan.emulated]
        await _all(*(self._create_network(spec) for spec in specs.network_specs(plan)))
        overlays = [specs.object_name(plan, object_names.emulated_network(name)) for name in emulated]
        found = await _all(*map(self._subnet, overlays))
        subnets = dict(zip(emulated, found, strict=True))
        services = all_services(plan, subnets, manager_id, shaper=self._shaper)
        secret_name = specs.object_name(plan, "bus-password")
        secret_id = await self._post(
            "secrets/create",
            {
                "Name": secret_name,
                "Labels": specs.labels(plan, "bus"),
                "Data": base64.b64encode(password.encode()).decode(),
            },
        )
        configs = {config.name: config for service in services for config in service.files.values()}
        ids = dict(
            zip(configs, await _all(*(self._create_config(plan, c) for c in configs.values())), strict=True)
        )
        await _all(*(self._create_service(service, ids, secret_id, secret_name) for service in services))

    async def _create_network(self, spec: specs.Json) -> str:
        return await self._post("networks/create", spec)

    async def _subnet(self, network: str) -> str:
        """The subnet that Swarm allocates, a moment after it has made the network."""
        try:
            async with asyncio.timeout(SUBNET_DEADLINE_S):
                while True:
                    details = await (await self._client().networks.get(network)).show()
                    if configs := details["IPAM"]["Config"]:
                        return str(configs[0]["Subnet"])
                    await asyncio.sleep(0.1)  # Swarm tells nobody
        except TimeoutError:
            message = f"it has no subnet after {SUBNET_DEADLINE_S:g} s"
            hint = "remove networks that nobody needs: Docker may have no more addresses for another"
            raise EmulationError(message, where=f"network {network!r}", hint=hint) from None

    async def _create_config(self, plan: Plan, config: specs.Config) -> str:
        body = {
            "Name": config.name,
            "Labels": specs.labels(plan, "config"),
            "Data": base64.b64encode(config.data).decode(),
        }
        return await self._post("configs/create", body)

    async def _create_service(
        self, service: specs.SwarmService, config_ids: dict[str, str], secret_id: str, secret_name: str
    ) -> str:
        container = service.spec["TaskTemplate"]["ContainerSpec"]
        container["Configs"] = [
            {
                "File": {"Name": target, "UID": "0", "GID": "0", "Mode": 0o444},
                "ConfigID": config_ids[config.name],
                "ConfigName": config.name,
            }
            for target, config in service.files.items()
        ]
        if service.role.startswith("service:"):
            return await self._post("services/create", service.spec)
        target = DEFAULT_PASSWORD_FILE.rpartition("/")[2]
        mode = 0o400 if container["User"] else 0o444
        container["Secrets"] = [
            {
                "File": {"Name": target, "UID": "0", "GID": "0", "Mode": mode},
                "SecretID": secret_id,
                "SecretName": secret_name,
            }
        ]
        return await self._post("services/create", service.spec)

    async def _post(self, path: str, body: specs.Json) -> str:
        try:
            answer = await self._client()._query_json(path, method="POST", data=body)
        except aiodocker.DockerError as error:
            raise EmulationError(error.message, where=f"{path} of {body['Name']}") from error
        return str(answer.get("ID") or answer.get("Id"))

    def _client(self) -> aiodocker.Docker:
        if self._docker is None:
            raise EmulationError("the swarm engine is closed")
        return self._docker

    # Watching

    async def _bus_placed(self) -> BusAddress:
        """Where the bus listens; `EmulationError` where that, or anything else, can't be placed."""
        try:
            async with asyncio.timeout(BUS_DEADLINE_S):
                while True:
                    match await self._next_news():
                        case BusAt(address):
                            return address
                        case Unplaced(_, error):
                            raise error
        except TimeoutError:
            raise EmulationError(f"it does not run after {BUS_DEADLINE_S:g} s", where="service bus") from None

    async def _watch(self, replicas: dict[str, list[str]], bus: BusAddress) -> None:
        """Look at the tasks once a second: Swarm tells of no change of theirs by itself."""
        loop, docker, seen = asyncio.get_running_loop(), self._client(), Tasks(replicas)
        while True:
            with contextlib.suppress(OSError, aiodocker.DockerError, aiohttp.ClientError):
                nodes = await docker.nodes.list()
                # A machine that is about to join has no description yet.
                hosts = {node["ID"]: node.get("Description", {}).get("Hostname", "") for node in nodes}
                down = frozenset(node["ID"] for node in nodes if node["Status"]["State"] == "down")
                tasks = await objects_of(docker, "tasks", self._stack, specs.STACK_LABEL)
                for news in seen.look(tasks, hosts, down, loop.time()):
                    if isinstance(news, BusTask):
                        self._news.put_nowait(BusAt(attrs.evolve(bus, port=news.port)))
                    else:
                        self._news.put_nowait(news)
            await asyncio.sleep(WATCH_EVERY_S)


def connect_docker() -> aiodocker.Docker:
    """A client of the daemon that DOCKER_HOST names, or of this machine's."""
    try:
        return aiodocker.Docker()
    except (ValueError, aiodocker.DockerError) as error:
        raise HostError(
            f"no daemon: {error}", where="Docker", hint="start it, or name another one in DOCKER_HOST"
        ) from error


def _replicas_of(plan: Plan) -> dict[str, list[str]]:
    """The replicas of each node's service, in the order of their slots."""
    replicas: dict[str, list[str]] = {}
    for replica in plan.replicas:
        replicas.setdefault(f"agent:{replica.node}", []).append(replica.name)
    return replicas


async def _all(*actions: Awaitable[Any]) -> list[Any]:
    """All of them at once; the first error is raised when all are done, so that nothing is half made."""
    results = await asyncio.gather(*actions, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
