"""Addresses and host names of the local engine: which replica is where, and who finds whom."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from wotemu.errors import InputError
from wotemu_runtime.engines.local.place import Interface, Place
from wotemu_runtime.plan import Plan, PlannedNetwork

FIRST_SUBNET = 64
"""The first network is 10.64.0.0/16, the next 10.65.0.0/16, ..."""
PREFIX = 16
FIRST_HOST = 2
MAX_NETWORKS = 256 - FIRST_SUBNET
MAX_MEMBERS = (1 << (32 - PREFIX)) - FIRST_HOST - 1


def assign(plan: Plan) -> dict[str, Place]:
    """Every replica's place by its name."""
    if len(plan.networks) > MAX_NETWORKS:
        raise InputError(f"{len(plan.networks)} networks are more than the local engine's {MAX_NETWORKS}")
    interfaces: dict[str, list[Interface]] = {replica.name: [] for replica in plan.replicas}
    for number, network in enumerate(plan.networks):
        subnet = _subnet(number)
        if len(network.members) > MAX_MEMBERS:
            raise InputError(
                f"{len(network.members)} members are too many", where=f"Network {network.name!r}"
            )
        for host, member in enumerate(network.members, FIRST_HOST):
            address = subnet[host]
            name = f"eth{len(interfaces[member])}"
            interfaces[member].append(Interface(network.name, name, str(address), PREFIX, mac_of(address)))
    return {
        name: Place(name, tuple(attached), hosts_file(plan, interfaces, name))
        for name, attached in interfaces.items()
    }


def gateway_of(plan: Plan, network: PlannedNetwork) -> str:
    """The address of a network's gateway, where it has one: before the first member's."""
    subnet = _subnet(next(i for i, each in enumerate(plan.networks) if each.name == network.name))
    return str(subnet[FIRST_HOST - 1])


def _subnet(number: int) -> IPv4Network:
    return IPv4Network((int(IPv4Address("10.0.0.0")) + ((FIRST_SUBNET + number) << 16), PREFIX))


def mac_of(address: IPv4Address) -> str:
    """A locally administered MAC that holds the address."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + address.packed)


def hosts_file(plan: Plan, interfaces: dict[str, list[Interface]], replica: str) -> str:
    """The replica's /etc/hosts: as under Docker, a name has the addresses of the networks that both are on.

    A node's name has all of its replicas' addresses; ``NAME.NETWORK`` those on one network.
    """
    own = {interface.network for interface in interfaces[replica]}
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for other in plan.replicas:
        for interface in interfaces[other.name]:
            if interface.network in own:
                names = dict.fromkeys((other.name, other.node))
                full = [f"{name}.{interface.network}" for name in names]
                lines.append(f"{interface.address} {' '.join([*names, *full])}")
    if not own:
        lines.append(f"127.0.0.1 {replica}")
    return "\n".join(lines) + "\n"
