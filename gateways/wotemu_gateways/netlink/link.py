"""Netlink messages that make and change interfaces: veth pairs, ifbs, bridges, addresses, IPv4 sysctls."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address

import attrs

from wotemu_gateways.netlink.request_socket import (
    CREATE,
    EXCL,
    Attribute,
    Attributes,
    Netlink,
    Request,
    decode,
    encode,
    text,
    u8,
    u32,
)

# linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h and linux/if.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 17, 18, 19, 20, 22
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NOPREFIXROUTE = 0x200
_MESSAGE = struct.Struct("=BBHiII")
"""struct ifinfomsg: family, padding, type, index, flags, and which of the flags to change."""
_ADDRESS = struct.Struct("=4BI")
"""struct ifaddrmsg: family, prefix length, flags, scope, index of the interface."""
IFF_UP, IFF_NOARP = 0x1, 0x80
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_PROTINFO, IFLA_LINKINFO, IFLA_AF_SPEC = (
    1,
    3,
    4,
    10,
    12,
    18,
    26,
)
IFLA_STATS64 = 23
_TX_DROPPED = 7
"""The field of struct rtnl_link_stats64, of 64 bits each."""
IFLA_TXQLEN, IFLA_NET_NS_FD, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES, IFLA_GSO_MAX_SEGS = 13, 28, 31, 32, 40
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFLA_BR_FORWARD_DELAY, IFLA_BR_MCAST_SNOOPING = 1, 23
IFLA_BRPORT_ISOLATED = 33


@attrs.frozen
class LinkInfo:
    """An interface's number, name, MAC (six bytes) and MTU."""

    index: int
    name: str
    mac: bytes
    mtu: int


def index_of(name: str) -> int:
    """An interface's number in this thread's network namespace; `OSError` where there is none."""
    return socket.if_nametoindex(name)


def find(netlink: Netlink, name: str) -> LinkInfo:
    """The interface with this name; `OSError` where there is none."""
    index = index_of(name)
    for body in netlink.dump(Request(RTM_GETLINK, _MESSAGE.pack(0, 0, 0, 0, 0, 0), (), 0, "interfaces")):
        _, _, _, number, _, _ = _MESSAGE.unpack_from(body)
        if number == index:
            fields = decode(body[_MESSAGE.size :])
            return LinkInfo(index, name, fields[IFLA_ADDRESS], int.from_bytes(fields[IFLA_MTU], "little"))
    raise OSError(f"interface {name} was deleted meanwhile")


def tx_drops(netlink: Netlink, prefix: str) -> dict[str, int]:
    """Packets that each interface dropped on sending since it was made, of those whose names begin so."""
    drops = {}
    for body in netlink.dump(Request(RTM_GETLINK, _MESSAGE.pack(0, 0, 0, 0, 0, 0), (), 0, "interfaces")):
        fields = decode(body[_MESSAGE.size :])
        name = fields.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
        if name.startswith(prefix) and IFLA_STATS64 in fields:
            drops[name] = struct.unpack_from("=8Q", fields[IFLA_STATS64])[_TX_DROPPED]
    return drops


def ipv4_addresses(netlink: Netlink) -> list[tuple[int, IPv4Interface]]:
    """The number of the interface, and the address with its prefix, of each IPv4 address."""
    found = []
    for body in netlink.dump(
        Request(RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0), (), 0, "addresses")
    ):
        family, prefix, _, _, index = _ADDRESS.unpack_from(body)
        fields = decode(body[_ADDRESS.size :])
        # IFA_ADDRESS is the other end's where the link is between two.
        own = fields.get(IFA_LOCAL) or fields.get(IFA_ADDRESS)
        if family == socket.AF_INET and own is not None:
            found.append((index, IPv4Interface((own, prefix))))
    return found


def veth(
    name: str,
    peer: str,
    *,
    mtu: int,
    mac: bytes | None = None,
    peer_mac: bytes | None = None,
    peer_netns: int | None = None,
) -> Request:
    """Make a pair of interfaces, both down, of which the second may be in another namespace.

    IFLA_GSO_MAX_SEGS is 1: the kernel segments what goes in at either end to the MTU first, whatever
    offloads its sender counted on. One super-packet would be delayed, lost and paced as one packet.

    Args:
        mac: Of the first interface, six bytes; the kernel chooses one where it is None.
        peer_mac: The same of the second.
        peer_netns: A descriptor of the second's network namespace; this one where it is None.
    """
    other = [*_common(peer, mtu, peer_mac)]
    if peer_netns is not None:
        other.append((IFLA_NET_NS_FD, u32(peer_netns)))
    peer_message = _MESSAGE.pack(0, 0, 0, 0, 0, 0) + encode(other)
    kind: Attributes = ((IFLA_INFO_KIND, text("veth")), (IFLA_INFO_DATA, ((VETH_INFO_PEER, peer_message),)))
    return _new(name, (*_common(name, mtu, mac), (IFLA_LINKINFO, kind)), up=False)


def ifb(name: str, *, mtu: int) -> Request:
    """Make an ifb: it returns each packet to where it was redirected from, once its qdisc lets it go."""
    return _new(
        name,
        (
            (IFLA_IFNAME, text(name)),
            (IFLA_MTU, u32(mtu)),
            (IFLA_NUM_TX_QUEUES, u32(1)),
            (IFLA_NUM_RX_QUEUES, u32(1)),
            _kind("ifb"),
        ),
        up=True,
    )


def bridge(name: str, *, mtu: int, mac: bytes) -> Request:
    """Make a bridge whose ports forward at once, and multicasts to all of them."""
    data = ((IFLA_BR_FORWARD_DELAY, u32(0)), (IFLA_BR_MCAST_SNOOPING, u8(0)))
    kind = (IFLA_LINKINFO, ((IFLA_INFO_KIND, text("bridge")), (IFLA_INFO_DATA, data)))
    return _new(name, ((IFLA_IFNAME, text(name)), (IFLA_MTU, u32(mtu)), (IFLA_ADDRESS, mac), kind), up=True)


def _common(name: str, mtu: int, mac: bytes | None) -> list[Attribute]:
    attributes: list[Attribute] = [
        (IFLA_IFNAME, text(name)),
        (IFLA_MTU, u32(mtu)),
        (IFLA_NUM_TX_QUEUES, u32(1)),
        (IFLA_NUM_RX_QUEUES, u32(1)),
        (IFLA_GSO_MAX_SEGS, u32(1)),
    ]
    return [*attributes, (IFLA_ADDRESS, mac)] if mac is not None else attributes


def _kind(kind: str) -> Attribute:
    return (IFLA_LINKINFO, ((IFLA_INFO_KIND, text(kind)),))


def _new(name: str, attributes: Attributes, *, up: bool) -> Request:
    flags = IFF_UP if up else 0
    return Request(
        RTM_NEWLINK, _MESSAGE.pack(0, 0, 0, 0, flags, flags), attributes, CREATE | EXCL, f"interface {name}"
    )


def tap_settings(index: int, *, mac: bytes, mtu: int, tx_queue: int, arp: bool = False) -> Request:
    """Set a TAP's MAC (six bytes), MTU and transmit queue in frames.

    Args:
        arp: Whether the kernel resolves addresses on it; a gateway's end needs none (IFF_NOARP), as every
            frame there is for the TAP's own MAC.
    """
    attributes = ((IFLA_ADDRESS, mac), (IFLA_MTU, u32(mtu)), (IFLA_TXQLEN, u32(tx_queue)))
    flags = 0 if arp else IFF_NOARP
    return Request(RTM_NEWLINK, _MESSAGE.pack(0, 0, 0, index, flags, IFF_NOARP), attributes, 0, "device")


def up(index: int, *, is_up: bool = True) -> Request:
    """Set an interface up, or down."""
    flags = IFF_UP if is_up else 0
    return Request(RTM_NEWLINK, _MESSAGE.pack(0, 0, 0, index, flags, IFF_UP), (), 0, "interface up")


def delete(index: int) -> Request:
    """Delete an interface; of a veth pair, both ends go."""
    return Request(RTM_DELLINK, _MESSAGE.pack(0, 0, 0, index, 0, 0), (), 0, "delete interface")


def isolated_port(index: int, bridge_index: int) -> tuple[Request, Request]:
    """Put an interface on a bridge, as a port that reaches the bridge itself and no other isolated port."""
    joined = _change(index, ((IFLA_MASTER, u32(bridge_index)),), "bridge port")
    flags = ((IFLA_BRPORT_ISOLATED, u8(1)),)
    header = _MESSAGE.pack(socket.AF_BRIDGE, 0, 0, index, 0, 0)
    return joined, Request(RTM_SETLINK, header, ((IFLA_PROTINFO, flags),), 0, "isolated port")


def address(index: int, ipv4: str, prefix: int, *, prefix_route: bool = True) -> Request:
    """Give an interface an IPv4 address, and a route for its subnet where `prefix_route` is true."""
    packed = IPv4Address(ipv4)
    broadcast = IPv4Network((packed, prefix), strict=False).broadcast_address
    header = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, index)
    attributes = (
        (IFA_LOCAL, packed.packed),
        (IFA_ADDRESS, packed.packed),
        (IFA_BROADCAST, broadcast.packed),
        (IFA_FLAGS, u32(0 if prefix_route else IFA_F_NOPREFIXROUTE)),
    )
    return Request(RTM_NEWADDR, header, attributes, CREATE | EXCL, f"address {ipv4}")


def ipv6_host_address(index: int, ipv6: str) -> Request:
    """Give an interface an IPv6 address without a subnet."""
    header = struct.pack("=BBBBI", socket.AF_INET6, 128, 0, 0, index)
    attributes = ((IFA_LOCAL, IPv6Address(ipv6).packed),)
    return Request(RTM_NEWADDR, header, attributes, CREATE | EXCL, f"address {ipv6}")


def ipv4_settings(index: int, **settings: int) -> Request:
    """Set an interface's IPv4 sysctls over netlink: in a container /proc/sys is read-only.

    Args:
        index: The interface.
        settings: `forwarding`, `accept_redirects`, `send_redirects` and `rp_filter`, as in
            /proc/sys/net/ipv4/conf.
    """
    values = tuple((_SETTINGS[name], u32(value)) for name, value in settings.items())
    return _change(
        index, ((IFLA_AF_SPEC, ((socket.AF_INET, ((IFLA_INET_CONF, values),)),)),), "IPv4 settings"
    )


IFLA_INET_CONF = 1
_SETTINGS = {"forwarding": 1, "accept_redirects": 4, "send_redirects": 6, "rp_filter": 8}
"""IPV4_DEVCONF_* of linux/ip.h by the names in /proc/sys/net/ipv4/conf."""


def _change(index: int, attributes: Attributes, what: str) -> Request:
    return Request(RTM_NEWLINK, _MESSAGE.pack(0, 0, 0, index, 0, 0), attributes, 0, what)
