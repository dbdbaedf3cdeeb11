"""The Docker API proxy before a daemon's socket: what comes through, what does not, and who is cut off."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.docker.conftest import Client, parse
from tests.docker.fake_docker import OTHER, SECRET, STACK, service
from tests.docker.test_proxy_decision import REFUSED
from wotemu_runtime.docker_proxy import Proxy, ProxyLimits

SENDABLE = [row for row in REFUSED if row[1].isascii() and not set(row[1]) & set(" \r\n\t\0")]
LISTS = ["services", "tasks", "networks", "nodes"]


async def test_ping_and_version_are_trimmed(client: Client) -> None:
    """A client can find out which API to speak, and no more."""
    ping = await client.get("/_ping")
    assert (ping.status, ping.body, ping.headers["api-version"]) == (200, b"OK", "1.41")
    assert (await client.get("/v1.41/version")).json == {"ApiVersion": "1.41", "Os": "linux"}
    head = await client.ask("HEAD", "/_ping")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("kind", LISTS)
async def test_a_list_has_the_stacks_own(client: Client, kind: str) -> None:
    """Each list has the one object of two that is this stack's, without a secret."""
    answer = await client.get(f"/v1.41/{kind}")
    assert answer.status == 200
    assert answer.whole
    assert len(answer.json) == 1
    assert STACK in json.dumps(answer.json)
    assert SECRET not in str(answer)
    assert OTHER not in str(answer)


@pytest.mark.parametrize(
    "path", ["services/{}-sensor-service", "tasks/{}-sensor-task", "networks/{}-net", "nodes/{}-node"]
)
async def test_one_object_only_if_it_is_the_stacks(client: Client, path: str) -> None:
    """The stack's own object is there; another's is as good as one that is not."""
    mine = await client.get(f"/{path.format(STACK)}")
    assert mine.status == 200
    assert SECRET not in str(mine)
    others, nobodys = (
        await client.get(f"/{path.format(OTHER)}"),
        await client.get(f"/{path.format('nobody')}"),
    )
    assert others.status == nobodys.status == 404
    assert others.message.replace(OTHER, "X") == nobodys.message.replace("nobody", "X")
    assert SECRET not in str(nobodys)


async def test_what_roles_need_is_there(client: Client) -> None:
    """Addresses, states and places come through."""
    (task,) = (await client.get("/tasks")).json
    assert task["NetworksAttachments"][0]["Addresses"] == ["10.0.1.3/24"]
    assert task["Status"] == {"State": "failed", "ContainerStatus": {"ExitCode": 1}}
    (network,) = (await client.get("/networks")).json
    assert network["IPAM"]["Config"] == [{"Subnet": "10.0.1.0/24"}]
    assert network["Containers"] == {"c1": {"Name": "sensor", "IPv4Address": "10.0.1.3/24"}}
    (node,) = (await client.get("/nodes")).json
    assert node["Description"]["Hostname"] == f"{STACK}-host"
    (found,) = (await client.get("/services")).json
    assert found["Spec"]["TaskTemplate"]["ContainerSpec"] == {
        "Image": "wotemu:latest",
        "Labels": {"com.docker.stack.namespace": STACK},
    }


@pytest.mark.parametrize(("method", "target", "headers", "reason"), SENDABLE)
async def test_a_refused_request_never_reaches_docker(
    client: Client, method: str, target: str, headers: dict[str, str], reason: str
) -> None:
    """Each row of the table, sent over a socket, is answered with a refusal, and Docker hears nothing."""
    answer = await client.ask(method, target, headers)
    assert answer.status in {400, 403}
    if method == "HEAD":
        assert answer.body == b""
    elif answer.status == 403:
        assert reason in answer.message
    else:
        assert answer.message
    assert client.docker.asked == []


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /services\r\n\r\n",
        b"GET /services HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /services HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        b"GET /services HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /services HTTP/1.1\r\nHost : x\r\nTransfer-Encoding : chunked\r\n\r\n",
        b"GET /services HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET /services\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /services HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /services HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_no_proper_request_is_refused(client: Client, request_: bytes) -> None:
    """Smuggling, folding, endless headers and other protocols come to nothing."""
    received = await client.raw(request_)
    assert not received or parse(received).status in {400, 403}
    assert client.docker.asked == []


async def test_one_request_a_connection(client: Client) -> None:
    """What follows the first request on its connection is never read."""
    request = b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
    received = await client.raw(request + request)
    assert received.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in received.lower()
    assert client.docker.asked == ["GET /_ping"]


async def test_after_a_refused_upgrade_nothing_passes(client: Client) -> None:
    """No bytes are tunnelled to Docker."""
    upgrade = b"GET /services HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    received = await client.raw(upgrade + b"POST /containers/create HTTP/1.1\r\nHost: x\r\n\r\n")
    assert parse(received).status == 403
    assert client.docker.asked == []


async def test_docker_is_asked_in_the_proxys_own_words(client: Client) -> None:
    """No header of a client's reaches Docker, and filters go on in one form."""
    target = "/services?filters=%7B%22name%22%3A%7B%22b%22%3Atrue%7D%7D"
    await client.ask("GET", target, {"X-Registry-Auth": "abc", "Cookie": "a=b", "Authorization": "Basic x"})
    assert client.docker.asked == ["GET /services?filters=%7B%22name%22%3A%5B%22b%22%5D%7D"]
    (headers,) = client.docker.headers
    assert {name.lower() for name in headers} <= {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
    }


async def test_a_long_list_streams(client: Client) -> None:
    """The first objects arrive while Docker has not sent the last, and all of them in the end."""
    client.docker.services = [service(STACK, f"node-{i}") for i in range(1000)]
    client.docker.stalls = asyncio.Event()
    reader, writer = await asyncio.open_connection(*client.address, limit=1 << 24)
    writer.write(b"GET /services HTTP/1.1\r\nHost: x\r\n\r\n")
    early = await reader.readuntil(b"node-500")
    client.docker.stalls.set()
    answer = parse(early + await reader.read())
    writer.close()
    assert answer.whole
    assert [found["ID"] for found in answer.json] == [f"{STACK}-node-{i}-service" for i in range(1000)]


async def test_an_empty_list_is_one(client: Client) -> None:
    """A stack without services gets an empty list."""
    client.docker.services = []
    assert (await client.get("/services")).json == []
    assert (await client.get("/tasks")).json == []


async def test_a_list_to_http_1_0(client: Client) -> None:
    """An old client gets the same without chunks."""
    received = await client.raw(b"GET /services HTTP/1.0\r\n\r\n")
    assert len(parse(received).json) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[", "ended too early"),
        (b'{"a":1}', "not an array"),
        (b"[1]", "not an array"),
        (b"[{]", "ended too early"),
    ],
)
async def test_a_list_that_is_none(client: Client, body: bytes, message: str) -> None:
    """What Docker never sends is an error of its own, not an empty list."""
    client.docker.raw["/services"] = body
    answer = await client.get("/services")
    assert (answer.status, message in answer.message) == (502, True)


async def test_a_list_that_breaks_off_is_not_whole(client: Client) -> None:
    """A client can tell that objects are missing."""
    client.docker.raw["/services"] = json.dumps([service(STACK, "a")]).encode()[:-1]
    assert not (await client.get("/services")).whole


@pytest.mark.parametrize(("status", "told"), [(400, 400), (404, 404), (500, 502), (503, 502), (301, 502)])
async def test_dockers_errors_come_without_its_words(client: Client, status: int, told: int) -> None:
    """Docker's messages may quote secrets: the proxy says it in its own."""
    client.docker.status["/services/x"] = status
    answer = await client.get("/services/x")
    assert answer.status == told
    assert answer.message
    assert SECRET not in str(answer)


async def test_no_docker_is_a_bad_gateway(client: Client) -> None:
    """A daemon that is away is said to be."""
    client.docker.path.unlink()
    answer = await client.get("/services")
    assert (answer.status, answer.message) == (502, "the Docker daemon can't be reached")


class TestLimits:
    """Small ones, so that they are met at once."""

    @pytest.fixture
    def limits(self) -> ProxyLimits:
        return ProxyLimits(
            connections=3,
            connections_per_client=2,
            connection_s=0.5,
            docker_s=0.2,
            object_bytes=5000,
            answer_bytes=10_000,
        )

    async def test_a_docker_that_hangs(self, client: Client) -> None:
        """The client hears of it in time."""
        client.docker.services, client.docker.stalls = [], asyncio.Event()
        answer = await client.get("/services")
        assert (answer.status, answer.message) == (504, "the Docker daemon did not answer in time")

    async def test_a_client_that_says_nothing(self, client: Client) -> None:
        """It is cut off when its time is up."""
        began_s = time.monotonic()
        assert await client.raw(b"") == b""
        assert await client.raw(b"GET /services HTT") == b""
        assert time.monotonic() - began_s < 3

    async def test_too_many_clients(self, client: Client) -> None:
        """Those above the limit are cut off; when one leaves, the next is served."""
        sources = ("127.0.0.1", "127.0.0.1", "127.0.0.2")
        held = [await asyncio.open_connection(*client.address, local_addr=(source, 0)) for source in sources]
        assert await client.raw(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        for reader, writer in held:
            assert await reader.read() == b""  # their time is up
            writer.close()
        assert (await client.get("/_ping")).status == 200

    async def test_one_client_keeps_no_other_out(self, client: Client) -> None:
        """It has its own share of the connections; those of another address are served."""
        held = [await asyncio.open_connection(*client.address) for _ in range(2)]
        request = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await client.raw(request) == b""
        reader, writer = await asyncio.open_connection(*client.address, local_addr=("127.0.0.2", 0))
        writer.write(request)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        for _, each in [*held, (reader, writer)]:
            each.close()

    @pytest.mark.parametrize("path", ["/services/big", "/services"])
    async def test_an_object_that_is_too_large(self, client: Client, path: str) -> None:
        """The proxy's memory is not a client's to fill."""
        big: Any = service(STACK, "big" * 3000)
        client.docker.raw[path] = json.dumps(big if path.endswith("big") else [big]).encode()
        assert (await client.get(path)).status == 502

    async def test_an_answer_that_is_too_large(self, client: Client) -> None:
        """It is cut short, and can be told from a whole one."""
        client.docker.services = [service(STACK, f"node-{i}") for i in range(100)]
        answer = await client.get("/services")
        assert not answer.whole
        assert len(answer.body) < 11_000

    async def test_a_body_is_not_read(self, client: Client) -> None:
        """However much a client wants to send."""
        head = b"POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
        received = await client.raw(head + b"x" * 1_000_000)
        assert not received or parse(received).status == 403
        assert client.docker.asked == []


async def test_leaving_ends_what_goes_on(client: Client) -> None:
    """A proxy that stops waits for nobody."""
    proxy = Proxy(STACK, str(client.docker.path))
    async with proxy.listening("127.0.0.1", 0) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET")
        await writer.drain()
    assert await reader.read() == b""
    writer.close()
