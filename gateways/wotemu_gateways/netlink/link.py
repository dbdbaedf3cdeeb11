"""Messages that make and change interfaces: veth pairs, ifbs, bridges, and what IPv4 does on each."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv4Network

import attrs

from wotemu_gateways.netlink.request_socket import (
    CREATE,
    EXCL,
    Attribute,
    Attributes,
    Netlink,
    Request,
    decode,
    encode,
    text,
    u8,
    u32,
)

_NEWLINK, _DELLINK, _GETLINK, _SETLINK, _NEWADDR = 16, 17, 18, 19, 20
_OF_PEER, _LOCAL, _BROADCAST = 1, 2, 4
_MESSAGE = struct.Struct("=BBHiII")
_UP, _NOARP = 0x1, 0x80
_ADDRESS, _NAME, _MTU, _MASTER, _PROTINFO, _LINKINFO, _AF_SPEC = 1, 3, 4, 10, 12, 18, 26
_STATS64 = 23
_TXQLEN, _NETNS_FD, _TX_QUEUES, _RX_QUEUES, _GSO_MAX_SEGS = 13, 28, 31, 32, 40
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_BRIDGE_FORWARD_DELAY, _BRIDGE_SNOOPING = 1, 23
_PORT_ISOLATED = 33


@attrs.frozen
class LinkInfo:
    """What an interface is: `mac` is six bytes."""

    index: int
    name: str
    mac: bytes
    mtu: int


def index_of(name: str) -> int:
    """An interface's number in this thread's network namespace; `OSError` where there is none."""
    return socket.if_nametoindex(name)


def find(netlink: Netlink, name: str) -> LinkInfo:
    """The interface with this name; `OSError` where there is none."""
    index = index_of(name)
    for body in netlink.dump(Request(_GETLINK, _MESSAGE.pack(0, 0, 0, 0, 0, 0), (), 0, "interfaces")):
        _, _, _, number, _, _ = _MESSAGE.unpack_from(body)
        if number == index:
            fields = decode(body[_MESSAGE.size :])
            return LinkInfo(index, name, fields[_ADDRESS], int.from_bytes(fields[_MTU], "little"))
    raise OSError(f"{name} has just gone")


def tx_drops(netlink: Netlink, prefix: str) -> int:
    """Packets that the interfaces whose names begin so could not pass on since they were made."""
    drops = 0
    for body in netlink.dump(Request(_GETLINK, _MESSAGE.pack(0, 0, 0, 0, 0, 0), (), 0, "interfaces")):
        fields = decode(body[_MESSAGE.size :])
        if fields.get(_NAME, b"").startswith(prefix.encode()) and _STATS64 in fields:
            drops += struct.unpack_from("=8Q", fields[_STATS64])[7]  # struct rtnl_link_stats64, tx_dropped
    return drops


def veth(
    name: str,
    peer: str,
    *,
    mtu: int,
    mac: bytes | None = None,
    peer_mac: bytes | None = None,
    peer_netns: int | None = None,
) -> Request:
    """A pair of interfaces, both down, of which the second may be in another namespace.

    What goes in at either end is cut to the MTU first, whatever offloads its sender counted on: one
    super-packet would be delayed, lost and paced as one packet.
    """
    other = [*_common(peer, mtu, peer_mac)]
    if peer_netns is not None:
        other.append((_NETNS_FD, u32(peer_netns)))
    peer_message = _MESSAGE.pack(0, 0, 0, 0, 0, 0) + encode(other)
    kind: Attributes = ((_INFO_KIND, text("veth")), (_INFO_DATA, ((_VETH_PEER, peer_message),)))
    return _new(name, (*_common(name, mtu, mac), (_LINKINFO, kind)), up=False)


def ifb(name: str, *, mtu: int) -> Request:
    """An interface that gives each packet back to where it was redirected from, once its qdisc lets it go."""
    return _new(
        name,
        ((_NAME, text(name)), (_MTU, u32(mtu)), (_TX_QUEUES, u32(1)), (_RX_QUEUES, u32(1)), _kind("ifb")),
        up=True,
    )


def bridge(name: str, *, mtu: int, mac: bytes) -> Request:
    """A bridge whose ports forward at once."""
    data = ((_BRIDGE_FORWARD_DELAY, u32(0)), (_BRIDGE_SNOOPING, u8(0)))
    kind = (_LINKINFO, ((_INFO_KIND, text("bridge")), (_INFO_DATA, data)))
    return _new(name, ((_NAME, text(name)), (_MTU, u32(mtu)), (_ADDRESS, mac), kind), up=True)


def _common(name: str, mtu: int, mac: bytes | None) -> list[Attribute]:
    attributes: list[Attribute] = [
        (_NAME, text(name)),
        (_MTU, u32(mtu)),
        (_TX_QUEUES, u32(1)),
        (_RX_QUEUES, u32(1)),
        (_GSO_MAX_SEGS, u32(1)),
    ]
    return [*attributes, (_ADDRESS, mac)] if mac is not None else attributes


def _kind(kind: str) -> Attribute:
    return (_LINKINFO, ((_INFO_KIND, text(kind)),))


def _new(name: str, attributes: Attributes, *, up: bool) -> Request:
    flags = _UP if up else 0
    return Request(
        _NEWLINK, _MESSAGE.pack(0, 0, 0, 0, flags, flags), attributes, CREATE | EXCL, f"interface {name}"
    )


def device(index: int, *, mac: bytes, mtu: int, tx_queue: int) -> Request:
    """Set a TAP's MAC, MTU and room, and have it ask nobody for MACs: each frame is for its own."""
    attributes = ((_ADDRESS, mac), (_MTU, u32(mtu)), (_TXQLEN, u32(tx_queue)))
    return Request(_NEWLINK, _MESSAGE.pack(0, 0, 0, index, _NOARP, _NOARP), attributes, 0, "device")


def unsegmented(index: int) -> Request:
    """Have an interface take no packet that is larger than its MTU; see `veth`."""
    return _change(index, ((_GSO_MAX_SEGS, u32(1)),), "segments")


def up(index: int) -> Request:
    """Set an interface up."""
    return Request(_NEWLINK, _MESSAGE.pack(0, 0, 0, index, _UP, _UP), (), 0, "interface up")


def delete(index: int) -> Request:
    """Take an interface away, and its pair."""
    return Request(_DELLINK, _MESSAGE.pack(0, 0, 0, index, 0, 0), (), 0, "delete interface")


def isolated_port(index: int, bridge_index: int) -> tuple[Request, Request]:
    """Put an interface on a bridge, as a port that reaches the bridge itself and no other such port."""
    joined = _change(index, ((_MASTER, u32(bridge_index)),), "bridge port")
    flags = ((_PORT_ISOLATED, u8(1)),)
    header = _MESSAGE.pack(socket.AF_BRIDGE, 0, 0, index, 0, 0)
    return joined, Request(_SETLINK, header, ((_PROTINFO, flags),), 0, "isolated port")


def address(index: int, ipv4: str, prefix: int) -> Request:
    """Give an interface an IPv4 address."""
    packed = IPv4Address(ipv4)
    broadcast = IPv4Network((packed, prefix), strict=False).broadcast_address
    header = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, index)
    attributes = ((_LOCAL, packed.packed), (_OF_PEER, packed.packed), (_BROADCAST, broadcast.packed))
    return Request(_NEWADDR, header, attributes, CREATE | EXCL, f"address {ipv4}")


def ipv4_settings(index: int, **settings: int) -> Request:
    """Set what IPv4 does on an interface, also where /proc/sys is read-only, as in an ordinary container.

    By name as there: `forwarding`, `accept_redirects`, `send_redirects`, `rp_filter`.
    """
    values = tuple((_SETTINGS[name], u32(value)) for name, value in settings.items())
    return _change(index, ((_AF_SPEC, ((socket.AF_INET, ((_INET_CONF, values),)),)),), "IPv4 settings")


_INET_CONF = 1
_SETTINGS = {"forwarding": 1, "accept_redirects": 4, "send_redirects": 6, "rp_filter": 8}


def _change(index: int, attributes: Attributes, what: str) -> Request:
    return Request(_NEWLINK, _MESSAGE.pack(0, 0, 0, index, 0, 0), attributes, 0, what)
