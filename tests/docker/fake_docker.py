"""A Docker socket that answers with two stacks' objects, full of secrets, and remembers what was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
from aiohttp import web

SECRET = "hunter2"
STACK = "quickstart"
OTHER = "payroll"


def labels(stack: str) -> dict[str, str]:
    return {"com.docker.stack.namespace": stack, "traefik.basicauth": SECRET}


def service(stack: str, name: str) -> dict[str, Any]:
    """As ``docker service inspect`` has it, with a secret wherever one may be."""
    container = {
        "Image": "wotemu:latest",
        "Labels": labels(stack),
        "Command": ["serve", f"--password={SECRET}"],
        "Args": ["--token", SECRET],
        "Env": [f"PASSWORD={SECRET}"],
        "Dir": f"/{SECRET}",
        "User": SECRET,
        "Mounts": [{"Type": "bind", "Source": f"/{SECRET}", "Target": "/x"}],
        "Healthcheck": {"Test": ["CMD", SECRET]},
        "Hosts": [f"10.0.0.1 {SECRET}"],
        "Secrets": [{"File": {"Name": SECRET}, "SecretID": SECRET, "SecretName": SECRET}],
        "Configs": [{"File": {"Name": SECRET}, "ConfigID": SECRET, "ConfigName": SECRET}],
        "Privileges": {"CredentialSpec": {"File": SECRET}},
        "Sysctls": {"net.x": SECRET},
        "Image2": {"nested": SECRET},
    }
    template = {
        "ContainerSpec": container,
        "LogDriver": {"Name": "gelf", "Options": {"gelf-address": SECRET}},
        "NetworkAttachmentSpec": {"ContainerID": SECRET},
        "Resources": {"Limits": {"NanoCPUs": 5, "Secret": SECRET}},
        "Placement": {"Constraints": ["node.role == worker"]},
        "Networks": [{"Target": f"{stack}-net", "DriverOpts": {"x": SECRET}}],
    }
    spec = {
        "Name": f"{stack}_{name}",
        "Labels": labels(stack),
        "TaskTemplate": template,
        "Mode": {"Replicated": {"Replicas": 1}},
        "UpdateConfig": {"x": SECRET},
    }
    return {
        "ID": f"{stack}-{name}-service",
        "Version": {"Index": 7},
        "Spec": spec,
        "PreviousSpec": {**spec, "Name": SECRET},
        "Endpoint": {"Spec": {"Mode": "dnsrr"}, "Ports": [{"PublishedPort": SECRET}]},
        "UpdateStatus": {"State": "paused", "Message": SECRET},
    }


def task(stack: str, name: str) -> dict[str, Any]:
    """As ``docker inspect`` of a task has it."""
    return {
        "ID": f"{stack}-{name}-task",
        "ServiceID": f"{stack}-{name}-service",
        "NodeID": f"{stack}-node",
        "Slot": 1,
        "Spec": service(stack, name)["Spec"]["TaskTemplate"],
        "Status": {
            "State": "failed",
            "Err": f'exec: "--password={SECRET}"',
            "ContainerStatus": {"ExitCode": 1},
        },
        "DesiredState": "running",
        "NetworksAttachments": [{"Network": network(stack), "Addresses": ["10.0.1.3/24"]}],
        "GenericResources": [{"NamedResourceSpec": {"Value": SECRET}}],
    }


def network(stack: str) -> dict[str, Any]:
    """As ``docker network inspect`` has it."""
    return {
        "Name": f"{stack}_field",
        "Id": f"{stack}-net",
        "ID": f"{stack}-net",
        "Driver": "overlay",
        "IPAM": {"Driver": "default", "Options": {"x": SECRET}, "Config": [{"Subnet": "10.0.1.0/24"}]},
        "Options": {"com.docker.network.driver.mtu": "1400", "encrypted": SECRET},
        "Labels": labels(stack),
        "Containers": {"c1": {"Name": "sensor", "IPv4Address": "10.0.1.3/24", "Secret": SECRET}},
        "Peers": [{"Name": SECRET, "IP": SECRET}],
        "ConfigFrom": {"Network": SECRET},
        "Spec": {"Name": f"{stack}_field", "Labels": labels(stack), "DriverConfiguration": {"x": SECRET}},
    }


def node(stack: str) -> dict[str, Any]:
    """As ``docker node inspect`` has it."""
    return {
        "ID": f"{stack}-node",
        "Spec": {"Role": "worker", "Availability": "active", "Labels": {"rack": SECRET}},
        "Description": {
            "Hostname": f"{stack}-host",
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": 2, "MemoryBytes": 3},
            "Engine": {"EngineVersion": "20.10.24", "Labels": {"x": SECRET}, "Plugins": [{"Name": SECRET}]},
            "TLSInfo": {"TrustRoot": SECRET},
        },
        "Status": {"State": "ready", "Addr": SECRET},
        "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": SECRET},
    }


@attrs.define
class FakeDocker:
    """Its lists may be replaced; `asked` has each request's line, `headers` its headers."""

    path: Path
    asked: list[str] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    services: list[dict[str, Any]] = attrs.field(factory=list)
    raw: dict[str, bytes] = attrs.field(factory=dict)
    """Bodies to answer with as they are, by path."""
    status: dict[str, int] = attrs.field(factory=dict)
    answers: dict[str, tuple[int, bytes]] = attrs.field(factory=dict)
    """Status and body to answer with as they are, by path."""
    containers: dict[str, dict[str, str]] = attrs.field(factory=dict)
    """The labels of the containers that run, by id."""
    host_configs: dict[str, dict[str, int]] = attrs.field(factory=dict)
    followers: list[asyncio.Queue[str]] = attrs.field(factory=list)
    """Of each who follows the events, the ids of the containers that started since."""
    stalls: asyncio.Event | None = None
    """Where set: a list is sent but for its last byte, which waits for it."""

    def objects(self, kind: str) -> list[dict[str, Any]]:
        stacks = (STACK, OTHER)
        made = {
            "services": self.services,
            "tasks": [task(stack, "sensor") for stack in stacks],
            "networks": [network(stack) for stack in stacks],
            "nodes": [node(stack) for stack in stacks],
        }
        return made[kind]

    def run(self, labels: dict[str, str]) -> None:
        """Start a container; its labels have its id, too."""
        self.containers[labels["Id"]] = labels
        self.host_configs[labels["Id"]] = {}
        for each in self.followers:
            each.put_nowait(labels["Id"])

    async def _containers(self, request: web.Request, path: str) -> web.StreamResponse:
        """List containers, show one, change one's limits, or tell of those that start."""
        wanted = json.loads(request.query.get("filters", "{}")).get("label", [""])[0].partition("=")
        if path == "/events":
            return await self._events(request, wanted[0], wanted[2])
        if path == "/containers/json":
            found = [each for each in self.containers.values() if each[wanted[0]] == wanted[2]]
            return web.json_response([{"Id": each["Id"], "Labels": each} for each in found])
        _, _, name, what = path.split("/")
        if name not in self.containers:
            return web.json_response({"message": f"No such container: {name}"}, status=404)
        if what == "update":
            self.host_configs[name] |= await request.json()
            return web.json_response({"Warnings": None})
        return web.json_response({"Id": name, "HostConfig": self.host_configs[name]})

    async def _events(self, request: web.Request, label: str, value: str) -> web.StreamResponse:
        started = asyncio.Queue[str]()
        self.followers.append(started)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            labels = self.containers[await started.get()]
            if labels[label] == value:
                event = {"Action": "start", "Actor": {"ID": labels["Id"], "Attributes": labels}}
                await response.write(json.dumps(event).encode() + b"\n")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.headers.append(dict(request.headers))
        path = request.path.removeprefix("/v1.41")
        if path in self.status:
            return web.json_response({"message": f"this quotes {SECRET}"}, status=self.status[path])
        if path in self.raw:
            return web.Response(body=self.raw[path], content_type="application/json")
        if path in self.answers:
            status, body = self.answers[path]
            return web.Response(body=body, status=status, content_type="application/json")
        if path == "/info":
            return web.json_response({"CgroupVersion": "1"})
        if path.startswith(("/containers/", "/events")):
            return await self._containers(request, path)
        if path == "/_ping":
            return web.Response(
                text="OK", headers={"Api-Version": "1.41", "OSType": "linux", "X-Secret": SECRET}
            )
        if path == "/version":
            return web.json_response({"ApiVersion": "1.41", "Os": "linux", "KernelVersion": SECRET})
        kind, _, name = path.removeprefix("/").partition("/")
        if not name:
            return await self._list(request, self.objects(kind))
        for found in self.objects(kind):
            if name in (found.get("ID"), found.get("Name"), found.get("Spec", {}).get("Name")):
                return web.json_response(found)
        return web.json_response({"message": f"{name} not found near {SECRET}"}, status=404)

    async def _list(self, request: web.Request, objects: list[dict[str, Any]]) -> web.StreamResponse:
        body = json.dumps(objects).encode()
        if self.stalls is None:
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(body[:-1])
        await self.stalls.wait()
        await response.write(body[-1:])
        return response


@asynccontextmanager
async def fake_docker(path: Path) -> AsyncIterator[FakeDocker]:
    """One that listens at `path` while the block runs."""
    docker = FakeDocker(path, services=[service(stack, "sensor") for stack in (STACK, OTHER)])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", docker.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield docker
    finally:
        await runner.cleanup()
