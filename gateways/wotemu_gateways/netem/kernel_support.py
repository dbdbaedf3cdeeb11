"""Whether this kernel has what the `netem` shaper needs: tried for real, in namespaces of its own.

``python -m wotemu_gateways.netem.kernel_support`` prints what is missing; nothing if nothing is.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress

import attrs

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott
from wotemu.units import Fraction, Packets, Rate
from wotemu_gateways.netem import options
from wotemu_gateways.netem.netem_shaper import NetemShaper
from wotemu_gateways.netlink import bridge, link, namespaces, tc
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, Netlink
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member

_DEADLINE_S = 60.0

_ALL = NetworkConditions(
    latency="10ms",
    jitter="1ms",
    distribution="pareto",
    loss=0.1,
    loss_model=GilbertElliott(Fraction(0.1), Fraction(0.5)),
    duplicate=0.1,
    corrupt=0.1,
    reorder=0.1,
    rate="1mbit",
    burst="4000B",
    overhead=8,
    cell_size=48,
    ecn=True,
)

# Rate 0 and a bound in packets take the other half of the qdiscs: the closed gate and the pfifo.
_OUTAGE = attrs.evolve(_ALL, rate=Rate(0), queue=Packets(10))


def missing_in_new_namespace() -> str:
    """The kernel's refusal, from a try in a process with a network namespace of its own; "" if it has all.

    Takes a fraction of a second.
    """
    words = [sys.executable, "-m", "wotemu_gateways.netem.kernel_support"]
    try:
        ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_DEADLINE_S)
    except subprocess.TimeoutExpired:
        return f"NetEm could not be set up within {_DEADLINE_S:g} s"
    return ran.stdout.strip() or (ran.stderr.strip() and ran.stderr.strip().splitlines()[-1])


def _enter_new_namespace() -> None:
    """Enter a new network namespace, by way of a user namespace where this process isn't root."""
    uid, gid = os.geteuid(), os.getegid()
    with suppress(OSError):
        namespaces.unshare(namespaces.CLONE_NEWNET)
        return
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNET)
    except OSError as error:
        raise OSError(error.errno, "network namespaces are not permitted") from error
    namespaces.map_single_user(0, 0, uid, gid)


def _try(interface: str) -> None:
    addresses = ("10.64.0.2", "10.64.0.3")
    with Netlink() as netlink:
        netlink.send(link.bridge(interface, mtu=bridge.MTU, mac=mac_of("10.64.0.1")))
        # First what kernels without NetEm lack: a shaper that can't be made has to remove all its interfaces
        # again, which takes some 16 ms for each.
        index = link.index_of(interface)
        netem = tc.qdisc(index, "netem", options.RELEASING.encode(), flags=CREATE | EXCL)
        netlink.send(netem, tc.delete_qdisc(index, tc.ROOT))
    members = [Member(address, address, mac_of(address)) for address in addresses]
    shaper = NetemShaper("check", members, interface=interface, shared=True)
    for address in addresses:
        shaper.set_hop(address, "up", _ALL)
        shaper.set_hop(address, "down", _ALL)
        for conditions in (_OUTAGE, _ALL):
            shaper.set_hop(address, "up", conditions)
    shaper.set_shared_bucket(_ALL)
    shaper.cut(addresses[0], True)
    shaper.partition([[addresses[0]]])
    shaper.drain(0.0)
    shaper.close()


def missing_features(interface: str = "check0") -> str:
    """The kernel's refusal, from a try in this network namespace; "" if it has everything.

    Args:
        interface: The name of an interface that is made for it, and removed afterwards.
    """
    try:
        try:
            _try(interface)
        finally:
            _remove(interface)
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _remove(interface: str) -> None:
    index = {name: index for index, name in socket.if_nameindex()}.get(interface)
    if index is not None:
        with Netlink() as netlink:
            netlink.send(link.delete(index))


def main() -> None:
    """Print what the kernel refuses."""
    try:
        _enter_new_namespace()
    except OSError as error:
        print(error.strerror or error)
    else:
        print(missing_features())


if __name__ == "__main__":
    main()
