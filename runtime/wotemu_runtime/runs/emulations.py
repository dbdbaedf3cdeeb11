"""List the emulations on a swarm, and remove them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from redis.exceptions import RedisError

from wotemu.errors import InputError, WotemuError
from wotemu_runtime.bus import Streams
from wotemu_runtime.coordination.coordinator_lease import holder
from wotemu_runtime.runs.swarm_access import bus_client, docker_client

if TYPE_CHECKING:
    import aiodocker

    from wotemu_runtime.engines.swarm.inventory import Inventory

NO_COORDINATOR, UNKNOWN = "none", "unknown"


@attrs.frozen
class ListedEmulation:
    """An emulation on a swarm.

    Attributes:
        inventory: Its services, and the other objects that carry its labels.
        coordinator: The process that drives it, or ``in the stack`` for a service, ``none``, or ``unknown``
            where the bus does not run or is on another manager than this.
    """

    inventory: Inventory
    coordinator: str

    def to_dict(self) -> dict[str, Any]:
        """As ``wotemu ps --json`` prints it."""
        found = attrs.asdict(self.inventory)
        return {**found, "coordinator": self.coordinator}


async def list_emulations() -> list[ListedEmulation]:
    """The emulations on the swarm of DOCKER_HOST, by name; `HostError` without Docker."""
    async with docker_client() as docker:
        from wotemu_runtime.engines.swarm.inventory import take_inventory

        found = await take_inventory(docker)
        coordinators = await asyncio.gather(*(_coordinator(docker, each) for each in found))
    return [ListedEmulation(*pair) for pair in zip(found, coordinators, strict=True)]


async def _coordinator(docker: aiodocker.Docker, inventory: Inventory) -> str:
    from wotemu_runtime.engines.swarm.stack import Stack

    if inventory.has_own_coordinator:
        return "in the stack"
    # A stack whose coordinator's service is gone has nobody else; without services there is no bus to ask.
    if inventory.made_by == "stack" or not inventory.services:
        return NO_COORDINATOR
    try:
        # A short deadline: a bus on another manager's machine may not be reachable from here.
        async with bus_client(await Stack(docker, inventory.name).bus(), deadline_s=2.0) as client:
            found = await holder(client, Streams(inventory.name).lease)
    except (WotemuError, RedisError, OSError):
        return UNKNOWN
    return NO_COORDINATOR if found is None else str(found)


async def remove_emulations(
    names: list[str],
    *,
    everything: bool,
    force: bool,
    on_begin: Callable[[Sequence[str]], None] = lambda _: None,
) -> dict[str, Counter[str]]:
    """Remove emulations from the swarm of DOCKER_HOST.

    Args:
        names: Those to remove.
        everything: Remove all instead.
        force: Remove also those that a living process coordinates.
        on_begin: Called with the names once it is known that they can be removed, which takes seconds.

    Returns:
        For each name, how many objects of each kind were removed.

    Raises:
        InputError: There is none of a name, or a living process coordinates one; nothing is removed.
    """
    listed = {each.inventory.name: each for each in await list_emulations()}
    wanted = list(listed) if everything else list(dict.fromkeys(names))
    for name in wanted:  # all of them before anything is removed
        _check_removable(name, listed, force=force)
    on_begin(wanted)
    async with docker_client() as docker:
        from wotemu_runtime.engines.swarm.removal import remove_stack

        removed = await asyncio.gather(*(remove_stack(docker, name) for name in wanted))
    return dict(zip(wanted, removed, strict=True))


def _check_removable(name: str, listed: dict[str, ListedEmulation], *, force: bool) -> None:
    if name not in listed:
        known = ", ".join(listed) or "none"
        raise InputError(
            f"there is no emulation {name!r} on this swarm", where="NAME", hint=f"there is: {known}"
        )
    coordinator = listed[name].coordinator
    if coordinator.startswith("process ") and not force:
        raise InputError(
            f"{coordinator} coordinates it",
            where=f"emulation {name!r}",
            hint="Ctrl-C ends that process and removes it, with a report; --force removes it as it is",
        )
