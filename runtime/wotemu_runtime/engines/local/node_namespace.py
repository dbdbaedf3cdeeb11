"""The namespaces of one replica: their host name, name resolution and interfaces.

Under the `tun` shaper, a node's interface is a TAP whose other end its network's gateway holds. Nothing that
the node sends can reach another node except through that gateway, and what it broadcasts reaches the gateway
too. Under `netem`, gateways make the interfaces (see `wotemu_gateways.netlink.bridge`).
"""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.packets.ethernet import mac_of, mac_text
from wotemu_gateways.userspace.tap_device import TX_QUEUE_FRAMES, open_tap
from wotemu_runtime.engines.local.name_resolution import resolve_names
from wotemu_runtime.processes import syscalls

if TYPE_CHECKING:
    from pyroute2 import IPRoute

MTU = 1500

_OWN_IPV6 = "fd00::1"
_NO_PREFIX_ROUTE = 0x200
"""IFA_F_NOPREFIXROUTE: no route for the subnet comes with the address."""
_ONLINK = 4
"""RTNH_F_ONLINK: the gateway is there, whatever the other routes say."""


@attrs.frozen
class Interface:
    """One attachment of a replica. Addresses are dotted IPv4; `mac` is the one that the gateway expects."""

    network: str
    name: str
    address: str
    prefix: int
    mac: str
    gateway: str
    """The next hop to all other members of the network."""
    is_first: bool
    """Whether multicast and broadcast packets leave by it when a program chooses no interface."""


@attrs.frozen
class NodeNamespace:
    """The namespaces of one replica, as planned."""

    replica: str
    interfaces: tuple[Interface, ...]
    hosts: str
    """The text of its /etc/hosts."""
    has_taps: bool = True
    """Whether its interfaces are TAPs."""

    def to_dict(self) -> dict[str, Any]:
        """The namespaces as a message."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The namespaces of a message of `to_dict`."""
        interfaces = tuple(Interface(**item) for item in data["interfaces"])
        return cls(data["replica"], interfaces, data["hosts"], data["has_taps"])


def enter(namespace: NodeNamespace, scratch: Path) -> list[int]:
    """Move this process into new namespaces. Its next child is PID 1 of them, and has to call `mount_proc`.

    Args:
        namespace: The interfaces and names.
        scratch: A directory on a file system that only the sandbox sees.

    Returns:
        For each interface the descriptor that its gateway needs: the TAP's, or one of the network namespace
        in which the gateway is to make the interface.

    Raises:
        OSError: The kernel refuses a namespace, a mount or a TAP.
    """
    namespaces.unshare(
        namespaces.CLONE_NEWNET
        | namespaces.CLONE_NEWNS
        | namespaces.CLONE_NEWPID
        | namespaces.CLONE_NEWUTS
        | namespaces.CLONE_NEWIPC
    )
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    socket.sethostname(namespace.replica)
    resolve_names(namespace.replica, namespace.hosts, scratch)
    _write_sysctl("net/ipv6/conf/default/disable_ipv6", "1")  # fewer surprises: networks here are IPv4
    _write_sysctl("net/ipv4/ping_group_range", "0 0")  # ping without CAP_NET_RAW, for the one mapped group
    _write_sysctl(
        "net/ipv4/ip_unprivileged_port_start", "0"
    )  # apps have no capabilities, and a node is theirs
    syscalls.interface_up("lo")
    if namespace.has_taps:
        fds = [open_tap(interface.name) for interface in namespace.interfaces]
    else:
        # Of the thread: /proc/self is the main thread's, which may be in another namespace.
        fds = [os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC) for _ in namespace.interfaces]
    _configure_all(namespace)
    return fds


def mount_proc() -> None:
    """Mount /proc for the PID namespace of which this process is PID 1."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", flags)


def _configure_all(namespace: NodeNamespace) -> None:
    from pyroute2 import IPRoute  # takes a quarter of a second, which a coordinator need not wait for

    from wotemu_gateways.netlink import routing

    with IPRoute() as netlink:
        _add_ipv6(netlink)
        for interface in namespace.interfaces if namespace.has_taps else ():
            _configure(netlink, interface)
    for interface in namespace.interfaces if namespace.has_taps else ():
        if interface.is_first:
            routing.route_multicast(interface.name)


def _configure(netlink: IPRoute, interface: Interface) -> None:
    index = netlink.link_lookup(ifname=interface.name)[0]
    subnet = IPv4Network((interface.address, interface.prefix), strict=False)
    netlink.link("set", index=index, address=interface.mac, mtu=MTU, txqlen=TX_QUEUE_FRAMES)
    netlink.addr(
        "add",
        index=index,
        address=interface.address,
        prefixlen=interface.prefix,
        broadcast=str(subnet.broadcast_address),
        flags=_NO_PREFIX_ROUTE,
    )
    netlink.link("set", index=index, state="up")
    # The kernel has one ARP table for all namespaces, 1024 entries by default, and drops packets where it is
    # full. So nodes resolve one address, the gateway's, and that one for good: such entries don't count.
    mac = mac_text(mac_of(interface.gateway))
    netlink.neigh("add", dst=interface.gateway, lladdr=mac, ifindex=index, state="permanent")
    netlink.route(
        "add", dst=str(subnet), gateway=interface.gateway, oif=index, flags=_ONLINK, prefsrc=interface.address
    )


def _add_ipv6(netlink: IPRoute) -> None:
    """Give the loopback an IPv6 address that is not ::1.

    The networks are IPv4. But a server that binds ``::`` for both families, as CoAP's does, asks
    getaddrinfo(3) with AI_ADDRCONFIG, which finds ``::`` only where there is such an address.
    """
    if Path("/proc/sys/net/ipv6/conf/lo").exists():
        loopback = netlink.link_lookup(ifname="lo")[0]
        netlink.addr("add", index=loopback, family=socket.AF_INET6, address=_OWN_IPV6, prefixlen=128)


def _write_sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys") / name
    if path.exists():
        path.write_text(value)
