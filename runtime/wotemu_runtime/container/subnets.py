"""Finds out which subnets a stack's networks have, where Docker chose them after the assignment was written.

Every network's gateway has an alias that resolves on this network alone; the interface whose subnet that
address is in is the one on the network.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

import attrs

from wotemu.errors import EmulationError
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.container_environment import gateway_alias
from wotemu_runtime.roles.interfaces import ipv4_interfaces

DEADLINE_S = 300.0
_RETRY_S = 0.25


async def with_subnets(assignment: Assignment) -> Assignment:
    """The assignment with its ``subnet`` or ``subnets`` filled in where they are empty."""
    data = dict(assignment.data)
    if data.get("subnet") == "":
        data["subnet"] = await find_subnet(data["network"])
    if "" in data.get("subnets", {}).values():
        known = dict(data["subnets"])
        for network in [network for network, subnet in known.items() if not subnet]:
            known[network] = await find_subnet(network)
        data["subnets"] = known
    return attrs.evolve(assignment, data=data)


async def find_subnet(network: str, deadline_s: float = DEADLINE_S) -> str:
    """The subnet of a network that this container is on, once its gateway is there too."""
    return await subnet_with(gateway_alias(network), f"the gateway of network {network!r}", deadline_s)


async def subnet_with(name: str, what: str, deadline_s: float = DEADLINE_S) -> str:
    """The one of this container's subnets that has `name`, once a task has it; `what` is for people."""
    try:
        async with asyncio.timeout(deadline_s):
            while (subnet := subnet_of(await addresses_of(name), own_networks())) is None:  # noqa: ASYNC110
                await asyncio.sleep(_RETRY_S)  # Docker tells nobody when a task is attached
    except TimeoutError:
        raise EmulationError(f"it did not appear within {deadline_s:g} s", where=what) from None
    return str(subnet)


async def addresses_of(name: str) -> list[IPv4Address]:
    """What Docker's name server knows of a name, which is nothing while no task has it."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return [IPv4Address(entry[4][0]) for entry in found]


def subnet_of(addresses: Iterable[IPv4Address], networks: Iterable[IPv4Network]) -> IPv4Network | None:
    """The network that has one of the addresses."""
    wanted = list(addresses)
    return next((network for network in networks if any(address in network for address in wanted)), None)


def own_networks() -> list[IPv4Network]:
    """The networks of this container's interfaces; an address of its own alone (/32) is none."""
    networks = [interface.network for _, interface in ipv4_interfaces()]
    return [network for network in networks if network.prefixlen < network.max_prefixlen]
