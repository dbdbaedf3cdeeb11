"""One replica's place: its namespaces, host name, name resolution and interfaces.

Under the `tun` shaper, a node's interface is a TAP whose other end its network's gateway holds. Nothing that
the node sends can reach another node except through that gateway, and what it broadcasts reaches the gateway
too. Under `netem`, gateways make the interfaces (see `wotemu_gateways.bridge`).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from wotemu_runtime.engines.local import syscalls

if TYPE_CHECKING:
    from pyroute2 import IPRoute

TUN_DEVICE = "/dev/net/tun"
MTU = 1500
_TX_QUEUE = 4000
"""Frames that a node's kernel keeps for a gateway that is busy."""

_NAME_DATABASES = ("passwd", "group", "shadow", "hosts", "networks", "services", "protocols")
_OWN_IPV6 = "fd00::1"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000


@attrs.frozen
class Interface:
    """One attachment of a replica: `address` is dotted IPv4, `mac` is as the gateway expects it."""

    network: str
    name: str
    address: str
    prefix: int
    mac: str


@attrs.frozen
class Place:
    """What one replica's namespaces look like."""

    replica: str
    interfaces: tuple[Interface, ...]
    hosts: str
    """The text of its /etc/hosts."""
    has_taps: bool = True
    """Whether its interfaces are TAPs."""

    def to_dict(self) -> dict[str, Any]:
        """As a message holds it."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        interfaces = tuple(Interface(**item) for item in data["interfaces"])
        return cls(data["replica"], interfaces, data["hosts"], data["has_taps"])


def enter(place: Place, scratch: Path) -> list[int]:
    """Move this process into a new place; what the gateway of each interface needs of it, in their order.

    That is the TAP's descriptor, or one of the network namespace, in which the gateway makes the interface.
    The PID namespace begins with this process's next child, which has to call `mount_proc`. `scratch` is a
    directory on a file system of the enclosing namespace's own.
    """
    syscalls.unshare(
        syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWPID
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWIPC
    )
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.sethostname(place.replica)
    _resolve_names(place, scratch)
    _write_sysctl("net/ipv6/conf/default/disable_ipv6", "1")  # fewer surprises: networks here are IPv4
    _write_sysctl("net/ipv4/ping_group_range", "0 0")
    syscalls.interface_up("lo")
    if place.has_taps:
        fds = [open_tap(interface.name) for interface in place.interfaces]
    else:
        fds = [os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC) for _ in place.interfaces]
    _configure_all(place)
    return fds


def mount_proc() -> None:
    """Give the PID namespace that this process is the first of a /proc of its own."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", flags)


def open_tap(name: str) -> int:
    """Create a TAP in this network namespace; it lives as long as the descriptor.

    No offload is asked for, so every frame is at most the MTU: one super-frame of 64 KiB would be delayed,
    lost and paced as one packet.
    """
    fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return fd


def _configure_all(place: Place) -> None:
    from pyroute2 import IPRoute  # takes a quarter of a second, which a coordinator need not wait for

    with IPRoute() as netlink:
        _add_ipv6(netlink)
        for interface in place.interfaces if place.has_taps else ():
            _configure(netlink, interface)


def _configure(netlink: IPRoute, interface: Interface) -> None:
    index = netlink.link_lookup(ifname=interface.name)[0]
    netlink.link("set", index=index, address=interface.mac, mtu=MTU, txqlen=_TX_QUEUE)
    netlink.addr("add", index=index, address=interface.address, prefixlen=interface.prefix)
    netlink.link("set", index=index, state="up")


def _add_ipv6(netlink: IPRoute) -> None:
    """Give the loopback an IPv6 address that is not ::1.

    The networks are IPv4. But a server that binds ``::`` for both families, as CoAP's does, asks
    getaddrinfo(3) with AI_ADDRCONFIG, which finds ``::`` only where there is such an address.
    """
    if Path("/proc/sys/net/ipv6/conf/lo").exists():
        loopback = netlink.link_lookup(ifname="lo")[0]
        netlink.addr("add", index=loopback, family=socket.AF_INET6, address=_OWN_IPV6, prefixlen=128)


def _resolve_names(place: Place, scratch: Path) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    for target, text in (
        ("/etc/hosts", place.hosts),
        (
            "/etc/resolv.conf",
            "# Names resolve through /etc/hosts: an emulated network has no other servers.\n",
        ),
        (
            "/etc/nsswitch.conf",
            "".join(f"{database}: files\n" for database in _NAME_DATABASES),
        ),
        ("/etc/hostname", f"{place.replica}\n"),
    ):
        source = scratch / Path(target).name
        source.write_text(text)
        real = Path(target).resolve()  # resolv.conf often is a link into /run
        if not real.exists():
            if not real.is_relative_to("/run"):
                continue  # nothing there to hide: a library that reads it finds nothing, as before
            real.parent.mkdir(parents=True, exist_ok=True)
            real.touch()
        syscalls.mount(str(source), str(real), flags=syscalls.MS_BIND)


def _write_sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys") / name
    if path.exists():
        path.write_text(value)
