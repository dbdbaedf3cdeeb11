"""A composed stack on a swarm: its bus's address, its tasks' states and logs, and how to end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import aiodocker

from wotemu.errors import EmulationError, InputError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.swarm.docker_client import asking_docker
from wotemu_runtime.engines.swarm.specs import NAMESPACE_LABEL
from wotemu_runtime.roles.container_environment import DEFAULT_PASSWORD_FILE

STOP_DEADLINE_S = 90.0
READ_DEADLINE_S = 20.0
_OVER = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})

Json = dict[str, Any]


class Stack:
    """One stack on the swarm of `docker`, which is a manager."""

    def __init__(self, docker: aiodocker.Docker, name: str) -> None:
        self._docker = docker
        self.name = name

    def __repr__(self) -> str:
        return f"Stack({self.name!r})"

    async def services(self) -> dict[str, Json]:
        """Its services by their name in the compose file.

        Raises:
            InputError: There is no such stack.
        """
        found = await self._list("services", {"label": [f"{NAMESPACE_LABEL}={self.name}"]})
        if not found:
            hint = "docker stack ls shows those that there are"
            raise InputError(f"there is no stack {self.name!r}", where="--stack", hint=hint)
        return {service["Spec"]["Name"].removeprefix(f"{self.name}_"): service for service in found}

    async def tasks(self) -> list[Json]:
        """Its tasks, with those that ended as far as Swarm remembers them, each with its service's name."""
        ids = {service["ID"]: name for name, service in (await self.services()).items()}
        tasks = await self._list("tasks", {"service": list(ids)})
        return [{**task, "Service": ids[task["ServiceID"]]} for task in tasks]

    async def bus(self, password: str | None = None) -> BusAddress:
        """The address of its bus.

        Args:
            password: The bus's password; if None it is read in the bus's container.

        Raises:
            EmulationError: The bus does not run, is not published, or its password can't be read.
        """
        tasks = [task for task in await self.tasks() if task["Service"] == "bus"]
        running = [task for task in tasks if task["Status"]["State"] == "running"]
        if not running:
            raise EmulationError("its bus does not run", where=f"stack {self.name!r}")
        (task,) = running[:1]  # more than one for a moment, while Swarm replaces it
        ports = task["Status"].get("PortStatus", {}).get("Ports", [])
        if not ports:
            raise EmulationError("its bus is not published", where=f"stack {self.name!r}")
        swarm = (await self._docker.system.info())["Swarm"]
        is_here = task["NodeID"] == swarm["NodeID"]
        if not is_here and password is None:
            raise EmulationError(
                "its bus is on another manager, so its password can't be read here",
                where=f"stack {self.name!r}",
                hint="name that manager in DOCKER_HOST, or give --redis-url redis://:PASSWORD@HOST:PORT",
            )
        # A manager's own Status.Addr is 0.0.0.0 in some versions of Docker; NodeAddr is what it advertises.
        host = swarm["NodeAddr"] if is_here else (await self._node(task["NodeID"]))["Status"]["Addr"]
        if password is None:
            password = await self._read_password(task["Status"]["ContainerStatus"]["ContainerID"])
        return BusAddress(password, host=host, port=int(ports[0]["PublishedPort"]))

    async def _read_password(self, container: str) -> str:
        """Read the password's file in the bus's container, which a user of the Docker API may do anyway."""
        read = b""
        # aiodocker asserts that it has a connection, which a container that ends just then does not leave it.
        with contextlib.suppress(TimeoutError, aiodocker.DockerError, OSError, AssertionError):
            async with asyncio.timeout(READ_DEADLINE_S):
                bus = self._docker.containers.container(container)
                execution = await bus.exec(["cat", DEFAULT_PASSWORD_FILE])
                async with execution.start(detach=False) as stream:
                    while message := await stream.read_out():
                        read += message.data
        if not read.strip():
            raise EmulationError("its bus's password can't be read", where=f"stack {self.name!r}")
        return read.decode().strip()

    async def states(self) -> list[Json]:
        """The state of each task."""
        return [
            {
                "task": f"{task['Service']}.{task.get('Slot', 0)}",
                "id": task["ID"],
                "node": task.get("NodeID", ""),
                "state": task["Status"]["State"],
                "desired": task["DesiredState"],
                "message": task["Status"].get("Message", ""),
                "error": task["Status"].get("Err", ""),
                "exit_code": task["Status"].get("ContainerStatus", {}).get("ExitCode"),
                "t": task["Status"]["Timestamp"],
            }
            for task in sorted(await self.tasks(), key=lambda task: (task["Service"], task["CreatedAt"]))
        ]

    async def log_tail(self, task_id: str, lines: int) -> bytes:
        """The last `lines` that a task printed; nothing where its machine does not answer."""
        params = {"stdout": "1", "stderr": "1", "tail": str(lines)}
        try:
            async with self._docker._query(f"tasks/{task_id}/logs", params=params) as response:
                return _unframed(await response.read())
        except (aiodocker.DockerError, OSError):
            return b""

    async def scale_to_zero(self, names: set[str]) -> None:
        """Have services end all their tasks, and wait for that.

        Raises:
            EmulationError: Some tasks still run after `STOP_DEADLINE_S`.
        """
        services = await self.services()
        await asyncio.gather(*(self._scale(services[name]) for name in names if name in services))
        try:
            async with asyncio.timeout(STOP_DEADLINE_S):
                while await self._lives(names):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)  # Swarm has no event for it
        except TimeoutError:
            left = ", ".join(sorted(await self._lives(names)))
            raise EmulationError(f"still there after {STOP_DEADLINE_S:g} s: {left}", where="swarm") from None

    async def _scale(self, service: Json) -> None:
        spec = {**service["Spec"]}
        if "Global" in spec["Mode"]:  # has no number of tasks: no machine fits it any more
            template = dict(spec["TaskTemplate"])
            spec["TaskTemplate"] = template | {"Placement": {"Constraints": ["node.id==none"]}}
        else:
            spec["Mode"] = {"Replicated": {"Replicas": 0}}
        # An update replaces the whole spec; the version keeps it from overwriting somebody else's.
        path, params = f"services/{service['ID']}/update", {"version": str(service["Version"]["Index"])}
        await self._docker._query_json(path, method="POST", params=params, data=spec)

    async def _lives(self, names: set[str]) -> set[str]:
        tasks = await self.tasks()
        return {t["Service"] for t in tasks if t["Service"] in names and t["Status"]["State"] not in _OVER}

    async def _node(self, node_id: str) -> Json:
        return dict(await self._docker.nodes.inspect(node_id=node_id))

    async def _list(self, kind: str, filters: Json) -> list[Json]:
        with asking_docker():
            return await self._docker._query_json(kind, params={"filters": json.dumps(filters)}) or []


def _unframed(data: bytes) -> bytes:
    """The text in Docker's multiplexed stream of frames: stream number, 3 bytes of padding, length, text."""
    text = b""
    while len(data) >= 8:
        size = int.from_bytes(data[4:8], "big")  # Engine API, "Attach to a container": stream format
        text, data = text + data[8 : 8 + size], data[8 + size :]
    return text
