"""DNAT: forwards connections from the emulated networks to one server, and masquerades as it.

For a machine whose routes can't be set, such as a container of somebody else's image. It sees its clients at
this machine's own address and so answers to it; the clients see nothing but this machine. Connections that
the server opens by itself lead nowhere, and what is for neither of the two is not forwarded.

The ruleset is, in the words of nft(8), for each `interface` and `address` that clients come over::

    chain in      { type nat hook prerouting priority dstnat;
                    iif interface ip daddr address udp dport PROBE_PORT accept
                    iif interface ip daddr address dnat to server }
    chain through { type filter hook forward priority filter; policy drop; ct status dnat accept }
    chain out     { type nat hook postrouting priority srcnat; oif inner masquerade }
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from wotemu.errors import HostError
from wotemu_gateways.netlink import nf_tables as nf
from wotemu_gateways.netlink.link import ipv4_settings
from wotemu_gateways.netlink.request_socket import Attributes, Netlink, Request, u32
from wotemu_gateways.packets import probe

_TABLE = nf.Table("wotemu-dnat")
_CHAINS = (
    nf.Chain("in", "nat", nf.NF_INET_PRE_ROUTING, nf.NF_IP_PRI_NAT_DST),
    nf.Chain("through", "filter", nf.NF_INET_FORWARD, nf.NF_IP_PRI_FILTER, nf.NF_DROP),
    nf.Chain("out", "nat", nf.NF_INET_POST_ROUTING, nf.NF_IP_PRI_NAT_SRC),
)

_DESTINATION_ADDRESS_AT, _DESTINATION_PORT_AT = 16, 2
"""Offsets in the IPv4 header, and in those of TCP and UDP."""


def redirect_to(inner: str, outer: Mapping[str, str], server: str) -> None:
    """Forward what comes for this machine to `server`, in place of any server before.

    Args:
        inner: The interface that the server is reached over.
        outer: The interfaces that clients come over, each with this machine's IPv4 address on it. WoTemu's
            own probes to it are not forwarded.
        server: The server's IPv4 address.

    Raises:
        HostError: This kernel has no NAT.
        OSError: The kernel refused something else.
    """
    rules = list(_rules(inner, outer, server))
    with Netlink(nf.NETLINK_NETFILTER) as netlink:
        try:
            netlink.transact(nf.NFNL_SUBSYS_NFTABLES, *_TABLE.new(*_CHAINS), *rules)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                raise HostError(
                    f"this kernel has no NAT: {error.strerror}",
                    where="a plain service on an emulated network",
                    hint="load it: modprobe -a nf_tables nft_chain_nat nft_masq nft_nat",
                ) from error
            raise
    # Only now: until the rules are there, nothing may be forwarded.
    with Netlink() as netlink:
        indexes = map(socket.if_nametoindex, (inner, *outer))
        netlink.send(*(ipv4_settings(index, forwarding=1, send_redirects=0) for index in indexes))


def _rules(inner: str, outer: Mapping[str, str], server: str) -> Iterator[Request]:
    for interface, address in outer.items():
        comes_in = nf.meta(nf.NFT_META_IIF, u32(socket.if_nametoindex(interface)))
        here = [*comes_in, *_destination_is(address)]
        # Before the rule for everything else: this machine answers probes itself.
        yield _TABLE.rule("in", [*here, *_is_probe(), nf.accept()])
        yield _TABLE.rule("in", [*here, *_dnat_to(server)])
    # Of a connection whose destination became the server, as answers and errors are, too.
    yield _TABLE.rule("through", [*nf.connection_has(nf.NFT_CT_STATUS, nf.IPS_DST_NAT), nf.accept()])
    goes_out = nf.meta(nf.NFT_META_OIF, u32(socket.if_nametoindex(inner)))
    yield _TABLE.rule("out", [*goes_out, nf.masquerade()])


def _destination_is(address: str) -> list[nf.Expression]:
    return nf.payload(nf.NFT_PAYLOAD_NETWORK_HEADER, _DESTINATION_ADDRESS_AT, IPv4Address(address).packed)


def _is_probe() -> list[nf.Expression]:
    port = struct.pack("!H", probe.PORT)
    return [
        *nf.meta(nf.NFT_META_L4PROTO, bytes([socket.IPPROTO_UDP])),
        *nf.payload(nf.NFT_PAYLOAD_TRANSPORT_HEADER, _DESTINATION_PORT_AT, port),
    ]


def _dnat_to(server: str) -> list[nf.Expression]:
    """The packet's destination becomes the server; the port stays."""
    address: Attributes = [(nf.NFTA_DATA_VALUE, IPv4Address(server).packed)]
    return [
        ("immediate", [(nf.NFTA_IMMEDIATE_DREG, nf.be32(nf.NFT_REG_1)), (nf.NFTA_IMMEDIATE_DATA, address)]),
        (
            "nat",
            [
                (nf.NFTA_NAT_TYPE, nf.be32(nf.NFT_NAT_DNAT)),
                (nf.NFTA_NAT_FAMILY, nf.be32(socket.AF_INET)),
                (nf.NFTA_NAT_REG_ADDR_MIN, nf.be32(nf.NFT_REG_1)),
            ],
        ),
    ]


__all__ = ["redirect_to"]
