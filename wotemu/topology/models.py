"""The values that a topology is made of. Each checks itself; `Topology` checks them against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

import attrs

from wotemu.topology._fields import (
    Checked,
    check_host_name,
    check_name,
    each,
    fail,
    flag,
    kind_of,
    named_errors,
    optional_text,
    strings,
    whole,
)
from wotemu.topology._json import topology_dict
from wotemu.topology._name_rules import check_names
from wotemu.topology.builtin_apps import BuiltinApps
from wotemu.topology.conditions import DistributionTable, GilbertElliott, MarkovLoss, NetworkConditions
from wotemu.topology.node_app import NodeApp
from wotemu.topology.placement import Placement
from wotemu.topology.resources import NodeResources

__all__ = [
    "PROBE_PORT",
    "Broker",
    "BuiltinApps",
    "DistributionTable",
    "GilbertElliott",
    "Link",
    "MarkovLoss",
    "Network",
    "NetworkConditions",
    "Node",
    "NodeApp",
    "NodeResources",
    "Placement",
    "Ports",
    "Service",
    "Topology",
]

NO_CONDITIONS = NetworkConditions()
ANYWHERE = Placement()
_CONDITIONS = frozenset(field.name for field in attrs.fields(NetworkConditions))
_placement = kind_of(Placement, 'a Placement: write Placement(constraints=["node.labels.site==roof"])')


def _conditions(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, NetworkConditions):
        raise fail(
            instance,
            attribute.name,
            f"{value!r} is not NetworkConditions",
            hint='write NetworkConditions.LTE or NetworkConditions(latency="40ms", rate="15mbit")',
        )


@attrs.frozen(field_transformer=named_errors)
class Network(Checked):
    """An emulated network. `conditions` is what one crossing of it does.

    Its delay, jitter and loss happen once per packet; its rate limits each node's way up and each
    node's way down separately, or with `shared=True` all of the network together, as a radio channel.
    `placement` says where on a cluster its gateway may run.
    """

    name: str = attrs.field(validator=check_name)
    conditions: NetworkConditions = attrs.field(default=NO_CONDITIONS, validator=_conditions)
    shared: bool = attrs.field(default=False, converter=flag)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=_placement)

    @classmethod
    def hint_for(cls, unknown: str, fields: list[str]) -> str | None:
        """As `Checked.hint_for`; conditions have a place of their own."""
        if unknown in _CONDITIONS:
            return f"write conditions=NetworkConditions({unknown}=...)"
        return super().hint_for(unknown, fields)


@attrs.frozen(field_transformer=named_errors)
class Link(Checked):
    """One node's attachment to `network`, with conditions of its own on the way `up` and `down`.

    They add to the network's: delays add, the lower rate holds, losses are independent.
    """

    network: Network = attrs.field(validator=kind_of(Network, "a Network"))
    up: NetworkConditions = attrs.field(default=NO_CONDITIONS, kw_only=True, validator=_conditions)
    down: NetworkConditions = attrs.field(default=NO_CONDITIONS, kw_only=True, validator=_conditions)

    @classmethod
    def hint_for(cls, unknown: str, fields: list[str]) -> str | None:
        """As `Checked.hint_for`; conditions are given for each way."""
        if unknown in _CONDITIONS:
            return f"write up=NetworkConditions({unknown}=...), down=NetworkConditions({unknown}=...)"
        return super().hint_for(unknown, fields)


_optional_resources = kind_of(NodeResources, "NodeResources", optional=True)


def _links(value: Network | Link | Iterable[Network | Link]) -> tuple[Network | Link, ...]:
    return (value,) if isinstance(value, Network | Link) else cast(tuple[Network | Link, ...], value)


# What may be any iterable is made a tuple once its items are checked.


def _command(value: Iterable[str] | None) -> tuple[str, ...] | None:
    return cast(tuple[str, ...] | None, value)


def _services(value: Iterable[Service]) -> tuple[Service, ...]:
    return cast("tuple[Service, ...]", value)


def _nodes(value: Iterable[Node]) -> tuple[Node, ...]:
    return cast("tuple[Node, ...]", value)


@attrs.frozen(field_transformer=named_errors)
class Broker(Checked):
    """An MQTT broker on the given networks."""

    name: str = attrs.field(validator=check_host_name)
    networks: tuple[Network | Link, ...] = attrs.field(converter=_links)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=_placement)

    def __attrs_post_init__(self) -> None:
        _check_links(self)
        if not self.networks:
            raise fail(
                self, "networks", "a broker on no network reaches nobody", hint="give at least one Network"
            )

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network."""
        return _as_links(self.networks)


@attrs.frozen(field_transformer=named_errors)
class Service(Checked):
    """A plain service, such as a database: nodes that name it find it by `name`.

    The swarm engine runs `image` as it is, with `command` as its arguments; the local engine runs `command`.
    On `networks` it is reached over these, under their conditions, as a node is; on none it is reached
    directly, and what goes there is not shaped.
    """

    name: str = attrs.field(validator=check_host_name)
    image: str | None = attrs.field(default=None, validator=optional_text)
    command: tuple[str, ...] | None = attrs.field(default=None, kw_only=True, converter=_command)
    env: dict[str, str] = attrs.field(factory=dict, kw_only=True, validator=strings, hash=False, repr=False)
    networks: tuple[Network | Link, ...] = attrs.field(default=(), kw_only=True, converter=_links)
    resources: NodeResources | None = attrs.field(default=None, kw_only=True, validator=_optional_resources)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=_placement)

    def __attrs_post_init__(self) -> None:
        _check_links(self)
        _check_command(self)
        if self.image is None and self.command is None:
            raise fail(self, "image", "a service needs an image or a command")

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network; none where it is reached directly."""
        return _as_links(self.networks)


@attrs.frozen(field_transformer=named_errors)
class Node(Checked):
    """A machine of the deployment: an `app` on WoTPy or any `command`, on `networks` (Networks or Links).

    `scale` replicas are called ``NAME-1``, ``NAME-2``, ... where it is more than one, else ``NAME``; every
    node finds them by NAME. `image` and `placement` are for the swarm engine. An image is one that was made
    from WoTemu's, and brings what the node runs: the folder of the topology does not travel there.
    """

    name: str = attrs.field(validator=check_host_name)
    app: NodeApp | None = attrs.field(default=None, validator=kind_of(NodeApp, "a NodeApp", optional=True))
    command: tuple[str, ...] | None = attrs.field(default=None, kw_only=True, converter=_command)
    networks: tuple[Network | Link, ...] = attrs.field(default=(), kw_only=True, converter=_links)
    broker: Broker | None = attrs.field(
        default=None, kw_only=True, validator=kind_of(Broker, "a Broker", optional=True)
    )
    services: tuple[Service, ...] = attrs.field(default=(), kw_only=True, converter=_services)
    resources: NodeResources | None = attrs.field(default=None, kw_only=True, validator=_optional_resources)
    scale: int = attrs.field(default=1, kw_only=True, validator=whole)
    env: dict[str, str] = attrs.field(factory=dict, kw_only=True, validator=strings, hash=False, repr=False)
    image: str | None = attrs.field(default=None, kw_only=True, validator=optional_text)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=_placement)

    def __attrs_post_init__(self) -> None:
        _check_links(self)
        _check_command(self)
        object.__setattr__(self, "services", each(self, "services", self.services, Service, "a Service"))
        if (self.app is None) == (self.command is None):
            raise fail(
                self, "app", "a node runs either an app or a command", hint="give exactly one of the two"
            )
        if self.app is not None and self.app.mqtt and self.broker is None:
            raise fail(
                self,
                "broker",
                "its app serves MQTT, but it names no broker",
                hint="give Node(broker=Broker(...))",
            )
        if self.broker is not None and not _meet(self, self.broker):
            raise fail(self, "broker", f"it shares no network with Broker {self.broker.name!r}")
        for service in self.services:
            if service.networks and not _meet(self, service):
                raise fail(self, "services", f"it shares no network with Service {service.name!r}")

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network."""
        return _as_links(self.networks)

    @property
    def replicas(self) -> tuple[str, ...]:
        """The names of its replicas."""
        return (
            (self.name,) if self.scale == 1 else tuple(f"{self.name}-{i}" for i in range(1, self.scale + 1))
        )


def _as_links(networks: Iterable[Network | Link]) -> tuple[Link, ...]:
    return tuple(item if isinstance(item, Link) else Link(item) for item in networks)


def _meet(one: Node, other: Broker | Service) -> bool:
    return bool({link.network.name for link in one.links} & {link.network.name for link in other.links})


def _check_links(owner: Node | Broker | Service) -> None:
    items = each(owner, "networks", owner.networks, (Network, Link), "a Network or a Link")
    object.__setattr__(owner, "networks", items)
    for name, count in Counter(link.network.name for link in _as_links(items)).items():
        if count > 1:
            raise fail(
                owner, "networks", f"it is attached to Network {name!r} {count} times", hint="attach it once"
            )


def _check_command(owner: Node | Service) -> None:
    if owner.command is None:
        return
    command = each(owner, "command", owner.command, str, "a string")
    if not command or not command[0]:
        raise fail(owner, "command", "it is empty", hint='write ["program", "argument", ...]')
    object.__setattr__(owner, "command", command)


PROBE_PORT = 61999
"""The UDP port that probes go from and to: reserved on every node, beyond Linux's ephemeral ports."""


@attrs.frozen(kw_only=True, field_transformer=named_errors)
class Ports(Checked):
    """The ports that every node's servient and every broker listens on."""

    http: int = 8080
    ws: int = 8081
    coap: int = 5683
    mqtt: int = 1883
    catalogue: int = 9090

    def __attrs_post_init__(self) -> None:
        for name, port in attrs.asdict(self).items():
            if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
                raise fail(self, name, f"{port!r} is not a port: it must be from 1 to 65535")
        tcp = Counter(port for name, port in attrs.asdict(self).items() if name != "coap")
        for name, port in attrs.asdict(self).items():
            if name != "coap" and tcp[port] > 1:
                raise fail(self, name, f"port {port} is taken twice")
        if self.coap == PROBE_PORT:
            raise fail(self, "coap", f"port {PROBE_PORT} is where WoTemu's own probes go, on every node")


@attrs.frozen(field_transformer=named_errors)
class Topology(Checked):
    """A whole deployment. Networks, brokers and services are those that its nodes name.

    `redis` (a URL of a bus of your own) and `docker_proxy` (false leaves it out) are for the swarm engine.
    """

    nodes: tuple[Node, ...] = attrs.field(converter=_nodes)
    ports: Ports = attrs.field(factory=Ports, kw_only=True)
    redis: str | None = attrs.field(default=None, kw_only=True, validator=optional_text)
    docker_proxy: bool = attrs.field(default=True, kw_only=True, converter=flag)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "nodes", each(self, "nodes", self.nodes, Node, "a Node"))
        if not self.nodes:
            raise fail(self, "nodes", "there is none", hint="give at least one Node")
        if not isinstance(self.ports, Ports):
            raise fail(self, "ports", f"{self.ports!r} is not Ports", hint="write Ports(http=8080, ...)")
        check_names(self)

    @property
    def networks(self) -> tuple[Network, ...]:
        """Every emulated network, in the order in which nodes name them."""
        return _unique(link.network for owner in self.members for link in owner.links)

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """Every broker that a node names."""
        return _unique(node.broker for node in self.nodes if node.broker is not None)

    @property
    def members(self) -> tuple[Node | Broker | Service, ...]:
        """All that is attached to networks: the nodes, the brokers, then the services that name one."""
        return (*self.nodes, *self.brokers, *(service for service in self.services if service.networks))

    @property
    def services(self) -> tuple[Service, ...]:
        """Every service that a node names."""
        return _unique(service for node in self.nodes for service in node.services)

    def to_dict(self) -> dict[str, Any]:
        """The topology as JSON holds it. It has no environment variables: those may be secrets."""
        return topology_dict(self)


def _unique(objects: Iterable[Any]) -> tuple[Any, ...]:
    return tuple({obj.name: obj for obj in objects}.values())
