"""Assigns addresses to replicas of the local engine, and writes their hosts files. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from itertools import groupby

import attrs

from wotemu.errors import InputError
from wotemu.topology.network import MAX_MTU
from wotemu_gateways.packets.ethernet import mac_of, mac_text
from wotemu_runtime.engines.local.node_namespace import Interface, NodeNamespace
from wotemu_runtime.planning.models import Plan, PlannedNetwork
from wotemu_runtime.roles.hosts_file import HostsEntry, Lines, hosts_lines, rotated_text

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
    ways = _uplinks(plan, hosts)
    for replica in plan.replicas:
        if replica.kind != "uplink":
            interfaces[replica.name] = _with_uplink(interfaces[replica.name], ways)
    texts = hosts_files(plan, interfaces)
    uplinks = {replica.name for replica in plan.replicas if replica.kind == "uplink"}
    subnets = {network.name: str(_subnet(plan, network.name)) for network in plan.networks}
    return {
        name: NodeNamespace(
            name,
            tuple(attached),
            texts[name],
            leads_out=name in uplinks,
            unreachable=_others(subnets, attached) if name in uplinks else (),
        )
        for name, attached in interfaces.items()
    }


def _others(subnets: Mapping[str, str], attached: Sequence[Interface]) -> tuple[str, ...]:
    """The subnets of networks that an uplink is not on."""
    own = {interface.network for interface in attached}
    return tuple(subnet for network, subnet in subnets.items() if network not in own)


def _uplinks(plan: Plan, hosts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """The address of each network's uplink, where it has one."""
    return {
        network: str(_subnet(plan, network)[hosts[network][replica.name]])
        for replica in plan.replicas
        if replica.kind == "uplink"
        for network in replica.networks
    }


def _with_uplink(interfaces: Sequence[Interface], uplinks: Mapping[str, str]) -> list[Interface]:
    """A node's interfaces: the first on a network with an uplink has the way to it."""
    first = next((each.name for each in interfaces if each.network in uplinks), None)
    return [
        attrs.evolve(each, uplink=uplinks[each.network]) if each.name == first else each
        for each in interfaces
    ]


def _hosts(plan: Plan, network: PlannedNetwork) -> dict[str, int]:
    """The host part of each member's address in the subnet.

    A node's replicas have a block of addresses to themselves, aligned to a power of two, so that all of them
    have the same prefix in common with any address outside. A resolver that prefers the address with the
    longest common prefix (RFC 6724, rule 9) then finds no difference, and keeps the order of the hosts file.
    """
    numbers: dict[str, int] = {}
    following = FIRST_HOST
    nodes = {each.name: each.node for each in plan.replicas}
    for _, group in groupby(network.members, nodes.__getitem__):
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
    mtu = next(each.mtu for each in plan.networks if each.name == network)
    return Interface(
        network=network,
        name=f"eth{number}",
        address=str(address),
        prefix=PREFIX,
        mac=mac_text(mac_of(str(address))),
        gateway=gateway_of(plan, network),
        is_first=number == 0,
        mtu=MAX_MTU if mtu is None else mtu,
    )


def gateway_of(plan: Plan, network: str) -> str:
    """The address of a network's gateway: the one before the first member's."""
    return str(_subnet(plan, network)[FIRST_HOST - 1])


def _subnet(plan: Plan, network: str) -> IPv4Network:
    number = next(i for i, each in enumerate(plan.networks) if each.name == network)
    return IPv4Network((int(IPv4Address("10.0.0.0")) + ((FIRST_SUBNET + number) << 16), PREFIX))


def hosts_files(plan: Plan, interfaces: Mapping[str, Sequence[Interface]]) -> dict[str, str]:
    """The replicas' /etc/hosts: as under Docker, a name has the addresses of the networks that both are on.

    See `hosts_text`.
    """
    entries = [
        HostsEntry(replica, interface.network, interface.address)
        for replica, attached in interfaces.items()
        for interface in attached
    ]
    nodes = {each.name: each.node for each in plan.replicas}

    @functools.cache
    def lines_of(networks: frozenset[str]) -> Lines:
        return hosts_lines((entry for entry in entries if entry.network in networks), nodes)

    return {
        replica: rotated_text(lines_of(frozenset(each.network for each in attached)), replica, number)
        for number, (replica, attached) in enumerate(interfaces.items())
    }
