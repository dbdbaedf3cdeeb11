"""A bus in a container, spoken to as the coordinator does, and what an agent's container is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import attrs
from redis.asyncio import Redis

from tests.docker.lab import Container, Lab, output, published
from wotemu.records import Event, Log
from wotemu.scenario import Scenario, resolve
from wotemu.scenario.timeline import Timeline
from wotemu.topology.models import Topology
from wotemu_runtime.bus import BusAddress, Consumer, Streams, connect, decode_batch
from wotemu_runtime.bus.codec import pack as message
from wotemu_runtime.planning.code_bundle import digest, pack
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.planning.statsd_variables import statsd_port

PASSWORD = "open-sesame"
SECRET = "/run/secrets/wotemu_bus"
DEADLINE_S = 60.0

Found = TypeVar("Found")


@attrs.define
class Bus:
    """A bus and all that has come over it."""

    lab: Lab
    container: Container
    address: BusAddress
    agent: Container = attrs.field(default=None)
    events: list[Event] = attrs.field(factory=list)
    rows: dict[str, list[list[Any]]] = attrs.field(factory=dict)
    timeline: Timeline | None = None
    _client: Redis | None = None
    _consumer: Consumer | None = None

    @property
    def streams(self) -> Streams:
        return Streams(self.lab.name)

    async def __aenter__(self) -> Self:
        self._client = await connect(self.address, DEADLINE_S)
        self._consumer = Consumer(self._client, self.streams.all_records())
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._client is not None
        await self._client.aclose()

    async def command(self, **command: Any) -> None:
        assert self._client is not None
        await self._client.xadd(self.streams.commands, message({**command, "id": uuid4().hex}))  # type: ignore[arg-type]

    async def begin(self) -> None:
        """An empty timeline, and T0 at once."""
        assert self._client is not None
        await self.command(
            command="timeline", timeline=Timeline(seed=1, duration_s=60.0, phases=(), changes=()).to_dict()
        )
        seconds, _ = await self._client.time()
        await self.command(command="t0", t0=float(seconds))

    async def event(self, kind: str, source: str) -> Event:
        """The next event of this kind from this role, if it comes in time."""
        return await self._until(
            lambda: next((e for e in self.events if (e.kind, e.source) == (kind, source)), None)
        )

    async def row(self, table: str) -> list[Any]:
        return await self._until(lambda: next(iter(self.rows.get(table, [])), None))

    async def log(self, replica: str, start: str) -> list[str]:
        """The lines that the replica printed, once one begins so."""

        def found() -> list[str] | None:
            lines = [row[3] for row in self.rows.get(Log.TABLE, []) if row[1] == replica]
            return [line for line in lines if line.startswith(start)] or None

        return await self._until(found)

    async def _until(self, found: Callable[[], Found | None]) -> Found:
        assert self._consumer is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for entries in self._consumer.batches(200):
                    for _, _, fields in entries:
                        table, rows = decode_batch(fields)
                        self.rows.setdefault(table, []).extend(rows)
                        self.events += [Event(*row) for row in rows if table == Event.TABLE]
                    if (value := found()) is not None:
                        return value
        except TimeoutError:
            printed = await output(self.agent) if self.agent is not None else ""
            raise AssertionError(f"not in time; events {self.events}; the agent printed {printed}") from None
        raise AssertionError("the consumer never ends")


async def start_bus(lab: Lab) -> Bus:
    """A bus on a network of its own, published on the manager."""
    network = await lab.network()
    container = await lab.start(
        "bus",
        ExposedPorts={"6379/tcp": {}},
        HostConfig={"NetworkMode": network, **published(6379)},
        NetworkingConfig={"EndpointsConfig": {network: {"Aliases": ["bus"]}}},
        files={SECRET: (PASSWORD.encode(), 0o444)},
    )
    address = BusAddress(PASSWORD, host=await lab.address(), port=await lab.published(container, 6379))
    return Bus(lab, container, address)


def agent_files(
    topology: Topology, scenario: Scenario, stack: str, root: Path, *, name: str
) -> tuple[list[str], dict[str, tuple[bytes, int]]]:
    """The environment and the files of the container of the replica called `name`."""
    timeline, _ = resolve(topology, scenario)
    plan = make_plan(topology, timeline, stack=stack, root=root)
    replica = plan.replica(name)
    bundle = pack(root)
    data = {
        "replica": replica.name,
        "kind": replica.kind,
        "is_wot": replica.app is not None,
        "port_mqtt": topology.ports.mqtt,
        "port_coap": topology.ports.coap,
        "has_limiter": False,
        "statsd_port": statsd_port(replica),
        "cgroups": [],
        "cpu_limit": None,
        "mem_limit_bytes": None,
        "subnets": {},
        "nodes": {},
        "program": {
            "app": None if replica.app is None else replica.app.to_dict(),
            "command": list(replica.command),
            "env": dict(replica.env),
            "cwd": str(root),
        },
        "bundle": {"path": "/run/wotemu/bundle", "digest": digest(bundle)},
    }
    orders = {"name": f"agent:{replica.name}", "stack": stack, "bus": {"host": "bus"}, "data": data}
    files = {
        "/run/wotemu/assignment.json": (json.dumps(orders).encode(), 0o444),
        "/run/wotemu/bundle": (bundle, 0o444),
        SECRET: (PASSWORD.encode(), 0o400),
    }
    return ["WOTEMU_ASSIGNMENT=/run/wotemu/assignment.json"], files
