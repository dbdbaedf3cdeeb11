"""What the command line does about stacks that run by themselves: fetch their runs, and stop them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis

from wotemu.errors import InputError
from wotemu_runtime.bus import BusAddress, connect
from wotemu_runtime.engines.swarm import needing_docker_client
from wotemu_runtime.recording.bus_mirror import fetch, mirrored_stacks, put_file
from wotemu_runtime.recording.run_directory import new_run_dir

if TYPE_CHECKING:
    from wotemu_runtime.engines.swarm.stack import Stack

COORDINATOR = "coordinator"
KEPT = frozenset({"bus", "proxy"})
"""Services that `stop` leaves: the run is on the bus."""


async def fetch_run(*, stack: str | None, redis_url: str | None) -> Path:
    """Write a stack's run to a new directory in ``runs/``."""
    if redis_url is not None:
        address = bus_of_url(redis_url)
        async with connected(address) as client:
            return await _fetched(client, stack)
    if stack is None:
        raise InputError(
            "there is nothing to report", where="report", hint="give --run, --stack or --redis-url"
        )
    async with stack_on_swarm(stack) as there, connected(await there.bus()) as client:
        return await _fetched(client, stack)


async def _fetched(client: Redis, stack: str | None) -> Path:
    if stack is None:
        stacks = await mirrored_stacks(client)
        if len(stacks) != 1:
            known = ", ".join(stacks) or "none"
            raise InputError(f"which run? The bus has {known}", where="--redis-url", hint="give --stack, too")
        stack = stacks[0]
    run_dir = new_run_dir(Path("runs"), stack)
    try:
        await fetch(client, stack, run_dir)
    except InputError:
        shutil.rmtree(run_dir)
        raise
    return run_dir


async def stop(stack: str, compose_file: Path) -> None:
    """End the run, keep what became of the tasks and what they printed last, and bring the nodes to zero."""
    password = _password_beside(compose_file)
    async with stack_on_swarm(stack) as there, connected(await there.bus(password)) as client:
        services = set(await there.services())
        await _keep_tails(there, client, await there.states())
        await there.scale_to_zero({COORDINATOR} & services)  # it ends the run, and records the rest
        states = await there.states()
        await put_file(client, stack, "tasks.json", json.dumps(states, indent=2).encode())
        await _keep_tails(there, client, states)
        await there.scale_to_zero(services - KEPT)


async def _keep_tails(there: Stack, client: Redis, states: list[dict[str, Any]]) -> None:
    """Keep what each task printed last; a task that Swarm has removed keeps what it had before."""
    for state in states:
        if tail := await there.log_tail(state["id"]):
            name = f"logs/_tasks/{state['task']}-{state['id'][:8]}.log"
            await put_file(client, there.name, name, tail)


def bus_of_url(url: str) -> BusAddress:
    """The bus that ``redis://:PASSWORD@HOST:PORT`` names."""
    parts = urlsplit(url)
    try:
        port = parts.port or 6379
    except ValueError as error:
        raise InputError(f"its port is none: {error}", where="--redis-url") from error
    if parts.scheme != "redis" or not parts.hostname:
        raise InputError("it is no URL of a bus", where="--redis-url", hint="redis://:PASSWORD@HOST:PORT")
    return BusAddress(unquote(parts.password or ""), host=parts.hostname, port=port)


def _password_beside(compose_file: Path) -> str | None:
    """The password that was made for a compose file; None where it is not there."""
    from wotemu_runtime.engines.swarm.compose import SECRET, folder_of

    if not compose_file.is_file():
        hint = "give the file that wotemu compose wrote"
        raise InputError("there is no such file", where=f"--compose-file {compose_file}", hint=hint)
    path = folder_of(compose_file) / SECRET
    return path.read_text().strip() if path.is_file() else None


@asynccontextmanager
async def connected(address: BusAddress, deadline_s: float = 10.0) -> AsyncIterator[Redis]:
    """A client of a bus, while the block runs."""
    client = await connect(address, deadline_s)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def stack_on_swarm(name: str) -> AsyncIterator[Stack]:
    """The stack called `name` on the swarm of DOCKER_HOST, there or not; `HostError` without Docker."""
    with needing_docker_client("Docker Swarm"):
        from wotemu_runtime.engines.swarm.engine import connect_docker
        from wotemu_runtime.engines.swarm.stack import Stack
    async with connect_docker() as docker:
        yield Stack(docker, name)
