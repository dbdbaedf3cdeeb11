"""Connections to the swarm of DOCKER_HOST, and to the event buses on it."""

from __future__ import annotations

import getpass
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from wotemu_runtime.bus import BusAddress, connect
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.engines.swarm import needing_docker_client

if TYPE_CHECKING:
    import aiodocker

    from wotemu_runtime.engines.swarm.stack import Stack

COORDINATOR = "coordinator"
"""Service of the coordinator in a composed stack."""


@asynccontextmanager
async def docker_client() -> AsyncIterator[aiodocker.Docker]:
    """A client of the manager, closed after the block; `HostError` without its package or its answer."""
    with needing_docker_client("Docker Swarm"):
        from wotemu_runtime.engines.swarm.docker_client import connect_docker
    async with connect_docker() as docker:
        yield docker


@asynccontextmanager
async def stack_on_swarm(name: str) -> AsyncIterator[Stack]:
    """The stack `name`, whether or not it exists."""
    async with docker_client() as docker:
        from wotemu_runtime.engines.swarm.stack import Stack

        yield Stack(docker, name)


@asynccontextmanager
async def bus_client(address: BusAddress, deadline_s: float = 10.0) -> AsyncIterator[Redis]:
    """A client of a bus, closed after the block."""
    client = await connect(address, deadline_s)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def control_on_swarm(name: str) -> AsyncIterator[ControlClient]:
    """Control the run of a stack on the swarm of DOCKER_HOST, wherever its coordinator is.

    Args:
        name: Name of the stack.

    Raises:
        EmulationError: Its bus does not run.
        InputError: There is no such stack.
        HostError: No manager of a swarm answers.
    """
    who = f"{getpass.getuser()}@{platform.node()}"
    async with stack_on_swarm(name) as deployed, bus_client(await deployed.bus()) as client:
        yield ControlClient.on_bus(name, client, who)
