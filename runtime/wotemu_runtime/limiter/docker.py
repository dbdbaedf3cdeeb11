"""This machine's Docker, over its Unix socket: the containers of one stack, and their limits."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import attrs

API = "v1.41"
"""Engine 20.10's, the oldest that WoTemu takes; newer ones speak it, too."""
NAMESPACE_LABEL = "com.docker.stack.namespace"
SERVICE_LABEL = "com.docker.swarm.service.name"
TASK_LABEL = "com.docker.swarm.task.name"
REQUEST_S = 30.0
_GONE = (404, 409)
"""There is no such container, or it runs no more."""


class DockerRefusesError(Exception):
    """Docker did not do what was asked."""


class ContainerGoneError(Exception):
    """The container is there no more, or has ended."""


@attrs.frozen
class Container:
    """One task's container: its service's name without the stack's, and the task's slot, from 1."""

    id: str
    service: str
    slot: int


class Docker:
    """A client of Docker's API for the containers of one stack.

    Args:
        socket: The path of Docker's socket.
        stack: The stack's name.
    """

    def __init__(self, socket: str, stack: str) -> None:
        self._stack = stack
        self._session = aiohttp.ClientSession(
            f"http://docker/{API}/",
            connector=aiohttp.UnixConnector(socket),
            timeout=aiohttp.ClientTimeout(total=REQUEST_S),
        )

    def __repr__(self) -> str:
        return f"Docker({self._stack!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def cgroup_version(self) -> int:
        """The version of the machine's control groups."""
        async with self._asking("GET", "info") as response:
            return int((await response.json())["CgroupVersion"])

    async def containers(self) -> list[Container]:
        """Those that run."""
        async with self._asking("GET", "containers/json", filters=self._filters()) as response:
            listed = await response.json()
        found = (_container(each["Id"], each["Labels"], self._stack) for each in listed)
        return [each for each in found if each is not None]

    async def started(self) -> AsyncGenerator[Container | None, None]:
        """Containers as they start; first None, from when on none is missed. Ends where Docker hangs up."""
        filters = {**self._filters(), "type": ["container"], "event": ["start"]}
        async with self._asking("GET", "events", is_endless=True, filters=filters) as response:
            yield None
            async for line in response.content:
                actor = json.loads(line)["Actor"]
                container = _container(actor["ID"], actor["Attributes"], self._stack)
                if container is not None:
                    yield container

    async def host_config(self, container: Container) -> dict[str, Any]:
        """What a container was made with, and what was changed since."""
        async with self._asking("GET", f"containers/{container.id}/json") as response:
            return dict((await response.json())["HostConfig"])

    async def update(self, container: Container, limits: Mapping[str, int]) -> None:
        """Change limits of a container."""
        path = f"containers/{container.id}/update"
        async with self._asking("POST", path, body=limits) as response:
            # What the kernel lacks is a warning, and the limit is left out.
            if warnings := (await response.json()).get("Warnings"):
                raise DockerRefusesError(" ".join(warnings))

    def _filters(self) -> dict[str, list[str]]:
        return {"label": [f"{NAMESPACE_LABEL}={self._stack}"]}

    @asynccontextmanager
    async def _asking(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, int] | None = None,
        filters: Mapping[str, list[str]] | None = None,
        is_endless: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request.

        Raises:
            ContainerGoneError: The container is gone.
            DockerRefusesError: Docker refuses the request, or does not answer.
        """
        params = {} if filters is None else {"filters": json.dumps(filters)}
        timeout = aiohttp.ClientTimeout(total=None if is_endless else REQUEST_S)
        try:
            async with self._session.request(
                method, path, json=body, params=params, timeout=timeout
            ) as response:
                if response.status in _GONE:
                    raise ContainerGoneError(path)
                if response.status >= 400:
                    text = (await response.read()).decode(errors="replace")
                    raise DockerRefusesError(_message(text))
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DockerRefusesError(f"no answer: {error}") from error


def _container(id: str, labels: Mapping[str, str], stack: str) -> Container | None:
    """A container by its labels; None where it is no task of a service with slots."""
    service, task = labels.get(SERVICE_LABEL), labels.get(TASK_LABEL, "").split(".")
    if (
        service is None or len(task) < 3 or not task[-2].isdecimal()
    ):  # a global service's has its machine's id
        return None
    return Container(id, service.removeprefix(f"{stack}_"), int(task[-2]))


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return text.strip()
