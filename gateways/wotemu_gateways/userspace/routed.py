"""The shaper in user space on a routed gateway, which has one interface on the emulated network.

For kernels without NetEm, where nodes' interfaces are not the gateway's to hold. Each replica has a TAP in
the gateway's own namespace, into which all is routed that came from it to be forwarded:

    eth0 in ─> rule: from A ─> A's TAP ─> switch ─> B's TAP ─> routing ─> eth0 out

So packets come in and go out on different interfaces, and the kernel sees no cause for an ICMP redirect. When
the gateway's process ends, the TAPs go, and what is to be forwarded is dropped.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence

from wotemu.records import Record
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.netlink import link, routing
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.userspace.pump import Pump
from wotemu_gateways.userspace.switch import Member, Switch

PREFIX = "wo-t"
_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_TX_QUEUE = 4000
"""Frames that the kernel keeps for a gateway that is busy."""

_TO_NOBODY = bytes(6)


def add_taps(interface: str, members: Sequence[Member]) -> dict[str, int]:
    """Make each member's TAP and divert into it what the member sends; their descriptors by replica.

    As all in `routes`, call it from outside of an event loop. `OSError` says what the kernel refused.
    """
    taps: dict[str, int] = {}
    try:
        with Netlink() as netlink:
            eth = link.find(netlink, interface)
            for number, member in enumerate(members, 1):
                taps[member.replica] = _open_tap(f"{PREFIX}{number}")
                index = link.index_of(f"{PREFIX}{number}")
                netlink.send(
                    link.device(index, mac=mac_of(member.ipv4), mtu=eth.mtu, tx_queue=_TX_QUEUE),
                    link.up(index),
                    link.ipv4_settings(index, forwarding=1, rp_filter=0, send_redirects=0),
                )
        devices = {member.ipv4: f"{PREFIX}{number}" for number, member in enumerate(members, 1)}
        routing.steer_into_taps(interface, devices)
        with Netlink() as netlink:  # last, so that nothing is forwarded that is not diverted
            netlink.send(link.ipv4_settings(eth.index, forwarding=1, rp_filter=0, send_redirects=0))
    except BaseException:
        for fd in taps.values():
            os.close(fd)
        raise
    return taps


def _open_tap(name: str) -> int:
    fd = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except BaseException:
        os.close(fd)
        raise
    return fd


class RoutedSwitch(Switch):
    """A switch behind a router: every frame is for its TAP itself, and the IPv4 address says for whom.

    A member's MAC is `mac_of` its address, as its TAP's is, whatever its own interface has.
    """

    MTU = 65_517  # whatever the interface has

    def frames(self, fd: int) -> list[bytes]:
        """See `Switch.frames`."""
        macs = self._macs
        return [macs.get(frame[30:34], _TO_NOBODY) + frame[6:] for frame in super().frames(fd)]


class TunShaper:
    """A switch and what moves its frames, as one shaper. Make it inside of the event loop that moves them."""

    name = "tun"

    def __init__(self, switch: Switch, taps: dict[str, int], loop: asyncio.AbstractEventLoop) -> None:
        self._switch = switch
        self._pump = Pump(switch, loop)
        for replica, fd in taps.items():
            self._pump.attach(replica, fd)

    def __repr__(self) -> str:
        return f"<TunShaper {self._switch!r}>"

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """See `Shaper`."""
        self._switch.set_hop(replica, direction, conditions)

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """See `Shaper`."""
        self._switch.set_shared_bucket(conditions)

    def cut(self, replica: str, is_cut: bool) -> None:
        """See `Shaper`."""
        self._switch.cut(replica, is_cut)

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """See `Shaper`."""
        self._switch.partition(groups)

    def drain(self, t: float) -> Iterator[Record]:
        """See `Shaper`."""
        return self._switch.drain(t)

    @property
    def losses(self) -> dict[str, int]:
        """See `Shaper`."""
        return self._switch.losses

    @property
    def packets_in_flight(self) -> int:
        """Packets that came and have neither been delivered nor lost yet."""
        return self._switch.packets_in_flight

    def close(self) -> None:
        """See `Shaper`."""
        self._pump.close()
