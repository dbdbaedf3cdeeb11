"""Looks names up at Docker's DNS, and finds the network that a name's address is on.

A container does not know which of its interfaces is on which network. But an alias resolves on its own
network alone: the interface whose subnet has the alias's address is the one on that network.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from wotemu.errors import EmulationError
from wotemu_runtime.roles.interfaces import ipv4_interfaces

DEADLINE_S = 300.0
_RETRY_S = 0.25


async def wait_for_subnet(name: str, what: str, deadline_s: float = DEADLINE_S) -> str:
    """The one of this container's subnets on which `name` resolves, once a running task has that alias.

    Args:
        name: The alias.
        what: What has the alias, for the error.
        deadline_s: How long to wait, in seconds.

    Raises:
        EmulationError: No task had the alias in time.
    """
    try:
        async with asyncio.timeout(deadline_s):
            while (subnet := subnet_of(await resolve(name), own_subnets())) is None:  # noqa: ASYNC110
                await asyncio.sleep(_RETRY_S)  # Docker sends no signal when a task is attached
    except TimeoutError:
        raise EmulationError(f"it did not appear within {deadline_s:g} s", where=what) from None
    return str(subnet)


async def resolve(name: str) -> list[IPv4Address]:
    """The IPv4 addresses of a name; none while no running task has it."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return [IPv4Address(entry[4][0]) for entry in found]


def subnet_of(addresses: Iterable[IPv4Address], subnets: Iterable[IPv4Network]) -> IPv4Network | None:
    """The first of the subnets that has one of the addresses."""
    wanted = list(addresses)
    return next((subnet for subnet in subnets if any(address in subnet for address in wanted)), None)


def own_subnets() -> list[IPv4Network]:
    """The subnets of this container's interfaces; a single address (/32), as of a virtual IP, is none."""
    networks = [interface.network for _, interface in ipv4_interfaces()]
    return [network for network in networks if network.prefixlen < network.max_prefixlen]


__all__ = ["own_subnets", "resolve", "subnet_of", "wait_for_subnet"]
