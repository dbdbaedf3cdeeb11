"""Netlink messages that make routes and neighbours, for who makes many and can't wait for pyroute2.

`routing` changes those of a running node; opening one of pyroute2's sockets takes 7 ms, with which a
hundred nodes would need most of a second of a processor to start.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv4Network

from wotemu_gateways.netlink.request_socket import CREATE, EXCL, REPLACE, Attribute, Request, u32

# linux/rtnetlink.h and linux/neighbour.h
RTM_NEWROUTE, RTM_NEWNEIGH = 24, 28
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80
RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST = 254, 4, 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTNH_F_ONLINK = 4

MULTICAST, LIMITED_BROADCAST = IPv4Network("224.0.0.0/4"), IPv4Network("255.255.255.255/32")

_ROUTE = struct.Struct("=BBBBBBBBI")
"""struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags."""
_NEIGHBOUR = struct.Struct("=BBHiHBB")
"""struct ndmsg: family, padding (twice), interface, state, flags, type."""


def neighbour(index: int, ipv4: str, mac: bytes) -> Request:
    """Resolve an address on an interface for good, so that no packet waits for ARP."""
    header = _NEIGHBOUR.pack(socket.AF_INET, 0, 0, index, NUD_PERMANENT, 0, RTN_UNICAST)
    attributes = ((NDA_DST, IPv4Address(ipv4).packed), (NDA_LLADDR, mac))
    return Request(RTM_NEWNEIGH, header, attributes, CREATE | EXCL, f"neighbour {ipv4}")


def route_via_gateway(index: int, subnet: IPv4Network, gateway: str, source: str) -> Request:
    """Send what is for a subnet through a gateway, which is at that interface whatever other routes say.

    Args:
        index: The interface.
        subnet: The destinations.
        gateway: The next hop.
        source: The address that packets get where a program chooses none.
    """
    attributes = (
        (RTA_DST, subnet.network_address.packed),
        (RTA_GATEWAY, IPv4Address(gateway).packed),
        (RTA_OIF, u32(index)),
        (RTA_PREFSRC, IPv4Address(source).packed),
    )
    return _route(subnet, attributes, RT_SCOPE_UNIVERSE, RTNH_F_ONLINK, CREATE | EXCL)


def route_on_link(index: int, subnet: IPv4Network) -> Request:
    """Send what is for a subnet out of an interface, in place of any such route before."""
    attributes = ((RTA_DST, subnet.network_address.packed), (RTA_OIF, u32(index)))
    return _route(subnet, attributes, RT_SCOPE_LINK, 0, CREATE | REPLACE)


def _route(
    subnet: IPv4Network, attributes: tuple[Attribute, ...], scope: int, hop_flags: int, flags: int
) -> Request:
    kinds = (0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST)
    header = _ROUTE.pack(socket.AF_INET, subnet.prefixlen, *kinds, hop_flags)
    return Request(RTM_NEWROUTE, header, attributes, flags, f"route to {subnet}")
