"""Checks that no two objects of a topology would be confused by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from wotemu.errors import TopologyError
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service, service_network
from wotemu.topology.uplink import Uplink


def check_names(nodes: Sequence[Node], uplinks: Sequence[Uplink]) -> None:
    """Check the names of nodes, of uplinks, and of the brokers, services and networks that they name.

    Raises:
        TopologyError: Two different objects have one name, or one host name.
    """
    brokers = [node.broker for node in nodes if node.broker is not None]
    services = [service for node in nodes for service in node.services]
    members: list[Node | Broker | Service | Uplink] = [*nodes, *brokers, *services, *uplinks]
    networks = [link.network for member in members for link in member.links]
    _check_same_names("Network", networks)
    _check_same_names("Broker", brokers)
    _check_same_names("Service", services)
    _check_host_names(nodes, brokers, services, uplinks)
    _check_service_networks(services, {network.name for network in networks})


def _check_same_names(kind: str, objects: Iterable[Network | Broker | Service]) -> None:
    """Objects of one kind and name must be equal: two that differ can't be told apart."""
    seen: dict[str, Any] = {}
    for obj in objects:
        if seen.setdefault(obj.name, obj) != obj:
            raise TopologyError(
                "two different objects have this name",
                where=f"{kind} {obj.name!r}, field 'name'",
                field="name",
                hint=f"build the {kind} once and use it everywhere, or take another name",
            )


def _check_host_names(
    nodes: Sequence[Node], brokers: Iterable[Broker], services: Iterable[Service], uplinks: Iterable[Uplink]
) -> None:
    taken: dict[str, str] = {}
    for what, name in _host_names(nodes, brokers, services, uplinks):
        owner = taken.setdefault(name.lower(), what)  # host names are compared without regard to case
        if owner != what:
            raise TopologyError(
                f"the host name {name!r} already belongs to {owner}",
                where=f"{what}, field 'name'",
                field="name",
                hint="every node, replica, broker, service and uplink needs its own",
            )
    for kind, owners in (("Node", nodes), ("Uplink", uplinks)):
        for name, times in Counter(owner.name.lower() for owner in owners).items():
            if times > 1:
                raise TopologyError(
                    f"two {kind.lower()}s have this name",
                    where=f"{kind} {name!r}, field 'name'",
                    field="name",
                    hint="rename one",
                )


def _host_names(
    nodes: Iterable[Node], brokers: Iterable[Broker], services: Iterable[Service], uplinks: Iterable[Uplink]
) -> Iterator[tuple[str, str]]:
    """The owner of each host name, and the name."""
    for node in nodes:
        for name in {node.name, *node.replicas}:
            yield f"Node {node.name!r}", name
    for broker in brokers:
        yield f"Broker {broker.name!r}", broker.name
    for service in services:
        yield f"Service {service.name!r}", service.name
    for uplink in uplinks:
        yield f"Uplink {uplink.name!r}", uplink.name


def _check_service_networks(services: Iterable[Service], networks: set[str]) -> None:
    for service in services:
        reserved = service_network(service.name)
        if not service.networks and reserved in networks:
            raise TopologyError(
                f"{reserved!r} is reserved for the direct way to Service {service.name!r}",
                where=f"Network {reserved!r}, field 'name'",
                field="name",
                hint="rename the network, or put the service on it: Service(networks=[...])",
            )
