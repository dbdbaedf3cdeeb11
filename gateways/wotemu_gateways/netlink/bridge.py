"""An emulated network on one machine whose gateway has one interface, as on a Swarm's overlay.

The gateway's interface is a bridge, and each node's interface ends in a port of it that is *isolated*: it
reaches the bridge itself and no other port. So nothing passes between nodes but through the gateway, also
what ignores the routes.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from wotemu_gateways.netlink import link, routing
from wotemu_gateways.netlink.namespaces import entered
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.packets.ethernet import mac_of

INTERFACE = "eth0"
"""The gateway's one interface on the emulated network."""

MTU = 1500


@attrs.frozen
class Attachment:
    """An interface that a node gets: its network namespace, name and address."""

    netns_fd: int
    interface: str
    ipv4: str
    prefix: int
    is_first: bool = True
    """Whether the node's multicasts and broadcasts leave by it, unless a program chooses an interface."""


def build(gateway: str, nodes: Sequence[Attachment], *, mtu: int = MTU) -> None:
    """Make the bridge in this namespace, the nodes' interfaces in theirs, and their routes through here.

    MACs follow from addresses, see `mac_of`.

    Args:
        gateway: The gateway's IPv4 address.
        nodes: All nodes of the network.
        mtu: Of the bridge and the nodes' interfaces, in bytes.

    Raises:
        OSError: The kernel refused something.
    """
    prefix = nodes[0].prefix if nodes else 32
    with Netlink() as netlink:
        netlink.send(link.bridge(INTERFACE, mtu=mtu, mac=mac_of(gateway)))
        bridge = link.index_of(INTERFACE)
        netlink.send(link.address(bridge, gateway, prefix), link.ipv4_settings(bridge, rp_filter=0))
        for number, node in enumerate(nodes):
            port = _port(number)
            netlink.send(
                link.veth(
                    port,
                    node.interface,
                    mtu=mtu,
                    peer_mac=mac_of(node.ipv4),
                    peer_netns=node.netns_fd,
                )
            )
            index = link.index_of(port)
            netlink.send(*link.isolated_port(index, bridge), link.up(index))
    for node in nodes:
        routing.add_permanent_neighbour(node.ipv4, mac_of(node.ipv4), INTERFACE)
        with entered(node.netns_fd):
            _connect(node, gateway)


def set_port(number: int, *, is_up: bool) -> None:
    """Set the port of a node up or down, so that its interface has a carrier or none.

    Args:
        number: The node's place in what `build` was given.
        is_up: Whether packets pass.

    Raises:
        OSError: The kernel refused it.
    """
    with Netlink() as netlink:
        netlink.send(link.up(link.index_of(_port(number)), is_up=is_up))


def _port(number: int) -> str:
    return f"port{number}"


def _connect(node: Attachment, gateway: str) -> None:
    """Configure a node's interface, in its namespace: up, with its address and routes through the gateway."""
    with Netlink() as netlink:
        index = link.index_of(node.interface)
        netlink.send(
            link.up(index),
            link.address(index, node.ipv4, node.prefix),
            link.ipv4_settings(index, accept_redirects=0),
        )
    routing.route_via(gateway, routing.subnet_of(node.ipv4, node.prefix), node.interface)
    routing.add_permanent_neighbour(gateway, mac_of(gateway), node.interface)
    if node.is_first:
        routing.route_multicast(node.interface)
