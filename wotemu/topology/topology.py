"""The topology: nodes, and everything that they name, checked against each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import attrs

from wotemu.topology._fields import Checked, each, fail, flag, named_errors, optional_text
from wotemu.topology._name_rules import check_names
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.ports import Ports
from wotemu.topology.service import Broker, Service
from wotemu.topology.uplink import Uplink


def _nodes(value: Iterable[Node]) -> tuple[Node, ...]:
    # Any iterable is made a tuple once its items are checked.
    return cast("tuple[Node, ...]", value)


def _uplinks(value: Iterable[Uplink]) -> tuple[Uplink, ...]:
    return cast("tuple[Uplink, ...]", value)


@attrs.frozen(field_transformer=named_errors)
class Topology(Checked):
    """A whole deployment. Its networks, brokers and services are those that its nodes name.

    Attributes:
        nodes: One at least, each with a name of its own.
        ports: The ports of servients and brokers, the same on every node.
        redis: URL of a Redis server to use as the event bus of the swarm engine; by default it starts one.
        uplinks: Ways out of the emulation. Without one, nodes reach nothing but each other.
        docker_proxy: Whether a composed stack has the proxy through which roles read Docker's API.

    Raises:
        TopologyError: A value is not what it has to be, or two objects of one name would be confused.
    """

    nodes: tuple[Node, ...] = attrs.field(converter=_nodes)
    ports: Ports = attrs.field(factory=Ports, kw_only=True)
    redis: str | None = attrs.field(default=None, kw_only=True, validator=optional_text)
    uplinks: tuple[Uplink, ...] = attrs.field(default=(), kw_only=True, converter=_uplinks)
    docker_proxy: bool = attrs.field(default=True, kw_only=True, converter=flag)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "nodes", each(self, "nodes", self.nodes, Node, "a Node"))
        if not self.nodes:
            raise fail(self, "nodes", "there is none", hint="give at least one Node")
        if not isinstance(self.ports, Ports):
            raise fail(self, "ports", f"{self.ports!r} is not Ports", hint="write Ports(http=8080, ...)")
        object.__setattr__(self, "uplinks", each(self, "uplinks", self.uplinks, Uplink, "an Uplink"))
        check_names(self.nodes, self.uplinks)
        self._check_uplinks()
        taken: dict[int, str] = {}
        for node in self.nodes:
            for port in node.publish:
                if (other := taken.setdefault(port, node.name)) != node.name:
                    raise fail(node, "publish", f"port {port} leads to Node {other!r} already")

    def _check_uplinks(self) -> None:
        used = {link.network.name for node in self.nodes for link in node.links}
        leads: dict[str, str] = {}
        for uplink in self.uplinks:
            for name in (link.network.name for link in uplink.links):
                if name not in used:
                    raise fail(uplink, "networks", f"no node is on Network {name!r}")
                if (other := leads.setdefault(name, uplink.name)) != uplink.name:
                    raise fail(uplink, "networks", f"Uplink {other!r} leads out of Network {name!r} already")

    @property
    def networks(self) -> tuple[Network, ...]:
        """Every emulated network, in the order in which nodes name them."""
        return _unique(link.network for owner in self.members for link in owner.links)

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """Every broker that a node names, each once."""
        return _unique(node.broker for node in self.nodes if node.broker is not None)

    @property
    def members(self) -> tuple[Node | Broker | Service | Uplink, ...]:
        """Everything attached to networks: nodes, brokers, services that are on a network, and uplinks."""
        attached = (service for service in self.services if service.networks)
        return (*self.nodes, *self.brokers, *attached, *self.uplinks)

    @property
    def services(self) -> tuple[Service, ...]:
        """Every service that a node names, each once."""
        return _unique(service for node in self.nodes for service in node.services)


def _unique(objects: Iterable[Any]) -> tuple[Any, ...]:
    return tuple({obj.name: obj for obj in objects}.values())
