"""Netlink messages that make, list and delete routes, policy rules and neighbours."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import attrs

from wotemu_gateways.netlink.request_socket import (
    CREATE,
    EXCL,
    REPLACE,
    Attribute,
    Netlink,
    Request,
    decode,
    text,
    u32,
)

# linux/rtnetlink.h, linux/fib_rules.h and linux/neighbour.h
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWNEIGH = 24, 25, 26, 28
RTM_NEWRULE, RTM_DELRULE = 32, 33
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_TABLE, FRA_UID_RANGE = 1, 2, 3, 6, 15, 20
FR_ACT_TO_TBL, FR_ACT_BLACKHOLE, FR_ACT_UNREACHABLE = 1, 6, 7
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80
RT_TABLE_UNSPEC, RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST, RTN_BLACKHOLE = 0, 254, 4, 1, 6
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTNH_F_ONLINK = 4

MULTICAST, LIMITED_BROADCAST = IPv4Network("224.0.0.0/4"), IPv4Network("255.255.255.255/32")
EVERYWHERE = IPv4Network("0.0.0.0/0")

_ROUTE = struct.Struct("=BBBBBBBBI")
"""struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags. Struct
fib_rule_hdr has the same sizes, and the action in place of the type."""
_NEIGHBOUR = struct.Struct("=BBHiHBB")
"""struct ndmsg: family, padding (twice), interface, state, flags, type."""


def neighbour(index: int, ipv4: str, mac: bytes) -> Request:
    """Resolve an address on an interface for good, so that no packet waits for ARP."""
    header = _NEIGHBOUR.pack(socket.AF_INET, 0, 0, index, NUD_PERMANENT, 0, RTN_UNICAST)
    attributes = ((NDA_DST, IPv4Address(ipv4).packed), (NDA_LLADDR, mac))
    return Request(RTM_NEWNEIGH, header, attributes, CREATE | REPLACE, f"neighbour {ipv4}")


def route_via_gateway(index: int, subnet: IPv4Network, gateway: str, source: str) -> Request:
    """Send what is for a subnet through a gateway, which is at that interface whatever other routes say.

    Args:
        index: The interface.
        subnet: The destinations.
        gateway: The next hop.
        source: The address that packets get where a program chooses none.
    """
    attributes = (
        (RTA_GATEWAY, IPv4Address(gateway).packed),
        (RTA_OIF, u32(index)),
        (RTA_PREFSRC, IPv4Address(source).packed),
    )
    return _route(subnet, attributes, RT_SCOPE_UNIVERSE, hop_flags=RTNH_F_ONLINK, flags=CREATE | EXCL)


def next_hop(index: int, subnet: IPv4Network, gateway: str, *, table: int) -> Request:
    """`route_via_gateway` of a table of its own, in place of any such route before."""
    attributes = ((RTA_GATEWAY, IPv4Address(gateway).packed), (RTA_OIF, u32(index)))
    return _route(subnet, attributes, RT_SCOPE_UNIVERSE, table=table, hop_flags=RTNH_F_ONLINK)


def route_on_link(index: int, subnet: IPv4Network, *, table: int = RT_TABLE_MAIN) -> Request:
    """Send what is for a subnet out of an interface, in place of any such route before."""
    return _route(subnet, ((RTA_OIF, u32(index)),), RT_SCOPE_LINK, table=table)


def drop(subnet: IPv4Network, *, table: int, metric: int) -> Request:
    """Drop what is for a subnet, unless a route with a lower metric is there."""
    attributes = ((RTA_PRIORITY, u32(metric)),)
    return _route(subnet, attributes, RT_SCOPE_UNIVERSE, table=table, kind=RTN_BLACKHOLE)


def _route(
    subnet: IPv4Network,
    attributes: tuple[Attribute, ...],
    scope: int,
    *,
    table: int = RT_TABLE_MAIN,
    kind: int = RTN_UNICAST,
    hop_flags: int = 0,
    flags: int = CREATE | REPLACE,
) -> Request:
    kinds = (RT_TABLE_UNSPEC, RTPROT_STATIC, scope, kind)
    header = _ROUTE.pack(socket.AF_INET, subnet.prefixlen, 0, 0, *kinds, hop_flags)
    # The attribute holds any number of a table; the header has a byte for it.
    common = ((RTA_DST, subnet.network_address.packed), (RTA_TABLE, u32(table)))
    return Request(RTM_NEWROUTE, header, (*common, *attributes), flags, f"route to {subnet}")


@attrs.frozen
class Route:
    """A route that the kernel has; `metric` is 0 where it has none."""

    subnet: IPv4Network
    metric: int
    deletion: Request
    """Deletes it."""


def routes_of(netlink: Netlink, table: int) -> Iterator[Route]:
    """The IPv4 routes of a table."""
    header = _ROUTE.pack(socket.AF_INET, *[0] * 8)
    for body in netlink.dump(Request(RTM_GETROUTE, header, what="routes")):
        fields = decode(body[_ROUTE.size :])
        if _number(fields, RTA_TABLE) == table:
            same = tuple(
                (kind, fields[kind]) for kind in (RTA_DST, RTA_TABLE, RTA_PRIORITY) if kind in fields
            )
            subnet = _subnet(fields.get(RTA_DST), body[1])
            deletion = Request(RTM_DELROUTE, body[: _ROUTE.size], same, what=f"route to {subnet}")
            yield Route(subnet, _number(fields, RTA_PRIORITY), deletion)


@attrs.frozen(kw_only=True)
class Rule:
    """A policy rule: what matches all that is given has the action done, or is looked up in a table."""

    priority: int
    table: int = RT_TABLE_UNSPEC
    action: int = FR_ACT_TO_TBL
    source: IPv4Network = EVERYWHERE
    destination: IPv4Network = EVERYWHERE
    interface: str = ""
    """The name of the interface that packets come in at."""
    uid: int | None = None
    """The user whose programs send the packets."""

    def addition(self) -> Request:
        """Make it; `FileExistsError` where the kernel has it."""
        return self._request(RTM_NEWRULE, CREATE | EXCL)

    def deletion(self) -> Request:
        """Delete it; `FileNotFoundError` where the kernel has none such."""
        return self._request(RTM_DELRULE, 0)

    def _request(self, kind: int, flags: int) -> Request:
        lengths = (self.destination.prefixlen, self.source.prefixlen)
        header = _ROUTE.pack(socket.AF_INET, *lengths, 0, RT_TABLE_UNSPEC, 0, 0, self.action, 0)
        attributes: list[Attribute] = [(FRA_PRIORITY, u32(self.priority))]
        if self.table:
            attributes.append((FRA_TABLE, u32(self.table)))
        if self.destination.prefixlen:
            attributes.append((FRA_DST, self.destination.network_address.packed))
        if self.source.prefixlen:
            attributes.append((FRA_SRC, self.source.network_address.packed))
        if self.interface:
            attributes.append((FRA_IIFNAME, text(self.interface)))
        if self.uid is not None:
            attributes.append((FRA_UID_RANGE, u32(self.uid) * 2))  # first and last
        return Request(kind, header, attributes, flags, f"rule {self.priority}")


def _number(fields: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(fields.get(kind, b""), "little")


def _subnet(address: bytes | None, prefix: int) -> IPv4Network:
    return IPv4Network((address or bytes(4), prefix))
