"""Publishes and follows the roles' addresses, on engines where Docker chooses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
from redis.asyncio import Redis

from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.bus.codec import pack, unpack


@attrs.frozen
class RoleAddress:
    """One role's address on one network. `role` is ``agent:REPLICA`` or ``gateway:NETWORK``."""

    role: str
    network: str
    address: str
    host: str
    """Name of the machine that the role runs on."""

    @property
    def replica(self) -> str | None:
        """The replica that the role serves; None for a gateway."""
        kind, _, replica = self.role.partition(":")
        return replica if kind == "agent" else None


class AddressStream:
    """The bus's stream of addresses. A role that moves is announced again; its last entry holds."""

    def __init__(self, client: Redis, streams: Streams) -> None:
        self._client = client
        self._stream = streams.members
        self._gateways = streams.gateways

    async def announce(self, address: RoleAddress) -> None:
        """Publish a role's address."""
        await self._client.xadd(self._stream, pack(list(attrs.astuple(address))))  # type: ignore[arg-type]
        if address.replica is None:
            await self._client.xadd(self._gateways, {b"network": address.network.encode()})

    async def wait_for_gateways(self, networks: Iterable[str]) -> None:
        """Return once the gateways of all the networks have announced themselves.

        A gateway does so once it knows where all its nodes are: `follow` then has all their addresses. Nodes
        that followed from the start would each be woken for every one of them, n times n times in all.
        """
        missing = set(networks)
        consumer = Consumer(self._client, [self._gateways])
        batches = consumer.batches()
        while missing:
            missing -= {fields[b"network"].decode() for _, _, fields in await anext(batches)}

    async def follow(self, on_address: Callable[[RoleAddress], None]) -> None:
        """Call `on_address` with every address, those published before first, until cancelled."""
        consumer = Consumer(self._client, [self._stream])
        async for entries in consumer.batches():
            for _, _, fields in entries:
                on_address(RoleAddress(*unpack(fields)))

    async def read(self) -> list[RoleAddress]:
        """All addresses published so far, in their order."""
        entries: Any = await self._client.xrange(self._stream)
        return [RoleAddress(*unpack(fields)) for _, fields in entries]


class AddressDirectory:
    """The address that each role has now on each network."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[str, str], RoleAddress] = {}
        self._roles: dict[tuple[str, str], str] = {}
        """The role that has each address of each network."""

    def __iter__(self) -> Iterator[RoleAddress]:
        return iter(self._addresses.values())

    def __repr__(self) -> str:
        return f"AddressDirectory({len(self._addresses)})"

    def update(self, new: RoleAddress) -> None:
        """Store a role's address, and forget that of another role which had it before."""
        before = self._addresses.get((new.role, new.network))
        if before is not None:
            del self._roles[new.network, before.address]
        # Docker assigns the address of a task that is gone to another task, which must not get its traffic.
        other = self._roles.pop((new.network, new.address), None)
        if other is not None:
            del self._addresses[other, new.network]
        self._addresses[new.role, new.network] = new
        self._roles[new.network, new.address] = new.role

    def address(self, role: str, network: str) -> str | None:
        """A role's address on a network, or None."""
        found = self._addresses.get((role, network))
        return found.address if found is not None else None


def addresses_by_replica(addresses: Iterable[RoleAddress]) -> dict[str, dict[str, str]]:
    """Each replica's address on each of its networks; later entries replace earlier ones."""
    found: dict[str, dict[str, str]] = {}
    for each in addresses:
        if each.replica is not None:
            found.setdefault(each.replica, {})[each.network] = each.address
    return found


__all__ = ["AddressDirectory", "AddressStream", "RoleAddress", "addresses_by_replica"]
