"""What the command line does about the emulations on a swarm: tell of them, and remove them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
from redis.exceptions import RedisError

from wotemu.errors import InputError, WotemuError
from wotemu.stack import connected
from wotemu_runtime.bus import Streams
from wotemu_runtime.coordination.coordinator_lease import holder
from wotemu_runtime.engines.swarm import needing_docker_client

if TYPE_CHECKING:
    import aiodocker

    from wotemu_runtime.engines.swarm.inventory import Inventory

NOBODY, UNKNOWN = "none", "unknown"


@attrs.frozen
class Emulated:
    """An emulation on a swarm, and who coordinates it: a process, ``in the stack``, ``none`` or ``unknown``.

    It is unknown where the bus does not run or is on another manager than this.
    """

    inventory: Inventory
    coordinator: str

    def to_dict(self) -> dict[str, Any]:
        """As ``wotemu ps --json`` prints it."""
        found = attrs.asdict(self.inventory)
        return {**found, "coordinator": self.coordinator}


async def emulations() -> list[Emulated]:
    """All on the swarm of DOCKER_HOST, by name."""
    async with _docker() as docker:
        from wotemu_runtime.engines.swarm.inventory import take_inventory

        found = await take_inventory(docker)
        coordinators = await asyncio.gather(*(_coordinator(docker, each) for each in found))
    return [Emulated(each, who) for each, who in zip(found, coordinators, strict=True)]


async def _coordinator(docker: aiodocker.Docker, inventory: Inventory) -> str:
    from wotemu_runtime.engines.swarm.stack import Stack

    if inventory.has_own_coordinator:
        return "in the stack"
    if inventory.made_by == "stack" or not inventory.services:
        return NOBODY
    try:
        async with connected(await Stack(docker, inventory.name).bus(), deadline_s=2.0) as client:
            found = await holder(client, Streams(inventory.name).lease)
    except (WotemuError, RedisError, OSError):
        return UNKNOWN
    return NOBODY if found is None else str(found)


async def remove(names: list[str], *, everything: bool, force: bool) -> dict[str, Counter[str]]:
    """Remove emulations, or all of them; how many objects of each kind went with each.

    Raises `InputError`, with nothing removed, where there is none of a name, or one is coordinated by a
    process that lives and `force` is not given.
    """
    there = {each.inventory.name: each for each in await emulations()}
    wanted = list(there) if everything else list(dict.fromkeys(names))
    for name in wanted:
        _check(name, there, force=force)
    async with _docker() as docker:
        from wotemu_runtime.engines.swarm.removal import remove_stack

        removed = await asyncio.gather(*(remove_stack(docker, name) for name in wanted))
    return dict(zip(wanted, removed, strict=True))


def _check(name: str, there: dict[str, Emulated], *, force: bool) -> None:
    if name not in there:
        known = ", ".join(there) or "none"
        raise InputError(
            f"there is no emulation {name!r} on this swarm", where="NAME", hint=f"there is: {known}"
        )
    coordinator = there[name].coordinator
    if coordinator.startswith("process ") and not force:
        raise InputError(
            f"{coordinator} coordinates it",
            where=f"emulation {name!r}",
            hint="Ctrl-C ends that process and removes it, with a report; --force removes it as it is",
        )


@asynccontextmanager
async def _docker() -> AsyncIterator[aiodocker.Docker]:
    with needing_docker_client("Docker Swarm"):
        from wotemu_runtime.engines.swarm.engine import connect_docker
    async with connect_docker() as docker:
        yield docker
