"""Creates the Docker objects of one emulation: networks, configs, a secret and services."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable
from typing import Any

import aiodocker

from wotemu.errors import EmulationError
from wotemu_runtime.engines.swarm import object_names, specs
from wotemu_runtime.engines.swarm.services import services as all_services
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.roles.container_environment import DEFAULT_PASSWORD_FILE

SUBNET_DEADLINE_S = 30.0
HEAD_START_S = 3.0
"""The nodes' services are created so long after the bus and the gateways, at most."""


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
        emulated = [network.name for network in plan.emulated]
        # Networks first: services name them, and assignments contain their subnets.
        await _all(*(self._create_network(spec) for spec in specs.network_specs(plan)))
        overlays = [specs.object_name(plan, object_names.emulated_network(name)) for name in emulated]
        found = await _all(*map(self._subnet, overlays))
        subnets = dict(zip(emulated, found, strict=True))
        services = all_services(
            plan,
            subnets,
            manager_id,
            shaper=self._shaper,
            has_start_interval=self._has_start_interval,
        )
        secret_name = specs.object_name(plan, "bus-password")
        secret_id = await self._post(
            "secrets/create",
            {
                "Name": secret_name,
                "Labels": specs.labels(plan, "bus"),
                "Data": base64.b64encode(password.encode()).decode(),
            },
        )
        # By name: the code's config is the same for all nodes.
        configs = {config.name: config for service in services for config in service.files.values()}
        ids = dict(zip(configs, await _all(*(self._create_config(c) for c in configs.values())), strict=True))
        first = [service for service in services if service.is_awaited]
        for batch in (first, [service for service in services if not service.is_awaited]):
            await _all(*(self._create_service(service, ids, secret_id, secret_name) for service in batch))
            if batch is first:
                await self._head_start(len(first))

    async def _head_start(self, services: int) -> None:
        """Wait until so many tasks run, or for `HEAD_START_S`: a machine may be pulling the image.

        Swarm starts tasks in any order, all at once. The bus and the gateways, which all others wait for,
        would be ready as late as the last node.
        """
        filters = {"label": [f"{specs.STACK_LABEL}={self._plan.stack}"]}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                while True:
                    tasks = await self._docker.tasks.list(filters=filters)
                    if sum(task["Status"]["State"] == "running" for task in tasks) >= services:
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
        if service.role.startswith("service:"):  # somebody else's image: the password is not for it
            return await self._post("services/create", service.spec)
        target = DEFAULT_PASSWORD_FILE.rpartition("/")[2]
        # A role that is root keeps the password from its app, which is not root. Other roles are an ordinary
        # user, who has to be able to read it.
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
