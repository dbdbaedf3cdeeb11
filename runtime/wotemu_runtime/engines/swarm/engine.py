"""The swarm engine: creates networks, configs, secrets and services, and watches their tasks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets as randomness
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiodocker

from wotemu.errors import EmulationError, HostError, InputError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.engine import Deployed, RoleEnded
from wotemu_runtime.engines.shapers import beyond_netem
from wotemu_runtime.engines.swarm import objects
from wotemu_runtime.engines.swarm.daemon import check_daemon, negotiated
from wotemu_runtime.engines.swarm.demands import unmet
from wotemu_runtime.engines.swarm.removal import objects_of, remove_stack
from wotemu_runtime.engines.swarm.services import expected
from wotemu_runtime.engines.swarm.services import services as all_services
from wotemu_runtime.plan import Plan
from wotemu_runtime.roles.orders import DEFAULT_PASSWORD_FILE

WATCH_EVERY_S = 1.0
BUS_DEADLINE_S = 180.0
SUBNET_DEADLINE_S = 30.0
UNPLACED_AFTER_S = 8.0
MAX_FAILURES = 5

FAILED = frozenset({"rejected", "failed", "orphaned"})
OVER = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})


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
        self._replicas: dict[str, list[str]] = {}
        self._failures: dict[str, set[str]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._ended: asyncio.Queue[RoleEnded] = asyncio.Queue()
        self._trouble: asyncio.Future[None] | None = None
        self._bus_port: asyncio.Future[int] | None = None

    def __repr__(self) -> str:
        return f"SwarmEngine({self._stack!r})"

    async def deploy(self, plan: Plan) -> Deployed:
        """Create everything concurrently; an error removes what was made."""
        bus_port = self._open(plan)
        try:
            manager_id, manager_address = await self._check_swarm(plan)
            password = randomness.token_urlsafe(24)
            self._made = True
            await self._create(plan, manager_id, password)
            self._watcher = asyncio.create_task(self._watch(), name="tasks")
            port = await self._first(bus_port, BUS_DEADLINE_S, "placing the bus")
        except BaseException:
            await self.remove(failed=True)
            raise
        return self._deployed(plan, BusAddress(password, host=manager_address, port=port))

    async def take_over(self, plan: Plan, bus: BusAddress) -> Deployed:
        """Go on with what another process has created."""
        self._open(plan)
        self._made = True
        self._watcher = asyncio.create_task(self._watch(), name="tasks")
        return self._deployed(plan, bus)

    def _open(self, plan: Plan) -> asyncio.Future[int]:
        """Get ready for this plan; the bus's port, once it is known."""
        loop = asyncio.get_running_loop()
        self._stack = plan.stack
        self._trouble, self._bus_port = loop.create_future(), loop.create_future()
        self._replicas = _replicas_of(plan)
        self._docker = connect_docker()
        return self._bus_port

    def _deployed(self, plan: Plan, bus: BusAddress) -> Deployed:
        return Deployed(
            bus=bus,
            shaper="",
            roles=expected(plan),
            addresses={},
            unenforced=(*unmet(plan), *(beyond_netem(plan) if self._shaper == "netem" else ())),
        )

    async def ended_roles(self) -> AsyncIterator[RoleEnded]:
        """Roles that are over for good; a task that Swarm starts again is not."""
        while True:
            yield await self._ended.get()

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
        return swarm["NodeID"], swarm["NodeAddr"]

    async def _create(self, plan: Plan, manager_id: str, password: str) -> None:
        emulated = [network.name for network in plan.emulated]
        networks = objects.network_specs(plan)
        await _all(*(self._create_network(spec) for spec in networks.values()))
        found = await _all(*(self._subnet(networks[name]["Name"]) for name in emulated))
        subnets = dict(zip(emulated, found, strict=True))
        services = all_services(plan, subnets, manager_id, shaper=self._shaper)
        secret_name = objects.object_name(plan, "bus-password")
        secret_id = await self._post(
            "secrets/create",
            {
                "Name": secret_name,
                "Labels": objects.labels(plan, "bus"),
                "Data": base64.b64encode(password.encode()).decode(),
            },
        )
        configs = {config.name: config for service in services for config in service.files.values()}
        ids = dict(
            zip(configs, await _all(*(self._create_config(plan, c) for c in configs.values())), strict=True)
        )
        await _all(*(self._create_service(service, ids, secret_id, secret_name) for service in services))

    async def _create_network(self, spec: objects.Json) -> str:
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

    async def _create_config(self, plan: Plan, config: objects.Config) -> str:
        body = {
            "Name": config.name,
            "Labels": objects.labels(plan, "config"),
            "Data": base64.b64encode(config.data).decode(),
        }
        return await self._post("configs/create", body)

    async def _create_service(
        self, service: objects.SwarmService, config_ids: dict[str, str], secret_id: str, secret_name: str
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

    async def _post(self, path: str, body: objects.Json) -> str:
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

    async def _first(self, future: asyncio.Future[int], deadline_s: float, doing: str) -> int:
        """The future's result, or the first trouble that a task has."""
        trouble = self._trouble
        if trouble is None:
            raise EmulationError("the swarm engine is closed")
        waited: list[asyncio.Future[Any]] = [future, trouble]
        await asyncio.wait(waited, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if trouble.done():
            trouble.result()
        if not future.done():
            raise EmulationError(f"{doing} took more than {deadline_s:g} s", where="swarm")
        return future.result()

    async def _watch(self) -> None:
        """Look at the tasks once a second: Swarm tells of no change of theirs by itself."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        over: set[str] = set()
        while True:
            with contextlib.suppress(OSError, aiodocker.DockerError):
                for task in await objects_of(self._client(), "tasks", self._stack, objects.STACK_LABEL):
                    self._look_at(task, loop.time() - started_s, over)
            await asyncio.sleep(WATCH_EVERY_S)

    def _look_at(self, task: dict[str, Any], age_s: float, over: set[str]) -> None:
        status = task["Status"]
        state, error = status["State"], status.get("Err", "")
        role = _role_of(task)
        if role == "bus" and state == "running" and self._bus_port is not None and not self._bus_port.done():
            for port in status.get("PortStatus", {}).get("Ports", []):
                self._bus_port.set_result(int(port["PublishedPort"]))
        if (state == "pending" and error and age_s > UNPLACED_AFTER_S) or state == "rejected":
            self._fail(EmulationError(f"it can't be placed: {error}", where=f"service {role}"))
        if task["ID"] in over:
            return
        if state == "complete":
            over.add(task["ID"])
            self._ended.put_nowait(RoleEnded(self._name_of(role, task.get("Slot", 1)), "complete"))
        elif state == "failed":
            over.add(task["ID"])
            self._count_failure(role, error, status.get("ContainerStatus", {}).get("ContainerID", ""))

    def _name_of(self, role: str, slot: int) -> str:
        """The role of one task: ``agent:reader-2`` is the second of the service of ``agent:reader``."""
        names = self._replicas.get(role)
        return f"agent:{names[slot - 1]}" if names else role

    def _count_failure(self, role: str, error: str, container: str) -> None:
        """Swarm starts a failed task again; one that fails over and over never gets anywhere."""
        failures = self._failures.setdefault(role, set())
        failures.add(container)
        if len(failures) >= MAX_FAILURES:
            self._ended.put_nowait(RoleEnded(role, f"its container failed {len(failures)} times: {error}"))

    def _fail(self, error: EmulationError) -> None:
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_exception(error)


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


def _role_of(task: dict[str, Any]) -> str:
    return str(task["Spec"]["ContainerSpec"]["Labels"][objects.ROLE_LABEL])


async def _all(*actions: Awaitable[Any]) -> list[Any]:
    """All of them at once; the first error is raised when all are done, so that nothing is half made."""
    results = await asyncio.gather(*actions, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
