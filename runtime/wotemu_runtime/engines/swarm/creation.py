"""Creates the Docker objects of one emulation: networks, configs, a secret and services."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable
from typing import Any, NamedTuple

import aiodocker

from wotemu.errors import EmulationError
from wotemu_runtime.engines.swarm import object_names, specs
from wotemu_runtime.engines.swarm.services import bus_service
from wotemu_runtime.engines.swarm.services import services as all_services
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.roles.container_environment import DEFAULT_PASSWORD_FILE

SUBNET_DEADLINE_S = 30.0
HEAD_START_S = 3.0
"""The other services are created so long after the bus, at most."""
SECRET = "bus-password"  # noqa: S105  # its name


class Secret(NamedTuple):
    """The secret that has the bus's password."""

    id: str
    name: str


class StackCreation:
    """Creates what `plan` needs through the client `docker` of a manager.

    Args:
        docker: The client.
        plan: The nodes and networks.
        shaper: The gateways' shaper.
        has_start_interval: Whether the manager knows a ``StartInterval`` of health checks.
    """

    def __init__(
        self, docker: aiodocker.Docker, plan: Plan, shaper: str, *, has_start_interval: bool
    ) -> None:
        self._docker = docker
        self._plan = plan
        self._shaper = shaper
        self._has_start_interval = has_start_interval

    def __repr__(self) -> str:
        return f"StackCreation({self._plan.stack!r})"

    async def create(self, manager_id: str, password: str) -> None:
        """Create everything, objects of one kind at the same time.

        Args:
            manager_id: The machine for the bus.
            password: The bus's password, for the secret.

        Raises:
            EmulationError: Docker refuses an object; what was created before is still there.
        """
        plan = self._plan
        # Networks first: services name them, and assignments contain their subnets.
        secret_id, *_ = await _all(
            self._create_secret(password), *map(self._create_network, specs.network_specs(plan))
        )
        secret = Secret(secret_id, specs.object_name(plan, SECRET))
        bus = bus_service(plan, manager_id, has_start_interval=self._has_start_interval)
        await self._create_service(bus, {}, secret)
        emulated = [network.name for network in plan.emulated]
        overlays = [specs.object_name(plan, object_names.emulated_network(name)) for name in emulated]
        found = await _all(*map(self._subnet, overlays))
        subnets = dict(zip(emulated, found, strict=True))
        made = all_services(plan, subnets, manager_id, shaper=self._shaper)
        services = [service for service in made if service.role != bus.role]
        # By name: the code's config is the same for all nodes.
        configs = {config.name: config for service in services for config in service.files.values()}
        *created, _ = await _all(*map(self._create_config, configs.values()), self._head_start(bus.name))
        ids = dict(zip(configs, created, strict=True))
        # Swarm begins with the gateways, which nodes wait for, when these are created first.
        for are_gateways in (True, False):
            batch = [service for service in services if service.is_gateway == are_gateways]
            await _all(*(self._create_service(service, ids, secret) for service in batch))

    async def _create_secret(self, password: str) -> str:
        body = {
            "Name": specs.object_name(self._plan, SECRET),
            "Labels": specs.labels(self._plan, "bus"),
            "Data": base64.b64encode(password.encode()).decode(),
        }
        return await self._post("secrets/create", body)

    async def _head_start(self, bus: str) -> None:
        """Wait until the bus's task runs, or for `HEAD_START_S`: its machine may be pulling the image.

        Swarm starts tasks in any order, all at once. The bus, which all others ask for, would be there as
        late as the last node.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                while True:
                    tasks = await self._docker.tasks.list(filters={"service": [bus]})
                    if any(task["Status"]["State"] == "running" for task in tasks):
                        return
                    await asyncio.sleep(0.1)  # Swarm has no event for it

    async def _create_network(self, spec: specs.Json) -> str:
        return await self._post("networks/create", spec)

    async def _subnet(self, network: str) -> str:
        """A network's subnet, which Swarm allocates some time after it has created the network."""
        try:
            async with asyncio.timeout(SUBNET_DEADLINE_S):
                while True:
                    details = await (await self._docker.networks.get(network)).show()
                    if configs := details["IPAM"]["Config"]:
                        return str(configs[0]["Subnet"])
                    await asyncio.sleep(0.1)  # Swarm has no event for it
        except TimeoutError:
            message = f"it has no subnet after {SUBNET_DEADLINE_S:g} s"
            hint = "remove networks that are not needed: Docker may have no more addresses for another"
            raise EmulationError(message, where=f"network {network!r}", hint=hint) from None

    async def _create_config(self, config: specs.Config) -> str:
        body = {
            "Name": config.name,
            "Labels": specs.labels(self._plan, "config"),
            "Data": base64.b64encode(config.data).decode(),
        }
        return await self._post("configs/create", body)

    async def _create_service(
        self, service: specs.SwarmService, config_ids: dict[str, str], secret: Secret
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
        if service.role.startswith("service:"):  # somebody else's image: the password is not for it
            return await self._post("services/create", service.spec)
        target = DEFAULT_PASSWORD_FILE.rpartition("/")[2]
        # A role that is root keeps the password from its app, which is not root. Other roles are an ordinary
        # user, who has to be able to read it.
        mode = 0o400 if container["User"] else 0o444
        container["Secrets"] = [
            {
                "File": {"Name": target, "UID": "0", "GID": "0", "Mode": mode},
                "SecretID": secret.id,
                "SecretName": secret.name,
            }
        ]
        return await self._post("services/create", service.spec)

    async def _post(self, path: str, body: specs.Json) -> str:
        try:
            answer = await self._docker._query_json(path, method="POST", data=body)
        except aiodocker.DockerError as error:
            raise EmulationError(error.message, where=f"{path} of {body['Name']}") from error
        return str(answer.get("ID") or answer.get("Id"))  # networks spell it Id


async def _all(*actions: Awaitable[Any]) -> list[Any]:
    """Await all at once, and raise the first error when all are done.

    A task group would cancel the others. Docker may then create an object after the removal that follows.
    """
    results = await asyncio.gather(*actions, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
