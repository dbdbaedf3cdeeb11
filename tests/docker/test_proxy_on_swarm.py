"""The Docker API proxy before a real manager, asked by a real client, with another stack beside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiodocker
import attrs
import pytest

from tests.docker.conftest import Client
from tests.docker.lab import Container, Lab, output, published
from tests.docker.test_proxy_decision import REFUSED

pytestmark = pytest.mark.docker

SECRET = "hunter2"
SENDABLE = [row for row in REFUSED if row[1].isascii() and not set(row[1]) & set(" \r\n\t\0")]


@attrs.frozen
class Proxied:
    """A stack on a swarm, and a client that sees it through the proxy."""

    lab: Lab
    container: Container
    docker: aiodocker.Docker
    client: Client
    service: str
    others_service: str


@pytest.fixture
async def proxied(lab: Lab, docker: Any) -> AsyncIterator[Proxied]:
    """Two stacks of one service each, full of secrets; the proxy serves the first."""
    for stack in (lab.name, f"{lab.name}-other"):
        await _network(lab, stack)
    mine, others = [await _service(lab, stack) for stack in (lab.name, f"{lab.name}-other")]
    host = {
        "Binds": [f"{lab.manager_socket}:/var/run/docker.sock"],
        "ReadonlyRootfs": True,
        **published(2375),
    }
    environ = [f"WOTEMU_STACK={lab.name}"]
    ports: dict[str, Any] = {"2375/tcp": {}}
    container = await lab.start("proxy", Env=environ, User="0:0", ExposedPorts=ports, HostConfig=host)
    await lab.healthy(container)
    address = await lab.address(), await lab.published(container, 2375)
    async with aiodocker.Docker(url=f"http://{address[0]}:{address[1]}") as through:
        yield Proxied(lab, container, through, Client(address, docker), mine, others)


async def _network(lab: Lab, stack: str) -> None:
    network = await lab.manager.networks.create(
        {"Name": f"{stack}_field", "Driver": "overlay", "Labels": {"com.docker.stack.namespace": stack}}
    )
    lab.clean_up(network.delete)


async def _service(lab: Lab, stack: str) -> str:
    container = {
        "Image": "wotemu:latest",
        "Command": ["sleep", "300"],
        "Args": [],
        "Env": {"PASSWORD": SECRET},
        "Healthcheck": {"Test": ["NONE"]},
        "StopGracePeriod": 1_000_000,
        "Hosts": [f"10.1.1.1 {SECRET}"],
    }
    template = {"ContainerSpec": container, "Networks": [{"Target": f"{stack}_field"}]}
    labels = {"com.docker.stack.namespace": stack, "secret": SECRET}
    return await lab.service(f"{stack}_sensor", template, labels=labels, endpoint_spec={"Mode": "dnsrr"})


async def _running(docker: aiodocker.Docker) -> list[dict[str, Any]]:
    """The tasks, once there is one that runs."""
    async with asyncio.timeout(60):
        while True:
            tasks: list[dict[str, Any]] = [dict(task) for task in await docker.tasks.list()]
            if any(task["Status"]["State"] == "running" for task in tasks):
                return tasks
            await asyncio.sleep(0.3)


async def test_a_client_sees_its_stack_and_no_other(proxied: Proxied) -> None:
    """Services, tasks with their addresses, networks and machines, each without a secret."""
    docker, name = proxied.docker, proxied.lab.name
    (task,) = await _running(docker)
    assert task["ServiceID"] == proxied.service
    (attachment,) = task["NetworksAttachments"]
    assert attachment["Network"]["Spec"]["Name"] == f"{name}_field"
    assert attachment["Addresses"]
    services = [dict(service) for service in await docker.services.list()]
    networks = await docker.networks.list()
    nodes = [dict(node) for node in await docker.nodes.list()]
    assert [service["Spec"]["Name"] for service in services] == [f"{name}_sensor"]
    assert [network["Name"] for network in networks] == [f"{name}_field"]
    assert [node["ID"] for node in nodes] == [task["NodeID"]]
    assert dict(await docker.services.inspect(proxied.service))["ID"] == proxied.service
    seen = json.dumps([task, services, networks, nodes])
    assert SECRET not in seen
    assert f"{name}-other" not in seen
    assert SECRET in json.dumps(dict(await proxied.lab.manager.services.inspect(proxied.service)))


async def test_filters_are_dockers_own(proxied: Proxied) -> None:
    """A filter narrows what the stack sees, and never widens it."""
    docker, name = proxied.docker, proxied.lab.name
    assert len(await docker.services.list(filters={"name": [f"{name}_sensor"]})) == 1
    assert len(await docker.services.list(filters={"name": [f"{name}-other_sensor"]})) == 0
    assert (
        len(await docker.services.list(filters={"label": [f"com.docker.stack.namespace={name}-other"]})) == 0
    )


async def test_another_stacks_objects_are_not_there(proxied: Proxied) -> None:
    """By id, by name, and by the beginning of an id."""
    for name in (proxied.others_service, f"{proxied.lab.name}-other_sensor", proxied.others_service[:12]):
        with pytest.raises(aiodocker.DockerError, match="has no service") as raised:
            await proxied.docker.services.inspect(name)
        assert raised.value.status == 404


async def test_nothing_can_be_changed(proxied: Proxied) -> None:
    """Neither its own service nor anything else; Docker's client gets the reason."""
    attempts = [
        proxied.docker.services.delete(proxied.service),
        proxied.docker.containers.create({"Image": "wotemu:latest"}),
        proxied.docker.secrets.list(),
        proxied.docker.configs.list(),
        proxied.docker.containers.list(),
        proxied.docker.system.info(),
    ]
    for attempt in attempts:
        with pytest.raises(aiodocker.DockerError, match="wotemu's Docker API proxy refuses this") as raised:
            await attempt
        assert raised.value.status == 403
    assert dict(await proxied.lab.manager.services.inspect(proxied.service))["ID"] == proxied.service


async def test_the_whole_table_is_refused(proxied: Proxied) -> None:
    """Every request of the table, sent to the proxy in its container."""
    for method, target, headers, _ in SENDABLE:
        answer = await proxied.client.ask(method, target, headers)
        assert answer.status in {400, 403}, (method, target)
    assert (await proxied.client.get("/_ping")).status == 200
    assert "Traceback" not in await output(proxied.container)
