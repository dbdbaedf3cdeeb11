"""A door: this machine takes what comes for it over some interfaces to another machine, and its answers back.

For a machine whose routes can't be set, such as a container of somebody else's image. It sees its clients at
the door's own address and so answers to the door; the clients see nothing but the door. Connections that it
opens by itself lead nowhere.

nf_tables over netlink: both ends of a connection are followed by the kernel, with all that belongs to it.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from wotemu.errors import HostError
from wotemu_gateways import probe_format
from wotemu_gateways.netlink import CREATE, Attributes, Netlink, Request, text, u32

TABLE = "wotemu-door"

_NETFILTER = 12
"""The netlink family, which Python has no name for."""
_NFTABLES = 10
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = ((_NFTABLES << 8) | kind for kind in (0, 2, 3, 6))
_APPEND = 0x800
_PREROUTING, _POSTROUTING = 0, 4
_DESTINATION_NAT, _SOURCE_NAT = -100, 100
_IN_INTERFACE, _OUT_INTERFACE, _PROTOCOL = 4, 5, 16
_REGISTER, _VERDICT = 1, 0
_TRANSPORT_HEADER, _DESTINATION_PORT = 2, 2
_ACCEPT = 1
_UDP = socket.IPPROTO_UDP

Expression = tuple[str, Attributes]


def open_door(inner: str, outer: Iterable[str], server: str) -> None:
    """Lead what comes over the `outer` interfaces to `server` over `inner`, in place of any server before.

    WoTemu's own probes stay here. `HostError` where this kernel has no NAT; `OSError` says what else failed.
    """
    rules = list(_rules(inner, list(outer), server))
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


def _anew() -> Iterator[Request]:
    """An empty table, whether there was one or not."""
    name: Attributes = [(1, text(TABLE))]
    yield _request(_NEW_TABLE, name, CREATE)
    yield _request(_DELETE_TABLE, name)
    yield _request(_NEW_TABLE, name, CREATE)
    for chain, hook, priority in (
        ("in", _PREROUTING, _DESTINATION_NAT),
        ("out", _POSTROUTING, _SOURCE_NAT),
    ):
        yield _request(
            _NEW_CHAIN,
            [
                (1, text(TABLE)),
                (3, text(chain)),
                (4, [(1, _be32(hook)), (2, _be32(priority))]),
                (7, text("nat")),
            ],
            CREATE,
        )


def _rules(inner: str, outer: list[str], server: str) -> Iterator[Request]:
    for interface in outer:
        here = _meta(_IN_INTERFACE, u32(socket.if_nametoindex(interface)))
        yield _rule("in", [*here, *_to_probe_port(), _accept()])
        yield _rule("in", [*here, *_to(server)])
    there = _meta(_OUT_INTERFACE, u32(socket.if_nametoindex(inner)))
    yield _rule("out", [*there, ("masq", [])])


def _meta(key: int, value: bytes) -> list[Expression]:
    """The packet's metadatum is this."""
    return [("meta", [(1, _be32(_REGISTER)), (2, _be32(key))]), _equals(value)]


def _equals(value: bytes) -> Expression:
    return "cmp", [(1, _be32(_REGISTER)), (2, _be32(0)), (3, [(1, value)])]


def _to_probe_port() -> list[Expression]:
    port = [(1, _REGISTER), (2, _TRANSPORT_HEADER), (3, _DESTINATION_PORT), (4, 2)]
    return [
        *_meta(_PROTOCOL, bytes([_UDP])),
        ("payload", [(kind, _be32(value)) for kind, value in port]),
        _equals(struct.pack("!H", probe_format.PORT)),
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


__all__ = ["open_door"]
