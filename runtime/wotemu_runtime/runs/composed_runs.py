"""Runs of stacks that `wotemu compose` wrote: fetch what they recorded on their event bus, and stop them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url

from wotemu.errors import InputError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.recording.bus_mirror import fetch, mirrored_stacks, put_file
from wotemu_runtime.recording.run_directory import new_run_dir
from wotemu_runtime.roles.container_environment import BUS_PORT
from wotemu_runtime.runs.run import RUNS
from wotemu_runtime.runs.swarm_access import COORDINATOR, bus_client, stack_on_swarm

if TYPE_CHECKING:
    from wotemu_runtime.engines.swarm.stack import Stack

STAYING = frozenset({"bus", "proxy"})
"""Services that `stop` leaves running: the bus has the run's record."""
LOG_TAIL = 200
"""Lines of each task's log that are recorded."""
URL_HINT = "redis://:PASSWORD@HOST:PORT"


async def fetch_run(*, stack: str | None, redis_url: str | None) -> Path:
    """Write the record of a stack's run to a new directory in ``runs/``.

    Args:
        stack: Name of the stack; None for the only one whose run the bus has.
        redis_url: The stack's event bus; None to look for the stack on the swarm of DOCKER_HOST.

    Returns:
        The run directory.

    Raises:
        InputError: The bus has no such run, or neither is given.
        HostError: Docker is not deployed.
    """
    if redis_url is not None:
        address = bus_address(redis_url)
        async with bus_client(address) as client:
            return await _fetch_to_new_directory(client, stack)
    if stack is None:
        raise InputError(
            "there is nothing to report", where="report", hint="give RUN, --stack or --redis-url"
        )
    async with stack_on_swarm(stack) as deployed, bus_client(await deployed.bus()) as client:
        return await _fetch_to_new_directory(client, stack)


async def _fetch_to_new_directory(client: Redis, stack: str | None) -> Path:
    if stack is None:
        stacks = await mirrored_stacks(client)
        if len(stacks) != 1:
            known = ", ".join(stacks) or "none"
            raise InputError(f"which run? The bus has {known}", where="--redis-url", hint="give --stack, too")
        stack = stacks[0]
    run_dir = new_run_dir(RUNS, stack)
    try:
        await fetch(client, stack, run_dir)
    except InputError:
        shutil.rmtree(run_dir)  # it holds nothing yet
        raise
    return run_dir


async def stop(
    stack: str, compose_file: Path, *, redis_url: str | None = None, log_lines: int = LOG_TAIL
) -> None:
    """End the run, and scale its services to zero, but for those that hold its record.

    The state of each task, and the tail of its log, is added to the record first.

    Args:
        stack: Name that the stack was deployed under.
        compose_file: What `wotemu compose` wrote; the bus's password is beside it.
        redis_url: The stack's event bus; None to look for it on the swarm of DOCKER_HOST.
        log_lines: Lines of each task's log that are recorded.

    Raises:
        InputError: There is no such stack or file, or `redis_url` is no URL of a bus.
    """
    password = _password_beside(compose_file)
    given = None if redis_url is None else bus_address(redis_url)
    async with (
        stack_on_swarm(stack) as deployed,
        bus_client(given or await deployed.bus(password)) as client,
    ):
        services = set(await deployed.services())
        # Swarm removes tasks of scaled-down services soon, and their logs with them: store those before.
        await _store_log_tails(deployed, client, await deployed.states(), log_lines)
        await deployed.scale_to_zero({COORDINATOR} & services)  # ends the run, and records the rest
        states = await deployed.states()
        await put_file(client, stack, "tasks.json", json.dumps(states, indent=2).encode())
        await _store_log_tails(deployed, client, states, log_lines)
        await deployed.scale_to_zero(services - STAYING)


async def _store_log_tails(deployed: Stack, client: Redis, states: list[dict[str, Any]], lines: int) -> None:
    """Add the tail of each task's log to the record; that of a removed task stays as it was stored before."""
    for state in states:
        if tail := await deployed.log_tail(state["id"], lines):
            name = f"logs/_tasks/{state['task']}-{state['id'][:8]}.log"
            await put_file(client, deployed.name, name, tail)


def bus_address(url: str) -> BusAddress:
    """Parse ``redis://:PASSWORD@HOST:PORT``; `InputError` where it is no such URL."""
    try:
        # parse_url takes TLS and Unix sockets, too, which no bus of ours has.
        parts = parse_url(url) if url.startswith("redis://") else {}
    except ValueError as error:
        raise InputError(str(error), where="--redis-url", hint=URL_HINT) from error
    if "host" not in parts:
        raise InputError("this is not the URL of an event bus", where="--redis-url", hint=URL_HINT)
    return BusAddress(parts.get("password", ""), host=parts["host"], port=parts.get("port", BUS_PORT))


def _password_beside(compose_file: Path) -> str | None:
    """Password of the bus, in the folder beside a compose file; None where that was not copied along."""
    from wotemu_runtime.engines.swarm.compose import SECRET, folder_of

    if not compose_file.is_file():
        hint = "give the file that wotemu compose wrote"
        raise InputError("there is no such file", where=f"--compose-file {compose_file}", hint=hint)
    path = folder_of(compose_file) / SECRET
    return path.read_text().strip() if path.is_file() else None
