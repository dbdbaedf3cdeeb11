"""Who is where: on engines that hand out addresses as they like, each role tells its own over the bus.

A member may move: a task that is placed again has other addresses. The last entry of a name holds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import attrs
import psutil
from redis.asyncio import Redis

from wotemu.errors import EmulationError
from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.bus.codec import pack, unpack
from wotemu_runtime.roles.hosts_file import hosts_text

ATTACH_DEADLINE_S = 30.0
_RETRY_S = 0.1


@attrs.frozen
class Member:
    """One role's address on one network. `role` is ``agent:REPLICA`` or ``gateway:NETWORK``."""

    role: str
    network: str
    address: str
    host: str
    """The machine that it runs on."""


class Members:
    """Who is where now. Docker gives the addresses of lost tasks to others: who told of one last has it."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __repr__(self) -> str:
        return f"Members({len(self._members)})"

    def take(self, member: Member) -> None:
        """A role has told where it is."""
        self._members[member.role, member.network] = member
        for key, other in list(self._members.items()):
            if other != member and (other.network, other.address) == (member.network, member.address):
                del self._members[key]

    def address(self, role: str, network: str) -> str | None:
        """A role's address on a network, while it has one."""
        member = self._members.get((role, network))
        return member.address if member is not None else None


OnMember = Callable[[Member], None]


async def announce(client: Redis, streams: Streams, member: Member) -> None:
    """Tell all others where this role is."""
    await client.xadd(streams.members, pack(list(attrs.astuple(member))))  # type: ignore[arg-type]


async def follow(client: Redis, streams: Streams, on_member: OnMember) -> None:
    """Hear of every member, those known before first, until cancelled."""
    consumer = Consumer(client, [streams.members])
    async for entries in consumer.batches():
        for _, _, fields in entries:
            on_member(Member(*unpack(fields)))


async def known_members(client: Redis, streams: Streams) -> list[Member]:
    """All that have said where they are, those who moved last with their new address."""
    entries: Any = await client.xrange(streams.members)
    return [Member(*unpack(fields)) for _, fields in entries]


def addresses_of(members: Iterable[Member]) -> dict[str, dict[str, str]]:
    """Each replica's address on each of its networks."""
    found: dict[str, dict[str, str]] = {}
    for member in members:
        kind, _, replica = member.role.partition(":")
        if kind == "agent":
            found.setdefault(replica, {})[member.network] = member.address
    return found


def own_addresses(subnets: dict[str, str]) -> dict[str, tuple[str, IPv4Interface]]:
    """This machine's interface and address on each network that it is on; `subnets` are theirs by name."""
    found: dict[str, tuple[str, IPv4Interface]] = {}
    for device, address in _addresses():
        for network, subnet in subnets.items():
            if address in IPv4Network(subnet):
                found[network] = (device, IPv4Interface(f"{address}/{subnet.partition('/')[2]}"))
    return found


async def attached(subnets: dict[str, str]) -> dict[str, tuple[str, IPv4Interface]]:
    """`own_addresses`, once this machine is on every network; `EmulationError` if that takes too long."""
    own: dict[str, tuple[str, IPv4Interface]] = {}
    try:
        async with asyncio.timeout(ATTACH_DEADLINE_S):
            # An overlay is attached when Docker is done with it, which may be after the container started.
            while len(own := own_addresses(subnets)) < len(subnets):  # noqa: ASYNC110
                await asyncio.sleep(_RETRY_S)
    except TimeoutError:
        missing = ", ".join(sorted(set(subnets) - set(own)))
        raise EmulationError(f"not attached after {ATTACH_DEADLINE_S:g} s: {missing}") from None
    return own


def _addresses() -> Iterator[tuple[str, IPv4Address]]:
    for device, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if entry.family == socket.AF_INET:
                yield device, IPv4Address(entry.address)


def hosts_of(members: Members, nodes: Mapping[str, str], own: str) -> str:
    """The text of a replica's /etc/hosts from all members on its networks.

    `nodes` has each replica's node, in the order of the plan.
    """
    rank = {replica: number for number, replica in enumerate(nodes)}
    agents = [
        (member.role.partition(":")[2], member.network, member.address)
        for member in members
        if member.role.startswith("agent:")
    ]
    # The order of arrival is nobody's business: replicas are rotated in the order of the plan.
    agents.sort(key=lambda agent: rank.get(agent[0], len(rank)))
    entries = [(name, nodes.get(name, name), network, address) for name, network, address in agents]
    return hosts_text(entries, own, rank.get(own, 0))
