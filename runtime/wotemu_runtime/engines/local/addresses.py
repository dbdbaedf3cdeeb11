"""Assigns addresses to replicas of the local engine, and writes their hosts files. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import groupby

from wotemu.errors import InputError
from wotemu_gateways.packets.ethernet import mac_of, mac_text
from wotemu_runtime.engines.local.node_namespace import Interface, NodeNamespace
from wotemu_runtime.planning.models import Plan, PlannedNetwork
from wotemu_runtime.roles.hosts_file import HostsEntry, hosts_text

FIRST_SUBNET = 64
"""The first network is 10.64.0.0/16, the next 10.65.0.0/16, ..."""
PREFIX = 16
FIRST_HOST = 2
"""The host part of the first member's address; the gateway has the one before."""
MAX_NETWORKS = 256 - FIRST_SUBNET


def assign(plan: Plan) -> dict[str, NodeNamespace]:
    """Plan the namespaces of every replica.

    Returns:
        The namespaces by replica.

    Raises:
        InputError: The plan has more networks, or a network more members, than there are addresses for.
    """
    if len(plan.networks) > MAX_NETWORKS:
        raise InputError(f"{len(plan.networks)} networks are more than the local engine's {MAX_NETWORKS}")
    hosts = {network.name: _hosts(plan, network) for network in plan.networks}
    interfaces = {
        replica.name: [
            _interface(plan, name, i, hosts[name][replica.name]) for i, name in enumerate(replica.networks)
        ]
        for replica in plan.replicas
    }
    return {
        name: NodeNamespace(name, tuple(attached), hosts_file(plan, interfaces, name))
        for name, attached in interfaces.items()
    }


def _hosts(plan: Plan, network: PlannedNetwork) -> dict[str, int]:
    """The host part of each member's address in the subnet.

    A node's replicas have a block of addresses to themselves, aligned to a power of two, so that all of them
    have the same prefix in common with any address outside. A resolver that prefers the address with the
    longest common prefix (RFC 6724, rule 9) then finds no difference, and keeps the order of the hosts file.
    """
    numbers: dict[str, int] = {}
    following = FIRST_HOST
    for _, group in groupby(network.members, lambda member: plan.replica(member).node):
        replicas = list(group)
        size = 1 << (len(replicas) - 1).bit_length()
        start = -(-following // size) * size
        numbers.update({member: start + i for i, member in enumerate(replicas)})
        following = start + size
    if max(numbers.values(), default=0) >= (1 << (32 - PREFIX)) - 1:
        raise InputError(f"{len(numbers)} members are too many", where=f"Network {network.name!r}")
    return numbers


def _interface(plan: Plan, network: str, number: int, host: int) -> Interface:
    address = _subnet(plan, network)[host]
    return Interface(
        network=network,
        name=f"eth{number}",
        address=str(address),
        prefix=PREFIX,
        mac=mac_text(mac_of(str(address))),
        gateway=gateway_of(plan, network),
        is_first=number == 0,
    )


def gateway_of(plan: Plan, network: str) -> str:
    """The address of a network's gateway: the one before the first member's."""
    return str(_subnet(plan, network)[FIRST_HOST - 1])


def _subnet(plan: Plan, network: str) -> IPv4Network:
    number = next(i for i, each in enumerate(plan.networks) if each.name == network)
    return IPv4Network((int(IPv4Address("10.0.0.0")) + ((FIRST_SUBNET + number) << 16), PREFIX))


def hosts_file(plan: Plan, interfaces: dict[str, list[Interface]], replica: str) -> str:
    """The replica's /etc/hosts: as under Docker, a name has the addresses of the networks that both are on.

    See `hosts_text`.
    """
    own = {interface.network for interface in interfaces[replica]}
    entries = [
        HostsEntry(other, interface.network, interface.address)
        for other, attached in interfaces.items()
        for interface in attached
        if interface.network in own
    ]
    return hosts_text(entries, {each.name: each.node for each in plan.replicas}, replica)
