"""The shaper in user space on a routed gateway, which has one interface on the emulated network.

For kernels without NetEm, where nodes' interfaces are not the gateway's to hold. Each replica has a TAP in
the gateway's own namespace, into which all is routed that came from it to be forwarded:

    eth0 in ─> rule: from A ─> A's TAP ─> switch ─> B's TAP ─> routing ─> eth0 out

So packets come in and go out on different interfaces, and the kernel sees no cause for an ICMP redirect. When
the gateway's process ends, the TAPs go, and what is to be forwarded is dropped.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from wotemu_gateways.netlink import link, routing
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.tap_device import TX_QUEUE_FRAMES, open_tap
from wotemu_gateways.userspace.tun_shaper import TunShaper

PREFIX = "wo-t"
"""Names of the gateway's TAPs begin so."""

_TO_NOBODY = bytes(6)
"""A MAC that no member has: such frames are counted as for an unknown destination."""


def add_taps(interface: str, members: Sequence[Member]) -> dict[str, int]:
    """Make each member's TAP and steer into it what the member sends.

    Returns:
        The TAPs' descriptors by replica.

    Raises:
        OSError: The kernel refused something.
    """
    taps: dict[str, int] = {}
    try:
        with Netlink() as netlink:
            eth = link.find(netlink, interface)
            for number, member in enumerate(members, 1):
                taps[member.replica] = open_tap(f"{PREFIX}{number}")
                index = link.index_of(f"{PREFIX}{number}")
                netlink.send(
                    link.tap_settings(index, mac=mac_of(member.ipv4), mtu=eth.mtu, tx_queue=TX_QUEUE_FRAMES),
                    link.up(index),
                    link.ipv4_settings(index, forwarding=1, rp_filter=0, send_redirects=0),
                )
        devices = {member.ipv4: f"{PREFIX}{number}" for number, member in enumerate(members, 1)}
        routing.steer_into_taps(interface, devices)
        with Netlink() as netlink:  # last, so that nothing is forwarded past the TAPs
            netlink.send(link.ipv4_settings(eth.index, forwarding=1, rp_filter=0, send_redirects=0))
    except BaseException:
        for fd in taps.values():
            os.close(fd)
        raise
    return taps


class RoutedTunShaper(TunShaper):
    """A `tun` shaper behind a router: it finds a frame's receiver by the IPv4 address alone.

    The router sends every frame to the TAP's own MAC. A member's MAC here is `mac_of` its address, as its
    TAP's is, whatever the interface in its node has.
    """

    MTU = 65_517  # whatever the interface has

    def frames(self, fd: int, at_most: int) -> list[bytes]:
        """See `Switch.frames`."""
        macs = self._macs
        return [macs.get(frame[30:34], _TO_NOBODY) + frame[6:] for frame in super().frames(fd, at_most)]
