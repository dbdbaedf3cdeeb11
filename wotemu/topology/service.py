"""MQTT brokers and plain services that nodes use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from wotemu.topology._fields import (
    Checked,
    check_host_name,
    each,
    fail,
    flag,
    named_errors,
    optional_text,
    strings,
)
from wotemu.topology.network import Link, Network, as_links, check_links, network_tuple
from wotemu.topology.placement import ANYWHERE, Placement, is_placement
from wotemu.topology.resources import NodeResources, is_resources_or_none
from wotemu.units import QuantityLike, Seconds


def service_network(service: str) -> str:
    """The name of the network between a service that is on no network and the nodes that use it."""
    return f"service-{service}"


def command_or_none(value: Iterable[str] | None) -> tuple[str, ...] | None:
    """The converter of a `command` field; `check_command` checks the items and makes them a tuple."""
    return cast(tuple[str, ...] | None, value)


def check_command(owner: Any) -> None:
    """Make `owner.command` a tuple, unless it is None.

    Raises:
        TopologyError: It is empty, or an item is no string.
    """
    if owner.command is None:
        return
    command = each(owner, "command", owner.command, str, "a string")
    if not command or not command[0]:
        raise fail(owner, "command", "it is empty", hint='write ["program", "argument", ...]')
    object.__setattr__(owner, "command", command)


def _store_every(value: QuantityLike | bool) -> Seconds | bool:
    """The converter of `Broker.persistence`."""
    if isinstance(value, bool):
        return Seconds(1) if value else False
    every = Seconds.of(value)
    if every < 1 or float(every) % 1:
        raise ValueError(f"{value!r} is no whole number of seconds, which Mosquitto stores after")
    return every


@attrs.frozen(field_transformer=named_errors)
class Broker(Checked):
    """An MQTT broker: Mosquitto where it is installed, as it is in the image, else amqtt's.

    Attributes:
        name: The host name that nodes reach it by.
        networks: Networks or Links that it is attached to, one at least.
        users: The password of each user, by name: nobody else may connect. Without users, everybody may.
            Passwords are in nothing that a run leaves.
        tls: Whether it speaks TLS alone, on the same port (`Ports.mqtt`). An authority that is new in each
            run signs its certificate; nodes on its networks find the authority's own in the file that
            ``WOTEMU_BROKER_CA`` names, and the MQTT client and server of a `NodeApp` use it.
        persistence: How often it stores retained messages and sessions, with what is queued for these, so
            that they are there again after a crash: whole seconds, such as ``"30min"``, which is Mosquitto's
            default, or True for every second. It needs Mosquitto.
        placement: On which machines of a swarm it may run.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    name: str = attrs.field(validator=check_host_name)
    networks: tuple[Network | Link, ...] = attrs.field(converter=network_tuple)
    users: Mapping[str, str] = attrs.field(factory=dict, kw_only=True, repr=False, hash=False)
    tls: bool = attrs.field(default=False, kw_only=True, converter=flag)
    persistence: Seconds | bool = attrs.field(default=False, kw_only=True, converter=_store_every)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=is_placement)

    def __attrs_post_init__(self) -> None:
        check_links(self)
        _check_users(self)
        if not self.networks:
            raise fail(
                self,
                "networks",
                "it is on no network, so no node can reach it",
                hint="give at least one Network",
            )

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network."""
        return as_links(self.networks)


def _check_users(broker: Broker) -> None:
    """Make `users` a dict of its own. What is refused is never shown: it may be a password."""
    users = broker.users
    texts = [text for pair in users.items() for text in pair] if isinstance(users, Mapping) else [None]
    if not all(isinstance(text, str) and text.strip() and text.isprintable() for text in texts):
        raise fail(
            broker,
            "users",
            "a user's name or password is no text, or empty",
            hint='write {"name": "password"}',
        )
    if wrong := [name for name in users if ":" in name]:
        raise fail(broker, "users", f"the name {wrong[0]!r} has a colon, which ends names in password files")
    object.__setattr__(broker, "users", dict(users))


@attrs.frozen(field_transformer=named_errors)
class Service(Checked):
    """A plain service, such as a database, that nodes use.

    Attributes:
        name: The host name that nodes reach it by.
        image: The container image that the swarm engine runs as it is.
        command: The program and its arguments that the local engine runs; on swarm, the image's arguments.
        env: Environment variables.
        networks: Networks or Links over which it is reached, under their conditions. Where there is none,
            it is reached directly and its traffic is not shaped.
        resources: Limits of CPU and memory.
        placement: On which machines of a swarm it may run.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    name: str = attrs.field(validator=check_host_name)
    image: str | None = attrs.field(default=None, validator=optional_text)
    command: tuple[str, ...] | None = attrs.field(default=None, kw_only=True, converter=command_or_none)
    env: dict[str, str] = attrs.field(factory=dict, kw_only=True, validator=strings, hash=False, repr=False)
    networks: tuple[Network | Link, ...] = attrs.field(default=(), kw_only=True, converter=network_tuple)
    resources: NodeResources | None = attrs.field(default=None, kw_only=True, validator=is_resources_or_none)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=is_placement)

    def __attrs_post_init__(self) -> None:
        check_links(self)
        check_command(self)
        if self.image is None and self.command is None:
            raise fail(self, "image", "a service needs an image or a command")

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network; none where it is reached directly."""
        return as_links(self.networks)
