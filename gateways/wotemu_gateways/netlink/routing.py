"""Policy routes that send a node's packets through its network's gateway, and a gateway's into its TAPs.

A node keeps the interface and the address that its engine gave it. A rule sends what is for the network's
subnet to a table of its own, whose last resort is to drop: when the gateway is gone, or the interface has
been down and its routes with it, nothing goes its direct way.

pyroute2's calls run an event loop of their own: call these from outside of one, or in a thread. It is
imported when it is needed, as that takes 0.2 s: most starts of an emulation need not wait for it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from wotemu_gateways.netlink.routes import LIMITED_BROADCAST, MULTICAST, RT_SCOPE_LINK, RTNH_F_ONLINK

TABLES = 6000
"""Interface number i has table 6000 + i."""

RULES = 600
"""Priority of the rules: after the local table's 0, long before the main table's 32766."""

_BLACKHOLE_METRIC = 9999
"""Larger than any other route's: the blackhole holds only once no other route does."""
_ANY = str(IPv4Address(0))


def route_via(gateway: str, subnet: str, interface: str) -> None:
    """Send what is for the subnet through the gateway, in place of any gateway before.

    The order matters: from the first request on, packets that have no other route are dropped.

    Args:
        gateway: Dotted IPv4 address.
        subnet: As ``10.64.0.0/16``.
        interface: Name of the interface on that subnet.
    """
    with _netlink() as routes:
        index = _index(routes, interface)
        table = TABLES + index
        routes.route("replace", dst=subnet, type="blackhole", table=table, priority=_BLACKHOLE_METRIC)
        _rule(routes, priority=RULES, table=table, dst=subnet)
        routes.route("replace", dst=f"{gateway}/32", oif=index, scope=RT_SCOPE_LINK, table=table)
        routes.route("replace", dst=subnet, gateway=gateway, oif=index, flags=RTNH_F_ONLINK, table=table)
        for route in _routes(routes, table):
            if route["dst_len"] == 32 and route.get_attr("RTA_DST") != gateway:
                routes.route("del", **_same(route))


def blackhole(interface: str) -> None:
    """Drop what is for the interface's subnet, as its gateway is gone: only the last route stays."""
    with _netlink() as routes:
        index = _index(routes, interface)
        for route in _routes(routes, TABLES + index):
            if route.get_attr("RTA_PRIORITY") != _BLACKHOLE_METRIC:
                routes.route("del", **_same(route))


def add_permanent_neighbour(gateway: str, mac: str, interface: str) -> None:
    """Resolve an address for good, so that no packet waits for ARP."""
    with _netlink() as routes:
        index = _index(routes, interface)
        routes.neigh("replace", dst=gateway, lladdr=mac, ifindex=index, state="permanent")


def route_multicast(interface: str) -> None:
    """Send multicast and limited broadcast packets out of an interface, unless the sender chooses another.

    A machine with a default route needs no such routes, and neither does one that joins a group on any
    address: the kernel takes the interface to which the group's route leads.
    """
    with _netlink() as routes:
        index = _index(routes, interface)
        for subnet in (MULTICAST, LIMITED_BROADCAST):
            routes.route("replace", dst=str(subnet), oif=index, scope=RT_SCOPE_LINK)


def steer_into_taps(interface: str, devices: Mapping[str, str]) -> None:
    """In a gateway: send what is to be forwarded from an address into that address's device; drop the rest.

    A device that goes takes its route with it, and what came from its address is dropped from then on.

    Args:
        interface: Where the packets come in.
        devices: Names of the TAPs by the IPv4 address that packets come from.
    """
    with _netlink() as routes:
        _rule(routes, priority=RULES + 1, action="FR_ACT_BLACKHOLE", iifname=interface)
        wanted = {f"{address}/32": TABLES + _index(routes, device) for address, device in devices.items()}
        for source, table in wanted.items():
            index = table - TABLES
            routes.route("replace", dst=f"{_ANY}/0", oif=index, scope=RT_SCOPE_LINK, table=table)
            _rule(routes, priority=RULES, table=table, iifname=interface, src=source)
        # Rules of an earlier call that hold no longer: each packet would be checked against them.
        for rule in routes.get_rules(family=socket.AF_INET):
            if rule.get_attr("FRA_IIFNAME") == interface and rule.get_attr("FRA_PRIORITY") == RULES:
                source, table = f"{rule.get_attr('FRA_SRC')}/32", rule.get_attr("FRA_TABLE")
                if wanted.get(source) != table:
                    routes.rule("del", priority=RULES, table=table, iifname=interface, src=source)


def disable_strict_rp_filter() -> bool:
    """Turn strict reverse path filtering off for the whole namespace; whether it is off.

    A packet comes in on another interface than one to its sender goes out on, and the kernel applies the
    stricter of an interface's setting and the namespace's.
    """
    setting = Path("/proc/sys/net/ipv4/conf/all/rp_filter")
    with suppress(OSError):
        setting.write_text("0")
    return setting.read_text().strip() != "1"


@contextmanager
def _netlink() -> Iterator[Any]:
    """pyroute2's requests, failing as everything else that the kernel refuses does: with `OSError`."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as routes:
            yield routes
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error


def _index(routes: Any, interface: str) -> int:
    found = routes.link_lookup(ifname=interface)
    if not found:
        raise OSError(errno.ENODEV, f"there is no interface {interface}")
    return int(found[0])


def _rule(routes: Any, **rule: Any) -> None:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        routes.rule("add", **rule)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def _routes(routes: Any, table: int) -> list[Any]:
    return list(routes.get_routes(family=socket.AF_INET, table=table))


def _same(route: Any) -> dict[str, Any]:
    return {
        "dst": _target(route, "RTA_DST"),
        "table": route.get_attr("RTA_TABLE"),
        "type": route["type"],
        "scope": route["scope"],
        "priority": route.get_attr("RTA_PRIORITY") or 0,
    }


def _target(message: Any, attribute: str) -> str:
    return f"{message.get_attr(attribute) or _ANY}/{message['dst_len']}"


def subnet_of(address: str, prefix: int) -> str:
    """The subnet in which an address is."""
    return str(IPv4Network((IPv4Address(address), prefix), strict=False))
