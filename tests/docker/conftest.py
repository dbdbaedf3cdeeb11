"""A proxy before a fake Docker, and raw requests to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.conftest import Require
from tests.docker.fake_docker import STACK, FakeDocker, fake_docker
from tests.docker.lab import HOSTS, Lab, opened
from wotemu_runtime.docker_proxy import Proxy, ProxyLimits


@attrs.frozen
class Answer:
    """What came back, byte for byte; `whole` says that nothing was missing."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


def parse(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    whole = True
    if headers.get("transfer-encoding") == "chunked":
        body, whole = _unchunk(body)
    return Answer(int(lines[0].split()[1]), headers, body, whole)


def _unchunk(body: bytes) -> tuple[bytes, bool]:
    data = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        if not (count := int(size, 16)):
            return data, True
        data, body = data + body[:count], body[count + 2 :]
    return data, False


@attrs.define
class Client:
    """Speaks to the proxy at `address`, in bytes."""

    address: tuple[str, int]
    docker: FakeDocker

    async def raw(self, request: bytes) -> bytes:
        """Everything that comes back until the proxy closes the connection."""
        reader, writer = await asyncio.open_connection(*self.address)
        received = b""
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            while data := await reader.read(65536):
                received += data
        writer.close()
        return received

    async def ask(self, method: str, target: str, headers: dict[str, str] | None = None) -> Answer:
        lines = [f"{method} {target} HTTP/1.1", "Host: proxy"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return parse(await self.raw("\r\n".join([*lines, "", ""]).encode()))

    async def get(self, target: str) -> Answer:
        return await self.ask("GET", target)


@pytest.fixture
def limits() -> ProxyLimits:
    """A test may put its own in the place of these."""
    return ProxyLimits(docker_s=5.0, connection_s=10.0)


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    async with fake_docker(tmp_path / "docker.sock") as docker:
        yield docker


@pytest.fixture
async def client(docker: FakeDocker, limits: ProxyLimits) -> AsyncIterator[Client]:
    async with Proxy(STACK, str(docker.path), limits).listening("127.0.0.1", 0) as address:
        yield Client(address, docker)


@pytest.fixture
async def lab(require: Require) -> AsyncIterator[Lab]:
    """A real swarm, with the image on every node."""
    require(bool(HOSTS), "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of each node of a swarm")
    async with opened() as lab:
        yield lab
