"""This machine's interfaces, and which emulated network each of them is on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv4Network

from wotemu.errors import EmulationError
from wotemu_gateways.netlink import link
from wotemu_gateways.netlink.request_socket import Netlink

ATTACH_DEADLINE_S = 30.0
_RETRY_S = 0.1


def ipv4_interfaces() -> Iterator[tuple[str, IPv4Interface]]:
    """The name, and the address with its prefix, of each IPv4 address of this network namespace."""
    with Netlink() as netlink:
        found = link.ipv4_addresses(netlink)
    for index, address in found:
        with contextlib.suppress(OSError):  # it was deleted meanwhile
            yield socket.if_indextoname(index), address


def interfaces_by_network(subnets: Mapping[str, str]) -> dict[str, tuple[str, IPv4Interface]]:
    """The interface and address on each network that this machine is attached to.

    Args:
        subnets: The networks' subnets, by name.
    """
    found: dict[str, tuple[str, IPv4Interface]] = {}
    for device, interface in ipv4_interfaces():
        for network, subnet in subnets.items():
            if interface.ip in IPv4Network(subnet):
                # Of a virtual IP the interface has no more than a /32: the prefix is the network's.
                found[network] = (device, IPv4Interface(f"{interface.ip}/{subnet.partition('/')[2]}"))
    return found


async def wait_until_attached(subnets: Mapping[str, str]) -> dict[str, tuple[str, IPv4Interface]]:
    """`interfaces_by_network`, once this machine is attached to every network.

    Raises:
        EmulationError: It is not after `ATTACH_DEADLINE_S`.
    """
    own: dict[str, tuple[str, IPv4Interface]] = {}
    try:
        async with asyncio.timeout(ATTACH_DEADLINE_S):
            # Docker may attach an overlay after it started the container, and sends no signal when it has.
            while len(own := interfaces_by_network(subnets)) < len(subnets):  # noqa: ASYNC110
                await asyncio.sleep(_RETRY_S)
    except TimeoutError:
        missing = ", ".join(sorted(set(subnets) - set(own)))
        raise EmulationError(f"not attached after {ATTACH_DEADLINE_S:g} s: {missing}") from None
    return own


__all__ = ["interfaces_by_network", "ipv4_interfaces", "wait_until_attached"]
