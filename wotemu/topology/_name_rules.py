"""Checks of a topology's names against each other: everything finds everything by its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from wotemu.errors import TopologyError

if TYPE_CHECKING:
    from wotemu.topology.models import Topology


def check_names(topology: Topology) -> None:
    """`TopologyError` where two things of one name would be taken for each other."""
    _check_same_names(topology)
    _check_host_names(topology)
    _check_service_networks(topology)


def _check_same_names(topology: Topology) -> None:
    """Two different objects of one kind can't share a name."""
    kinds: list[tuple[str, Iterable[Any]]] = [
        ("Network", (link.network for owner in topology.members for link in owner.links)),
        ("Broker", (node.broker for node in topology.nodes if node.broker is not None)),
        ("Service", (service for node in topology.nodes for service in node.services)),
    ]
    for kind, objects in kinds:
        seen: dict[str, Any] = {}
        for obj in objects:
            if seen.setdefault(obj.name, obj) != obj:
                raise TopologyError(
                    "two different objects have this name",
                    where=f"{kind} {obj.name!r}, field 'name'",
                    hint=f"build the {kind} once and use it everywhere, or take another name",
                )


def _check_host_names(topology: Topology) -> None:
    taken: dict[str, str] = {}
    for what, name in _host_names(topology):
        owner = taken.setdefault(name.lower(), what)
        if owner != what:
            raise TopologyError(
                f"the host name {name!r} already belongs to {owner}",
                where=f"{what}, field 'name'",
                hint="every node, replica, broker and service needs its own",
            )
    for name, times in Counter(node.name.lower() for node in topology.nodes).items():
        if times > 1:
            raise TopologyError(
                "two nodes have this name", where=f"Node {name!r}, field 'name'", hint="rename one"
            )


def _host_names(topology: Topology) -> Iterator[tuple[str, str]]:
    for node in topology.nodes:
        for name in {node.name, *node.replicas}:
            yield f"Node {node.name!r}", name
    for broker in topology.brokers:
        yield f"Broker {broker.name!r}", broker.name
    for service in topology.services:
        yield f"Service {service.name!r}", service.name


def service_network(service: str) -> str:
    """The name of the network that joins a service on no network with the nodes that name it."""
    return f"service-{service}"


def _check_service_networks(topology: Topology) -> None:
    networks = {network.name for network in topology.networks}
    for service in topology.services:
        if not service.networks and service_network(service.name) in networks:
            raise TopologyError(
                f"{service_network(service.name)!r} is what the way to Service {service.name!r} is called",
                where=f"Network {service_network(service.name)!r}, field 'name'",
                hint="rename the network, or put the service on it: Service(networks=[...])",
            )
