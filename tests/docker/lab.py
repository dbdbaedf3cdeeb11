"""Containers on a real swarm, which are gone when the test is over."""

from __future__ import annotations

import asyncio
import io
import os
import re
import secrets
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiodocker
import attrs

HOSTS = [host for host in re.split(r"[\s,]+", os.environ.get("WOTEMU_TEST_DOCKER_HOSTS", "")) if host]
IMAGE = os.environ.get("WOTEMU_IMAGE", "wotemu:latest")
TEST_LABEL = "wotemu.test"
Container = aiodocker.docker.DockerContainer


@attrs.define
class Lab:
    """The daemons of a swarm, the manager first."""

    dockers: list[aiodocker.Docker]
    name: str = attrs.field(factory=lambda: f"wotemu-test-{secrets.token_hex(3)}")
    _cleanup: AsyncExitStack = attrs.field(factory=AsyncExitStack)

    @property
    def manager(self) -> aiodocker.Docker:
        return self.dockers[0]

    @property
    def manager_socket(self) -> str:
        """The manager's socket, as a path on its machine."""
        return HOSTS[0].removeprefix("unix://") if HOSTS[0].startswith("unix://") else "/var/run/docker.sock"

    async def machines_socket(self) -> str:
        """The socket of each machine, as a path there."""
        return await machines_socket(self.dockers)

    def clean_up(self, remove: Callable[[], Awaitable[Any]]) -> None:
        """Have something removed when the test is over, after what was started later."""
        self._cleanup.push_async_callback(_removed, remove)

    async def address(self) -> str:
        """Where the manager's published ports are."""
        return str((await self.manager.system.info())["Swarm"]["NodeAddr"])

    async def network(self) -> str:
        network = await self.manager.networks.create({"Name": self.name, "Labels": {TEST_LABEL: self.name}})
        self.clean_up(network.delete)
        return self.name

    async def start(
        self, *command: str, name: str = "", files: dict[str, tuple[bytes, int]] | None = None, **config: Any
    ) -> Container:
        """A container of the image, without capabilities unless `HostConfig` gives some."""
        host = {"CapDrop": ["ALL"], **config.pop("HostConfig", {})}
        config = {"Image": IMAGE, "Cmd": list(command), "HostConfig": host, **config}
        container = await self.manager.containers.create(config, name=f"{self.name}-{name}" if name else None)
        self._cleanup.push_async_callback(container.delete, force=True, v=True)
        if files:
            await container.put_archive("/", _tar(files))  # type: ignore[no-untyped-call]
        await container.start()
        return container

    async def service(self, name: str, template: dict[str, Any], **spec: Any) -> str:
        created = await self.manager.services.create(template, name=name, **spec)
        self._cleanup.push_async_callback(self.manager.services.delete, created["ID"])
        return str(created["ID"])

    async def published(self, container: Container, port: int) -> int:
        """The manager's port that leads to a container's."""
        shown = await container.show()
        return int(shown["NetworkSettings"]["Ports"][f"{port}/tcp"][0]["HostPort"])

    async def containers(self, name: str) -> list[Container]:
        """The running containers, on any node, whose names begin so."""
        filters = {"name": [f"^/?{name}"], "status": ["running"]}
        return [each for docker in self.dockers for each in await docker.containers.list(filters=filters)]

    async def healthy(self, container: Container, deadline_s: float = 60.0) -> None:
        """Wait for the container's health check to pass."""
        async with asyncio.timeout(deadline_s):
            while (state := (await container.show())["State"]).get("Health", {}).get("Status") != "healthy":
                assert state["Running"], await output(container)
                await asyncio.sleep(0.2)


async def machines_socket(dockers: Sequence[aiodocker.Docker]) -> str:
    """The path of Docker's socket on each machine, as a template that Docker fills in.

    `dockers` are clients of those that `HOSTS` names.
    """
    if not all(host.startswith("unix:///") for host in HOSTS):
        return "/var/run/docker.sock"
    names = [str((await docker.system.info())["Name"]) for docker in dockers]
    paths = [host.removeprefix("unix:///") for host in HOSTS]
    cases = [
        f'{{{{if eq .Node.Hostname "{name}"}}}}{path}{{{{end}}}}'
        for name, path in zip(names, paths, strict=True)
    ]
    return "/" + "".join(cases)


async def _removed(remove: Callable[[], Awaitable[Any]]) -> None:
    """Remove it as soon as Docker lets go of it: a network is in use until its last task is gone."""
    async with asyncio.timeout(30):
        while True:
            try:
                await remove()
            except aiodocker.DockerError as error:
                if error.status == 404:
                    return
                await asyncio.sleep(0.2)
            else:
                return


async def output(container: Container) -> str:
    """All that the container has printed."""
    return "".join(await container.log(stdout=True, stderr=True))


async def run(container: Container, *command: str) -> str:
    """What a command prints in the container."""
    execution = await container.exec(list(command))
    stream = execution.start(detach=False)
    printed = b""
    async with stream:
        while message := await stream.read_out():
            printed += message.data
    return printed.decode()


@asynccontextmanager
async def opened() -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        dockers = [aiodocker.Docker(url=host) for host in HOSTS]
        for docker in dockers:
            stack.push_async_callback(docker.close)
        lab = Lab(dockers)
        async with lab._cleanup:
            yield lab


def published(port: int) -> dict[str, Any]:
    """A HostConfig that publishes a port wherever there is room."""
    return {"PortBindings": {f"{port}/tcp": [{"HostPort": ""}]}}


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Files by their path, with their content and mode; they are root's."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, (content, mode) in files.items():
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()
