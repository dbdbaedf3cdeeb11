"""Routes that lead a node's packets through its network's gateway, and a gateway's through itself.

A node keeps the interface and the address that its engine gave it. A rule sends what is for the network's
subnet to a table of its own, whose last resort is to drop: when the gateway is gone, or the interface has
been down and its routes with it, nothing goes its direct way.

pyroute2's calls run an event loop of their own: call these from outside of one, or in a thread.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

TABLES = 6000
"""Interface number i has table 6000 + i."""

RULES = 600
"""Priority of the rules: after the local table's 0, long before the main table's 32766."""

MULTICAST, LIMITED_BROADCAST = "224.0.0.0/4", "255.255.255.255/32"

_LINK_SCOPE = 253
_ONLINK = 4
_LAST_RESORT = 9999
_ANY = str(IPv4Address(0))


def route_via(gateway: str, subnet: str, interface: str) -> None:
    """Send what is for the subnet through the gateway, instead of any before; also where it has to drop."""
    with _netlink() as routes:
        index = _index(routes, interface)
        table = TABLES + index
        routes.route("replace", dst=subnet, type="blackhole", table=table, priority=_LAST_RESORT)
        _rule(routes, priority=RULES, table=table, dst=subnet)
        routes.route("replace", dst=f"{gateway}/32", oif=index, scope=_LINK_SCOPE, table=table)
        routes.route("replace", dst=subnet, gateway=gateway, oif=index, flags=_ONLINK, table=table)
        for route in _routes(routes, table):
            if route["dst_len"] == 32 and route.get_attr("RTA_DST") != gateway:
                routes.route("del", **_same(route))


def blackhole(interface: str) -> None:
    """Drop what is for the subnet: its gateway is not known any more."""
    with _netlink() as routes:
        index = _index(routes, interface)
        for route in _routes(routes, TABLES + index):
            if route.get_attr("RTA_PRIORITY") != _LAST_RESORT:
                routes.route("del", **_same(route))


def add_permanent_neighbour(gateway: str, mac: str, interface: str) -> None:
    """Have the gateway's address resolved for good, so that no packet waits for it."""
    with _netlink() as routes:
        index = _index(routes, interface)
        routes.neigh("replace", dst=gateway, lladdr=mac, ifindex=index, state="permanent")


def route_multicast(interface: str) -> None:
    """Send multicast and limited broadcast packets out of an interface, where the sender chooses none.

    A machine with a default route needs no such routes, and neither does one that joins a group on any
    address: the kernel takes the interface to which the group's route leads.
    """
    with _netlink() as routes:
        index = _index(routes, interface)
        for dst in (MULTICAST, LIMITED_BROADCAST):
            routes.route("replace", dst=dst, oif=index, scope=_LINK_SCOPE)


def steer_into_taps(interface: str, devices: Mapping[str, str]) -> None:
    """In a gateway: send what an address sends to be forwarded into that address's device; drop all other.

    `devices` has interfaces by address. A device takes its route with it: then what it was for drops. Rules
    of an earlier call that are not wanted any more go, as every packet would pass them.
    """
    with _netlink() as routes:
        _rule(routes, priority=RULES + 1, action="FR_ACT_BLACKHOLE", iifname=interface)
        wanted = {f"{address}/32": TABLES + _index(routes, device) for address, device in devices.items()}
        for source, table in wanted.items():
            index = table - TABLES
            routes.route("replace", dst=f"{_ANY}/0", oif=index, scope=_LINK_SCOPE, table=table)
            _rule(routes, priority=RULES, table=table, iifname=interface, src=source)
        for rule in routes.get_rules(family=socket.AF_INET):
            if rule.get_attr("FRA_IIFNAME") == interface and rule.get_attr("FRA_PRIORITY") == RULES:
                source, table = f"{rule.get_attr('FRA_SRC')}/32", rule.get_attr("FRA_TABLE")
                if wanted.get(source) != table:
                    routes.rule("del", priority=RULES, table=table, iifname=interface, src=source)


def disable_strict_rp_filter() -> bool:
    """Have no packet dropped for coming in where none would go out; whether that is so.

    Strict reverse path filtering of the namespace as a whole beats an interface's own setting.
    """
    setting = Path("/proc/sys/net/ipv4/conf/all/rp_filter")
    with suppress(OSError):
        setting.write_text("0")
    return setting.read_text().strip() != "1"


@contextmanager
def _netlink() -> Iterator[Any]:
    """pyroute2's requests, failing as everything else that the kernel refuses does: with `OSError`."""
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
