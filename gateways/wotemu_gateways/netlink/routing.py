"""Policy routes that send a node's packets through its network's gateway, and a gateway's into its TAPs.

A node keeps the interface and the address that its engine gave it. A rule sends what is for the network's
subnet to a table of its own, whose last resort is to drop: when the gateway is gone, or the interface has
been down and its routes with it, nothing goes its direct way.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from wotemu_gateways.netlink import link, routes
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.netlink.routes import FR_ACT_UNREACHABLE, Rule

TABLES = 6000
"""Interface number i has table 6000 + i."""

RULES = 600
"""Priority of the rules: after the local table's 0, long before the main table's 32766."""

UNPLUGGED_RULE = 590
"""Priority of the rule that makes a subnet unreachable while the interface on it is down: before `RULES`."""

_BLACKHOLE_METRIC = 9999
"""Larger than any other route's: the blackhole holds only once no other route does."""


def isolate(subnet: str, interface: str) -> None:
    """Drop what is for the subnet unless `route_via` has found it a gateway.

    Args:
        subnet: As ``10.64.0.0/16``.
        interface: Name of the interface on that subnet.
    """
    table, target = TABLES + link.index_of(interface), IPv4Network(subnet)
    with Netlink() as netlink:
        netlink.send(routes.drop(target, table=table, metric=_BLACKHOLE_METRIC))
        add_rules(netlink, Rule(priority=RULES, table=table, destination=target))


def route_via(gateway: str, subnet: str, interface: str) -> None:
    """Send what is for the subnet through the gateway, in place of any gateway before.

    The order matters: from the first request on, packets that have no other route are dropped.

    Args:
        gateway: Dotted IPv4 address.
        subnet: As ``10.64.0.0/16``.
        interface: Name of the interface on that subnet.
    """
    isolate(subnet, interface)
    index = link.index_of(interface)
    table, host = TABLES + index, IPv4Network(gateway)
    with Netlink() as netlink:
        netlink.send(
            routes.route_on_link(index, host, table=table),
            routes.next_hop(index, IPv4Network(subnet), gateway, table=table),
        )
        found = list(routes.routes_of(netlink, table))
        netlink.send(
            *(each.deletion for each in found if each.subnet.prefixlen == 32 and each.subnet != host)
        )


def blackhole(interface: str) -> None:
    """Drop what is for the interface's subnet, as its gateway is gone: only the last route stays."""
    with Netlink() as netlink:
        found = list(routes.routes_of(netlink, TABLES + link.index_of(interface)))
        netlink.send(*(each.deletion for each in found if each.metric != _BLACKHOLE_METRIC))


def unplug(subnet: str, interface: str) -> None:
    """Take an interface down; whoever sends to its subnet gets ENETUNREACH, as where nothing leads to it.

    The kernel deletes the routes that lead through it. What is left is the route that drops, which would
    give another error.

    Args:
        subnet: As ``10.64.0.0/16``.
        interface: Name of the interface on that subnet.
    """
    with Netlink() as netlink:
        add_rules(netlink, _unreachable(subnet))
        netlink.send(link.up(link.index_of(interface), is_up=False))


def set_up(interface: str) -> None:
    """Set an interface up after `unplug`. Its subnet is unreachable until `end_unreachable`."""
    with Netlink() as netlink:
        netlink.send(link.up(link.index_of(interface)))


def end_unreachable(subnet: str) -> None:
    """Have the routes hold again that `unplug` made of no use, once they lead through the gateway."""
    with Netlink() as netlink, suppress(FileNotFoundError):
        netlink.send(_unreachable(subnet).deletion())


def _unreachable(subnet: str) -> Rule:
    return Rule(priority=UNPLUGGED_RULE, action=FR_ACT_UNREACHABLE, destination=IPv4Network(subnet))


def add_permanent_neighbour(gateway: str, mac: bytes, interface: str) -> None:
    """Resolve an address for good, to a MAC of six bytes, so that no packet waits for ARP."""
    with Netlink() as netlink:
        netlink.send(routes.neighbour(link.index_of(interface), gateway, mac))


def route_multicast(interface: str) -> None:
    """Send multicast and limited broadcast packets out of an interface, unless the sender chooses another.

    A machine with a default route needs no such routes, and neither does one that joins a group on any
    address: the kernel takes the interface to which the group's route leads.
    """
    index = link.index_of(interface)
    with Netlink() as netlink:
        netlink.send(
            *(routes.route_on_link(index, subnet) for subnet in (routes.MULTICAST, routes.LIMITED_BROADCAST))
        )


def steer_into_taps(interface: str, devices: Mapping[str, str]) -> None:
    """In a gateway: send what is to be forwarded from an address into that address's device; drop the rest.

    A device that goes takes its route with it, and what came from its address is dropped from then on.
    pyroute2 runs an event loop of its own: call this from outside of one, or in a thread.

    Args:
        interface: Where the packets come in.
        devices: Names of the TAPs by the IPv4 address that packets come from.
    """
    # Imported here, as it takes a quarter of a second: nodes, of which there are hundreds, do without.
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    tables = {address: TABLES + link.index_of(device) for address, device in devices.items()}
    try:
        with IPRoute() as netlink:
            _add_rule(netlink, priority=RULES + 1, action="FR_ACT_BLACKHOLE", iifname=interface)
            for source, table in tables.items():
                netlink.route(
                    "replace",
                    dst=str(routes.EVERYWHERE),
                    oif=table - TABLES,
                    scope=routes.RT_SCOPE_LINK,
                    table=table,
                )
                _add_rule(netlink, priority=RULES, table=table, iifname=interface, src=f"{source}/32")
            # Rules of an earlier call that hold no longer: each packet would be checked against them.
            for rule in netlink.get_rules(family=socket.AF_INET, match={"priority": RULES}):
                source, table = rule.get("src"), rule.get("table")
                if rule.get("iifname") == interface and tables.get(source) != table:
                    same = {"table": table, "iifname": interface, "src": f"{source}/32"}
                    netlink.rule("del", priority=RULES, **same)
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error


def _add_rule(netlink: Any, **rule: Any) -> None:
    """Make a rule with pyroute2; one that the kernel has stays."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        netlink.rule("add", **rule)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def add_rules(netlink: Netlink, *rules: Rule) -> None:
    """Make rules; those that the kernel has stay, as in a container that is restarted."""
    for rule in rules:
        with suppress(FileExistsError):
            netlink.send(rule.addition())


def disable_strict_rp_filter() -> bool:
    """Turn strict reverse path filtering off for the whole namespace; whether it is off.

    A packet comes in on another interface than one to its sender goes out on, and the kernel applies the
    stricter of an interface's setting and the namespace's.
    """
    setting = Path("/proc/sys/net/ipv4/conf/all/rp_filter")
    with suppress(OSError):
        setting.write_text("0")
    return setting.read_text().strip() != "1"


def subnet_of(address: str, prefix: int) -> str:
    """The subnet in which an address is."""
    return str(IPv4Network((IPv4Address(address), prefix), strict=False))
