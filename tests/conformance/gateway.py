"""A gateway in a process of its own, as in a run: takes calls over a socket, one a message, and answers them.

``python -m tests.conformance.gateway SHAPER CONTROL_FD NODE=NETNS_FD...``
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from wotemu_gateways.netem.netem_shaper import NetemShaper
from wotemu_gateways.netlink import bridge, routing
from wotemu_gateways.netlink.namespaces import entered
from wotemu_gateways.packets.ethernet import mac_of, mac_text
from wotemu_gateways.shaper import Member, Shaper
from wotemu_gateways.userspace import routed
from wotemu_gateways.userspace.tap_device import open_tap
from wotemu_gateways.userspace.tun_shaper import TunShaper

SEED = 7
GATEWAY = "10.64.0.1"
PREFIX = 16
PORTS = {8080: "http"}


def address_of(number: int) -> str:
    """The address of the node with this place in the row."""
    return f"10.64.0.{number + 2}"


def members_of(nodes: Mapping[str, int]) -> list[Member]:
    """The nodes as members of the network."""
    return [Member(name, address_of(i), mac_of(address_of(i))) for i, name in enumerate(nodes)]


def _held_taps(nodes: Mapping[str, int]) -> dict[str, int]:
    """As the local engine does for the `tun` shaper: nodes' interfaces are TAPs that the gateway holds."""
    taps = {}
    for member, netns in zip(members_of(nodes), nodes.values(), strict=True):
        with entered(netns):
            fd = open_tap("eth0")
            for words in (
                f"link set eth0 address {mac_text(member.mac)} mtu 1500 txqueuelen 4000 up",
                f"addr add {member.ipv4}/{PREFIX} broadcast + dev eth0",
            ):
                subprocess.run(["ip", *words.split()], check=True)
        taps[member.replica] = fd
    return taps


def _bridged(nodes: Mapping[str, int]) -> None:
    """As the local engine does for gateways with one interface."""
    members = members_of(nodes)
    ends = zip(members, nodes.values(), strict=True)
    bridge.build(GATEWAY, [bridge.Attachment(netns, "eth0", member.ipv4, PREFIX) for member, netns in ends])


def _prepare(kind: str, nodes: Mapping[str, int]) -> dict[str, int]:
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    if kind == "tun":
        return _held_taps(nodes)
    _bridged(nodes)
    if not routing.disable_strict_rp_filter():
        raise OSError("reverse path filtering can't be turned off")
    return routed.add_taps("eth0", members_of(nodes)) if kind == "routed" else {}


def _make(
    kind: str, nodes: Mapping[str, int], taps: dict[str, int], loop: asyncio.AbstractEventLoop
) -> Shaper:
    members = members_of(nodes)
    if kind.startswith("netem"):
        shared = kind == "netem-shared"
        subnet = IPv4Network((GATEWAY, PREFIX), strict=False)
        return NetemShaper("field", members, ports=PORTS, seed=SEED, shared=shared, loop=loop, subnet=subnet)
    make = TunShaper if kind == "tun" else routed.RoutedTunShaper
    return make("field", members, taps, loop, ports=PORTS, seed=SEED)


def _call(shaper: Shaper, request: tuple[str, tuple[Any, ...]]) -> tuple[bool, Any]:
    name, arguments = request
    try:
        if name == "losses":
            return True, shaper.losses
        if name == "drain":
            return True, list(shaper.drain(*arguments))
        return True, getattr(shaper, name)(*arguments)
    except (OSError, KeyError, ValueError) as error:
        return False, f"{type(error).__name__}: {error}"


async def _serve(kind: str, control: socket.socket, nodes: Mapping[str, int], taps: dict[str, int]) -> None:
    loop = asyncio.get_running_loop()
    shaper = _make(kind, nodes, taps, loop)
    try:
        await loop.sock_sendall(control, pickle.dumps((True, None)))
        while request := await loop.sock_recv(control, 1 << 20):
            await loop.sock_sendall(control, pickle.dumps(_call(shaper, pickle.loads(request))))
    finally:
        shaper.close()


def main() -> None:
    """Serve until the other end closes."""
    kind, control_fd, *named = sys.argv[1:]
    nodes = {name: int(fd) for name, fd in (each.split("=") for each in named)}
    control = socket.socket(fileno=int(control_fd))
    taps = _prepare(kind, nodes)
    control.setblocking(False)
    asyncio.run(_serve(kind, control, nodes, taps))


if __name__ == "__main__":
    main()
