"""Networks, and the links that attach nodes, brokers and services to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

import attrs

from wotemu.topology._fields import Checked, check_name, each, fail, flag, kind_of, named_errors
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions, is_one_way
from wotemu.topology.placement import ANYWHERE, Placement, is_placement

NO_CONDITIONS = NetworkConditions()
MIN_MTU, MAX_MTU = 68, 1500
"""IPv4's least (RFC 791), and Ethernet's: queues and the certificate count in packets of that size."""
_CONDITIONS = frozenset(field.name for field in attrs.fields(NetworkConditions))


def _is_conditions(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A validator: the value is NetworkConditions or LinkConditions."""
    if not isinstance(value, LinkConditions):
        is_one_way(instance, attribute, value)


def _is_mtu(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A validator: the value is an MTU that IPv4 allows and that a full packet of the conditions holds."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not MIN_MTU <= value <= MAX_MTU:
        what = f"{value!r} is not a whole number of bytes from {MIN_MTU} to {MAX_MTU}"
        raise fail(instance, attribute.name, what)


@attrs.frozen(field_transformer=named_errors)
class Network(Checked):
    """An emulated network that nodes are attached to.

    Attributes:
        name: Letters, digits, '-' and '_'; unique among networks.
        conditions: What one crossing of the network does. Its delay, jitter and loss happen once per packet,
            on the hop up; its rate limits each node's hop up and each node's hop down separately.
        shared: Whether all nodes share one rate, as they do on a radio channel.
        mtu: The largest IP packet that its interfaces send, from 68 to 1500 bytes; None for what the engine
            has: 1500, on a swarm 1450. Programs that send more in one packet have it fragmented, or refused
            where that is forbidden, by their own node.
        placement: On which machines of a swarm its gateway may run.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    name: str = attrs.field(validator=check_name)
    conditions: NetworkConditions = attrs.field(default=NO_CONDITIONS, validator=is_one_way)
    shared: bool = attrs.field(default=False, converter=flag)
    mtu: int | None = attrs.field(default=None, kw_only=True, validator=_is_mtu)
    placement: Placement = attrs.field(default=ANYWHERE, kw_only=True, validator=is_placement)

    @classmethod
    def hint_for(cls, unknown: str, fields: list[str]) -> str | None:
        """As `Checked.hint_for`; a condition is pointed to `conditions`."""
        if unknown in _CONDITIONS:
            return f"write conditions=NetworkConditions({unknown}=...)"
        return super().hint_for(unknown, fields)


def _way(name: str) -> NetworkConditions:
    def default(link: Link) -> NetworkConditions:
        both = link.conditions
        return getattr(both, name) if isinstance(both, LinkConditions) else both

    return attrs.Factory(default, takes_self=True)


@attrs.frozen(field_transformer=named_errors)
class Link(Checked):
    """One node's attachment to a network, with conditions of its own beside the network's.

    Delays add to the network's, the lower rate holds, losses are independent.

    Attributes:
        network: The network.
        conditions: Conditions of both hops, where `up` or `down` do not say otherwise; `LinkConditions` have
            one for each.
        up: Conditions of the hop from the node to the gateway.
        down: Conditions of the hop from the gateway to the node.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    network: Network = attrs.field(validator=kind_of(Network, "a Network"))
    conditions: NetworkConditions | LinkConditions = attrs.field(
        default=NO_CONDITIONS, validator=_is_conditions, eq=False, repr=False
    )
    up: NetworkConditions = attrs.field(default=_way("up"), kw_only=True, validator=is_one_way)
    down: NetworkConditions = attrs.field(default=_way("down"), kw_only=True, validator=is_one_way)

    @classmethod
    def hint_for(cls, unknown: str, fields: list[str]) -> str | None:
        """As `Checked.hint_for`; a condition is pointed to `up` and `down`."""
        if unknown in _CONDITIONS:
            return f"write NetworkConditions({unknown}=...), or up=NetworkConditions({unknown}=...)"
        return super().hint_for(unknown, fields)


def network_tuple(value: Network | Link | Iterable[Network | Link]) -> tuple[Network | Link, ...]:
    """The converter of a `networks` field, which may be one network; `check_links` checks the items."""
    return (value,) if isinstance(value, Network | Link) else cast(tuple[Network | Link, ...], value)


def as_links(networks: Iterable[Network | Link]) -> tuple[Link, ...]:
    """Links as they are, and a Link without conditions of its own for each Network."""
    return tuple(item if isinstance(item, Link) else Link(item) for item in networks)


def check_links(owner: Any) -> None:
    """Make `owner.networks` a tuple.

    Raises:
        TopologyError: An item is neither a Network nor a Link, or a network is there twice.
    """
    items = each(owner, "networks", owner.networks, (Network, Link), "a Network or a Link")
    object.__setattr__(owner, "networks", items)
    for name, count in Counter(link.network.name for link in as_links(items)).items():
        if count > 1:
            raise fail(
                owner, "networks", f"it is attached to Network {name!r} {count} times", hint="attach it once"
            )
