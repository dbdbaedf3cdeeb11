"""A door: this machine takes what comes for it over some interfaces to another machine, and its answers back.

For a machine whose routes can't be set, such as a container of somebody else's image. It sees its clients at
the door's own address and so answers to the door; the clients see nothing but the door. Connections that it
opens by itself lead nowhere, and what is for neither of the two is not passed on.

nf_tables over netlink: both ends of a connection are followed by the kernel, with all that belongs to it.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from wotemu.errors import HostError
from wotemu_gateways.netlink.link import ipv4_settings
from wotemu_gateways.netlink.request_socket import CREATE, Attributes, Netlink, Request, text, u32
from wotemu_gateways.packets import probe

TABLE = "wotemu-door"

_NETFILTER = 12
"""The netlink family, which Python has no name for."""
_NFTABLES = 10
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = ((_NFTABLES << 8) | kind for kind in (0, 2, 3, 6))
_APPEND = 0x800
_PREROUTING, _FORWARD, _POSTROUTING = 0, 2, 4
_DESTINATION_NAT, _SOURCE_NAT = -100, 100
_IN_INTERFACE, _OUT_INTERFACE, _PROTOCOL = 4, 5, 16
_REGISTER, _VERDICT = 1, 0
_NETWORK_HEADER, _DESTINATION_ADDRESS = 1, 16
_TRANSPORT_HEADER, _DESTINATION_PORT = 2, 2
_EQUAL, _NOT_EQUAL = 0, 1
_CONNECTION_STATUS, _DESTINATION_CHANGED, _STATUS_BYTES = 2, 0x20, 4
_DROP, _ACCEPT = 0, 1
_UDP = socket.IPPROTO_UDP

Expression = tuple[str, Attributes]


def redirect_to(inner: str, outer: Mapping[str, str], server: str) -> None:
    """Lead what comes for this machine to `server` over `inner`, in place of any server before.

    `outer` has the interfaces that clients come over, each with this machine's address on it. WoTemu's own
    probes stay here. `HostError` where this kernel has no NAT; `OSError` says what else failed.
    """
    rules = list(_rules(inner, outer, server))
    with Netlink(_NETFILTER) as netlink:
        try:
            netlink.transact(_NFTABLES, *_anew(), *rules)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                raise HostError(
                    f"this kernel has no NAT: {error.strerror}",
                    where="a plain service on an emulated network",
                    hint="load it: modprobe -a nf_tables nft_chain_nat nft_masq nft_nat",
                ) from error
            raise
    with Netlink() as netlink:
        indexes = map(socket.if_nametoindex, (inner, *outer))
        netlink.send(*(ipv4_settings(index, forwarding=1, send_redirects=0) for index in indexes))


def _anew() -> Iterator[Request]:
    """An empty table, whether there was one or not."""
    name: Attributes = [(1, text(TABLE))]
    yield _request(_NEW_TABLE, name, CREATE)
    yield _request(_DELETE_TABLE, name)
    yield _request(_NEW_TABLE, name, CREATE)
    yield _chain("in", "nat", _PREROUTING, _DESTINATION_NAT, _ACCEPT)
    yield _chain("through", "filter", _FORWARD, 0, _DROP)
    yield _chain("out", "nat", _POSTROUTING, _SOURCE_NAT, _ACCEPT)


def _chain(name: str, kind: str, hook: int, priority: int, policy: int) -> Request:
    attributes: Attributes = [
        (1, text(TABLE)),
        (3, text(name)),
        (4, [(1, _be32(hook)), (2, _be32(priority))]),
        (5, _be32(policy)),
        (7, text(kind)),
    ]
    return _request(_NEW_CHAIN, attributes, CREATE)


def _rules(inner: str, outer: Mapping[str, str], server: str) -> Iterator[Request]:
    inside = u32(socket.if_nametoindex(inner))
    for interface, address in outer.items():
        outside = u32(socket.if_nametoindex(interface))
        here = [*_meta(_IN_INTERFACE, outside), *_for(address)]
        yield _rule("in", [*here, *_to_probe_port(), _accept()])
        yield _rule("in", [*here, *_to(server)])
    yield _rule("through", [*_is_led_on(), _accept()])
    yield _rule("out", [*_meta(_OUT_INTERFACE, inside), ("masq", [])])


def _meta(key: int, value: bytes) -> list[Expression]:
    """The packet's metadatum is this."""
    return [("meta", [(1, _be32(_REGISTER)), (2, _be32(key))]), _equals(value)]


def _equals(value: bytes, operator: int = _EQUAL) -> Expression:
    return "cmp", [(1, _be32(_REGISTER)), (2, _be32(operator)), (3, [(1, value)])]


def _header(header: int, offset: int, value: bytes) -> list[Expression]:
    """The packet has this in a header."""
    place = ((1, _REGISTER), (2, header), (3, offset), (4, len(value)))
    return [("payload", [(kind, _be32(number)) for kind, number in place]), _equals(value)]


def _for(address: str) -> list[Expression]:
    return _header(_NETWORK_HEADER, _DESTINATION_ADDRESS, IPv4Address(address).packed)


def _to_probe_port() -> list[Expression]:
    port = struct.pack("!H", probe.PORT)
    return [*_meta(_PROTOCOL, bytes([_UDP])), *_header(_TRANSPORT_HEADER, _DESTINATION_PORT, port)]


def _is_led_on() -> list[Expression]:
    """It belongs to a connection whose destination became the server, as answers and errors do, too."""
    mask = [(1, _REGISTER), (2, _REGISTER), (3, _STATUS_BYTES)]
    return [
        ("ct", [(1, _be32(_REGISTER)), (2, _be32(_CONNECTION_STATUS))]),
        (
            "bitwise",
            [
                *((kind, _be32(value)) for kind, value in mask),
                (4, [(1, u32(_DESTINATION_CHANGED))]),
                (5, [(1, u32(0))]),
            ],
        ),
        _equals(u32(0), _NOT_EQUAL),
    ]


def _accept() -> Expression:
    return "immediate", [(1, _be32(_VERDICT)), (2, [(2, [(1, _be32(_ACCEPT))])])]


def _to(server: str) -> list[Expression]:
    """Its destination becomes the server; the port stays."""
    address = IPv4Address(server).packed
    return [
        ("immediate", [(1, _be32(_REGISTER)), (2, [(1, address)])]),
        ("nat", [(1, _be32(1)), (2, _be32(socket.AF_INET)), (3, _be32(_REGISTER))]),
    ]


def _rule(chain: str, expressions: Iterable[Expression]) -> Request:
    elements: Attributes = [(1, [(1, text(name)), (2, attributes)]) for name, attributes in expressions]
    return _request(_NEW_RULE, [(1, text(TABLE)), (2, text(chain)), (4, elements)], CREATE | _APPEND)


def _request(kind: int, attributes: Attributes, flags: int = 0) -> Request:
    return Request(kind, struct.pack("!BBH", socket.AF_INET, 0, 0), attributes, flags, "nf_tables")


def _be32(value: int) -> bytes:
    return struct.pack("!i", value)


__all__ = ["redirect_to"]
