"""The namespaces of one replica: their host name, name resolution and interfaces.

Under the `tun` shaper, a node's interface is a TAP whose other end its network's gateway holds. Nothing that
the node sends can reach another node except through that gateway, and what it broadcasts reaches the gateway
too. Under `netem`, gateways make the interfaces (see `wotemu_gateways.netlink.bridge`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Self

import attrs

from wotemu_gateways.netlink import link, namespaces, routes
from wotemu_gateways.netlink.masquerade import masquerade_behind
from wotemu_gateways.netlink.request_socket import Netlink, Request
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.userspace.tap_device import TX_QUEUE_FRAMES, open_tap
from wotemu_runtime.app_process import scratch
from wotemu_runtime.engines.local.name_resolution import name_node
from wotemu_runtime.planning.uplink_programs import NAME_SERVER, TAP
from wotemu_runtime.processes import syscalls

RUN_DIR = "/run/wotemu"
"""A directory on the sandbox's own tmpfs, which has no name outside of the sandbox, nor in nodes."""
SCRATCH = Path(RUN_DIR, "nodes")
"""The folder of the nodes' own directories."""

APP_SCRATCH_SIZE = "1g"

KINDS = namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC
_OWN_IPV6 = "fd00::1"
LOOPBACK = 1
"""The index of ``lo``, the first interface of every network namespace."""


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
    mtu: int = 1500
    uplink: str = ""
    """The next hop to everything that is no member of a network; "" where there is none."""


@attrs.frozen
class NodeNamespace:
    """The namespaces of one replica, as planned."""

    replica: str
    interfaces: tuple[Interface, ...]
    hosts: str
    """The text of its /etc/hosts."""
    has_taps: bool = True
    """Whether its interfaces are TAPs."""
    leads_out: bool = False
    """Whether it is an uplink."""
    unreachable: tuple[str, ...] = ()
    """The subnets that an uplink does not forward to: those of networks that it is not on."""

    @property
    def has_uplink(self) -> bool:
        """Whether one of its networks has an uplink."""
        return any(interface.uplink for interface in self.interfaces)

    def to_dict(self) -> dict[str, Any]:
        """The namespaces as a message."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The namespaces of a message of `to_dict`."""
        interfaces = tuple(Interface(**item) for item in data["interfaces"])
        return cls(**{**data, "interfaces": interfaces, "unreachable": tuple(data["unreachable"])})


def hosts_path(replica: str) -> Path:
    """A node's hosts file, as the sandbox's other processes find it."""
    return SCRATCH / replica / "hosts"


def make(namespace: NodeNamespace) -> tuple[namespaces.Namespaces, list[int]]:
    """Move this process to new namespaces for a replica, name the node and configure its interfaces.

    Returns:
        The namespaces, all but that of processes, and for each interface the descriptor that its gateway
        needs: the TAP's, or one of the network namespace in which the gateway is to make the interface.

    Raises:
        OSError: The kernel refuses a namespace, a mount or a TAP.
    """
    namespaces.unshare(KINDS)
    return namespaces.Namespaces(KINDS), _set_up(namespace)


def mount_proc() -> None:
    """Mount /proc for the PID namespace of which this process is the first."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", flags)


def mount_shared_memory() -> None:
    """Give the node POSIX shared memory of its own.

    libfaketime names what it has there by process ids, which other nodes have too, and a program that is
    killed leaves it behind.
    """
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", "/dev/shm", "tmpfs", flags, "mode=1777")  # noqa: S108  # nobody else's


def _set_up(namespace: NodeNamespace) -> list[int]:
    """Name the node and configure its interfaces, in its namespaces."""
    socket.sethostname(namespace.replica)
    name_server = NAME_SERVER if namespace.has_uplink else ""
    name_node(namespace.replica, namespace.hosts, SCRATCH / namespace.replica, name_server=name_server)
    # Hides the bus's socket and configuration, with its password, from the node; its own files stay mounted.
    syscalls.mount("tmpfs", RUN_DIR, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=256k")
    _mount_scratch()
    _write_sysctl("net/ipv6/conf/default/disable_ipv6", "1")  # fewer surprises: networks here are IPv4
    _write_sysctl("net/ipv4/ping_group_range", "0 0")  # ping without CAP_NET_RAW, for the one mapped group
    # Apps have no capabilities, and a node's low ports are its own.
    _write_sysctl("net/ipv4/ip_unprivileged_port_start", "0")
    if namespace.has_taps:
        fds = [open_tap(each.name, outlives_descriptor=True) for each in namespace.interfaces]
    else:
        # Of the thread: /proc/self is the main thread's, which may be in another namespace.
        fds = [os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC) for _ in namespace.interfaces]
    requests = [link.up(LOOPBACK), *_loopback_ipv6()]
    if namespace.has_taps:
        requests += [each for interface in namespace.interfaces for each in _configuration(interface)]
    with Netlink() as netlink:
        netlink.send(*requests)
    if namespace.leads_out:
        _forward(namespace)
    return fds


def _forward(namespace: NodeNamespace) -> None:
    """Have an uplink forward what its networks' nodes send out, and the answers, once it has a way out."""
    closed = (
        routes.drop(IPv4Network(each), table=routes.RT_TABLE_MAIN, metric=0) for each in namespace.unreachable
    )
    with Netlink() as netlink:
        netlink.send(*closed)
    masquerade_behind(TAP)
    _write_sysctl("net/ipv4/ip_forward", "1")


def _mount_scratch() -> None:
    """Give the node a folder that no other node sees; it goes with the node."""
    Path(scratch.IN_NAMESPACE).mkdir(exist_ok=True)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", scratch.IN_NAMESPACE, "tmpfs", flags, f"mode=700,size={APP_SCRATCH_SIZE}")


def _configuration(interface: Interface) -> Iterator[Request]:
    """The requests that configure a TAP in this thread's network namespace."""
    index = link.index_of(interface.name)
    subnet = IPv4Network((interface.address, interface.prefix), strict=False)
    mac = mac_of(interface.address)
    yield link.tap_settings(index, mac=mac, mtu=interface.mtu, tx_queue=TX_QUEUE_FRAMES, arp=True)
    yield link.address(index, interface.address, interface.prefix, prefix_route=False)
    yield link.up(index)
    # The kernel has one ARP table for all namespaces, 1024 entries by default, and drops packets where it is
    # full. So nodes resolve one address, the gateway's, and that one for good: such entries don't count.
    yield routes.neighbour(index, interface.gateway, mac_of(interface.gateway))
    yield routes.route_via_gateway(index, subnet, interface.gateway, interface.address)
    if interface.uplink:
        yield routes.neighbour(index, interface.uplink, mac_of(interface.uplink))
        yield routes.route_via_gateway(index, routes.EVERYWHERE, interface.uplink, interface.address)
    if interface.is_first:
        # A machine with a default route needs no such routes, and neither does one that joins a group on any
        # address: the kernel takes the interface to which the group's route leads.
        for group in (routes.MULTICAST, routes.LIMITED_BROADCAST):
            yield routes.route_on_link(index, group)


def _loopback_ipv6() -> Iterator[Request]:
    """The request that gives the loopback an IPv6 address that is not ::1, where there is IPv6.

    The networks are IPv4. But a server that binds ``::`` for both families, as CoAP's does, asks
    getaddrinfo(3) with AI_ADDRCONFIG, which finds ``::`` only where there is such an address.
    """
    if Path("/proc/sys/net/ipv6/conf/lo").exists():
        yield link.ipv6_host_address(LOOPBACK, _OWN_IPV6)


def _write_sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys") / name
    if path.exists():
        path.write_text(value)
