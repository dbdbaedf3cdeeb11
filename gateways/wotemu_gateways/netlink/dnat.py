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

It is written with netlink messages: libnftables has no Python binding on PyPI, and pyroute2 makes every
command a transaction of its own, so that a moment without rules would lie between two rulesets.
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

TABLE = "wotemu-dnat"

# linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h, but for the netlink family, which is
# linux/netlink.h's and has no name in Python.
NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE = 0, 2, 3, 6
NLM_F_APPEND = 0x800
NFTA_TABLE_NAME = 1
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE = 1, 3, 4, 5, 7
NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY = 1, 2
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS = 1, 2, 4
NFTA_LIST_ELEM, NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 1, 2
NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFTA_VERDICT_CODE = 1, 2, 1
NFTA_META_DREG, NFTA_META_KEY = 1, 2
NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA = 1, 2, 3
NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN = 1, 2, 3, 4
NFTA_CT_DREG, NFTA_CT_KEY = 1, 2
NFTA_BITWISE_SREG, NFTA_BITWISE_DREG, NFTA_BITWISE_LEN, NFTA_BITWISE_MASK, NFTA_BITWISE_XOR = 1, 2, 3, 4, 5
NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA = 1, 2
NFTA_NAT_TYPE, NFTA_NAT_FAMILY, NFTA_NAT_REG_ADDR_MIN = 1, 2, 3
NFT_REG_VERDICT, NFT_REG_1 = 0, 1
NFT_META_IIF, NFT_META_OIF, NFT_META_L4PROTO = 4, 5, 16
NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER = 1, 2
NFT_CMP_EQ, NFT_CMP_NEQ = 0, 1
NFT_CT_STATUS, IPS_DST_NAT = 2, 0x20
NFT_NAT_DNAT = 1
NF_DROP, NF_ACCEPT = 0, 1
NF_INET_PRE_ROUTING, NF_INET_FORWARD, NF_INET_POST_ROUTING = 0, 2, 4
NF_IP_PRI_NAT_DST, NF_IP_PRI_FILTER, NF_IP_PRI_NAT_SRC = -100, 0, 100

_DESTINATION_ADDRESS_AT, _DESTINATION_PORT_AT = 16, 2
"""Offsets in the IPv4 header, and in those of TCP and UDP."""

Expression = tuple[str, Attributes]
"""An expression's name and its attributes; those of a rule are carried out in order until one fails."""


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
    with Netlink(NETLINK_NETFILTER) as netlink:
        try:
            netlink.transact(NFNL_SUBSYS_NFTABLES, *_new_table(), *rules)
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


def _new_table() -> Iterator[Request]:
    """An empty table with its chains, in place of any table before."""
    name: Attributes = [(NFTA_TABLE_NAME, text(TABLE))]
    # Deleting a table that is not there fails the transaction, so it is made first.
    yield _request(NFT_MSG_NEWTABLE, name, CREATE)
    yield _request(NFT_MSG_DELTABLE, name)
    yield _request(NFT_MSG_NEWTABLE, name, CREATE)
    yield _chain("in", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST, NF_ACCEPT)
    yield _chain("through", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, NF_DROP)
    yield _chain("out", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, NF_ACCEPT)


def _chain(name: str, kind: str, hook: int, priority: int, policy: int) -> Request:
    attributes: Attributes = [
        (NFTA_CHAIN_TABLE, text(TABLE)),
        (NFTA_CHAIN_NAME, text(name)),
        (NFTA_CHAIN_HOOK, [(NFTA_HOOK_HOOKNUM, _be32(hook)), (NFTA_HOOK_PRIORITY, _be32(priority))]),
        (NFTA_CHAIN_POLICY, _be32(policy)),
        (NFTA_CHAIN_TYPE, text(kind)),
    ]
    return _request(NFT_MSG_NEWCHAIN, attributes, CREATE)


def _rules(inner: str, outer: Mapping[str, str], server: str) -> Iterator[Request]:
    for interface, address in outer.items():
        comes_in = _meta(NFT_META_IIF, u32(socket.if_nametoindex(interface)))
        here = [*comes_in, *_destination_is(address)]
        # Before the rule for everything else: this machine answers probes itself.
        yield _rule("in", [*here, *_is_probe(), _accept()])
        yield _rule("in", [*here, *_dnat_to(server)])
    yield _rule("through", [*_is_redirected(), _accept()])
    goes_out = _meta(NFT_META_OIF, u32(socket.if_nametoindex(inner)))
    yield _rule("out", [*goes_out, ("masq", [])])


def _meta(key: int, value: bytes) -> list[Expression]:
    """A metadatum of the packet equals a value."""
    load: Attributes = [(NFTA_META_DREG, _be32(NFT_REG_1)), (NFTA_META_KEY, _be32(key))]
    return [("meta", load), _compare(NFT_CMP_EQ, value)]


def _compare(operator: int, value: bytes) -> Expression:
    """Compare the register with a value."""
    return "cmp", [
        (NFTA_CMP_SREG, _be32(NFT_REG_1)),
        (NFTA_CMP_OP, _be32(operator)),
        (NFTA_CMP_DATA, [(NFTA_DATA_VALUE, value)]),
    ]


def _payload(base: int, offset: int, value: bytes) -> list[Expression]:
    """Bytes of a header equal a value."""
    load: Attributes = [
        (NFTA_PAYLOAD_DREG, _be32(NFT_REG_1)),
        (NFTA_PAYLOAD_BASE, _be32(base)),
        (NFTA_PAYLOAD_OFFSET, _be32(offset)),
        (NFTA_PAYLOAD_LEN, _be32(len(value))),
    ]
    return [("payload", load), _compare(NFT_CMP_EQ, value)]


def _destination_is(address: str) -> list[Expression]:
    return _payload(NFT_PAYLOAD_NETWORK_HEADER, _DESTINATION_ADDRESS_AT, IPv4Address(address).packed)


def _is_probe() -> list[Expression]:
    port = struct.pack("!H", probe.PORT)
    return [
        *_meta(NFT_META_L4PROTO, bytes([socket.IPPROTO_UDP])),
        *_payload(NFT_PAYLOAD_TRANSPORT_HEADER, _DESTINATION_PORT_AT, port),
    ]


def _is_redirected() -> list[Expression]:
    """The packet is of a connection whose destination became the server, as answers and errors are, too."""
    load: Attributes = [(NFTA_CT_DREG, _be32(NFT_REG_1)), (NFTA_CT_KEY, _be32(NFT_CT_STATUS))]
    # register = (register & IPS_DST_NAT) ^ 0
    mask: Attributes = [
        (NFTA_BITWISE_SREG, _be32(NFT_REG_1)),
        (NFTA_BITWISE_DREG, _be32(NFT_REG_1)),
        (NFTA_BITWISE_LEN, _be32(len(u32(0)))),
        (NFTA_BITWISE_MASK, [(NFTA_DATA_VALUE, u32(IPS_DST_NAT))]),
        (NFTA_BITWISE_XOR, [(NFTA_DATA_VALUE, u32(0))]),
    ]
    return [("ct", load), ("bitwise", mask), _compare(NFT_CMP_NEQ, u32(0))]


def _accept() -> Expression:
    verdict: Attributes = [(NFTA_DATA_VERDICT, [(NFTA_VERDICT_CODE, _be32(NF_ACCEPT))])]
    return "immediate", [
        (NFTA_IMMEDIATE_DREG, _be32(NFT_REG_VERDICT)),
        (NFTA_IMMEDIATE_DATA, verdict),
    ]


def _dnat_to(server: str) -> list[Expression]:
    """The packet's destination becomes the server; the port stays."""
    address: Attributes = [(NFTA_DATA_VALUE, IPv4Address(server).packed)]
    return [
        ("immediate", [(NFTA_IMMEDIATE_DREG, _be32(NFT_REG_1)), (NFTA_IMMEDIATE_DATA, address)]),
        (
            "nat",
            [
                (NFTA_NAT_TYPE, _be32(NFT_NAT_DNAT)),
                (NFTA_NAT_FAMILY, _be32(socket.AF_INET)),
                (NFTA_NAT_REG_ADDR_MIN, _be32(NFT_REG_1)),
            ],
        ),
    ]


def _rule(chain: str, expressions: Iterable[Expression]) -> Request:
    elements: Attributes = [
        (NFTA_LIST_ELEM, [(NFTA_EXPR_NAME, text(name)), (NFTA_EXPR_DATA, attributes)])
        for name, attributes in expressions
    ]
    attributes: Attributes = [
        (NFTA_RULE_TABLE, text(TABLE)),
        (NFTA_RULE_CHAIN, text(chain)),
        (NFTA_RULE_EXPRESSIONS, elements),
    ]
    return _request(NFT_MSG_NEWRULE, attributes, CREATE | NLM_F_APPEND)


def _request(kind: int, attributes: Attributes, flags: int = 0) -> Request:
    # struct nfgenmsg: family, version, resource id.
    header = struct.pack("!BBH", socket.AF_INET, 0, 0)
    return Request(NFNL_SUBSYS_NFTABLES << 8 | kind, header, attributes, flags, "nf_tables")


def _be32(value: int) -> bytes:
    """32 bits in network order, as nf_tables takes all numbers but those that packets are compared with."""
    return struct.pack("!i", value)


__all__ = ["redirect_to"]
