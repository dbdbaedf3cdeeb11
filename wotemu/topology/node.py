"""Nodes: the machines of a deployment, and what runs on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import attrs

from wotemu.topology._fields import (
    Checked,
    check_host_name,
    describe_object,
    each,
    fail,
    kind_of,
    named_errors,
    optional_text,
    strings,
    whole,
)
from wotemu.topology.network import Link, Network, as_links, check_links, network_tuple
from wotemu.topology.node_app import NodeApp
from wotemu.topology.placement import ANYWHERE, Placement, is_placement
from wotemu.topology.ports import published
from wotemu.topology.resources import NodeResources, is_resources_or_none
from wotemu.topology.service import Broker, Service, check_command, command_or_none


def _services(value: Iterable[Service]) -> tuple[Service, ...]:
    # Any iterable is made a tuple once its items are checked.
    return cast("tuple[Service, ...]", value)


@attrs.frozen(field_transformer=named_errors)
class Node(Checked):
    """A machine of the deployment, which runs an app on WoTPy or any command.

    Attributes:
        name: The host name that nodes reach it by: that of all its replicas.
        app: A WoTPy app. A node has either an app or a command.
        command: A program and its arguments.
        networks: Networks or Links that it is attached to.
        broker: The MQTT broker that its app uses; on one of the node's networks.
        broker_network: Over which network the app reaches its broker: the host of its URL, which is in the
            MQTT forms of its Things, too, is then ``BROKER.NETWORK``. By default it is ``BROKER``, which is
            reached over the first network that both share.
        services: Plain services that it uses.
        resources: Limits of CPU and memory of each replica.
        scale: How many replicas there are: ``NAME-1``, ``NAME-2``, ..., or ``NAME`` alone for 1.
        env: Environment variables. They are in no record of a run, as they may be secrets.
        publish: Ports of this machine's loopback interface that lead to ports of the node: ``{8080: 80}`` has
            its dashboard at http://127.0.0.1:8080. TCP, past all networks and their conditions. Of nodes with
            one replica, with the local engine.
        image: For the swarm engine, an image made from WoTemu's that contains what the node runs; the folder
            of the deployment file is not sent to it.
        placement: On which machines of a swarm it may run.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    name: str = attrs.field(validator=check_host_name)
    app: NodeApp | None = attrs.field(default=None, validator=kind_of(NodeApp, "a NodeApp", optional=True))
    command: tuple[str, ...] | None = attrs.field(default=None, kw_only=True, converter=command_or_none)
    networks: tuple[Network | Link, ...] = attrs.field(default=(), kw_only=True, converter=network_tuple)
    broker: Broker | None = attrs.field(
        default=None, kw_only=True, validator=kind_of(Broker, "a Broker", optional=True)
    )
    broker_network: Network | None = attrs.field(
        default=None, kw_only=True, validator=kind_of(Network, "a Network", optional=True)
    )
    services: tuple[Service, ...] = attrs.field(default=(), kw_only=True, converter=_services)
    resources: NodeResources | None = attrs.field(default=None, kw_only=True, validator=is_resources_or_none)
    scale: int = attrs.field(default=1, kw_only=True, validator=whole)
    env: dict[str, str] = attrs.field(factory=dict, kw_only=True, validator=strings, hash=False, repr=False)
    publish: Mapping[int, int] = attrs.field(factory=dict, kw_only=True, converter=published, hash=False)
    image: str | None = attrs.field(default=None, kw_only=True, validator=optional_text)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=is_placement)

    def __attrs_post_init__(self) -> None:
        check_links(self)
        check_command(self)
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
        if self.broker is not None and not _share_a_network(self, self.broker):
            raise fail(
                self,
                "broker",
                f"it shares no network with Broker {self.broker.name!r}",
                hint="add the broker's network to the node's networks",
            )
        if self.broker_network is not None:
            self._check_broker_network(self.broker_network)
        if self.publish and self.scale > 1:
            hint = "make the one to look at a Node of its own"
            raise fail(self, "publish", f"one port can't lead to {self.scale} replicas", hint=hint)
        for service in self.services:
            if service.networks and not _share_a_network(self, service):
                raise fail(self, "services", f"it shares no network with Service {service.name!r}")

    def _check_broker_network(self, network: Network) -> None:
        if self.broker is None:
            raise fail(self, "broker_network", "it names no broker", hint="give broker=Broker(...), too")
        for owner in (self, self.broker):
            if network.name not in {link.network.name for link in owner.links}:
                raise fail(
                    self,
                    "broker_network",
                    f"{describe_object(owner)} is not on Network {network.name!r}",
                    hint="give a network that the node and its broker are on",
                )

    @property
    def broker_host(self) -> str | None:
        """The host name by which its app reaches its broker; None where it has none."""
        if self.broker is None:
            return None
        network = self.broker_network
        return self.broker.name if network is None else f"{self.broker.name}.{network.name}"

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network."""
        return as_links(self.networks)

    @property
    def replicas(self) -> tuple[str, ...]:
        """The names of its replicas."""
        return (
            (self.name,) if self.scale == 1 else tuple(f"{self.name}-{i}" for i in range(1, self.scale + 1))
        )


def _share_a_network(one: Node, other: Broker | Service) -> bool:
    return bool({link.network.name for link in one.links} & {link.network.name for link in other.links})
