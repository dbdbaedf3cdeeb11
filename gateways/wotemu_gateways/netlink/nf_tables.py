"""Requests that make rules of netfilter's nf_tables: a table with its chains, and the parts of rules. Pure.

Rules are written with netlink messages: libnftables has no Python binding on PyPI, and pyroute2 makes every
command a transaction of its own, so that a moment without rules would lie between two rulesets.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator

import attrs

from wotemu_gateways.netlink.request_socket import CREATE, Attributes, Request, text, u32

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
NFT_META_IIF, NFT_META_OIF, NFT_META_IIFNAME, NFT_META_OIFNAME, NFT_META_L4PROTO = 4, 5, 6, 7, 16
NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER = 1, 2
NFT_CMP_EQ, NFT_CMP_NEQ = 0, 1
NFT_CT_STATE, NFT_CT_STATUS, IPS_DST_NAT = 0, 2, 0x20
NF_CT_STATE_ESTABLISHED, NF_CT_STATE_RELATED = 2, 4
IFNAMSIZ = 16
NFT_NAT_DNAT = 1
NF_DROP, NF_ACCEPT = 0, 1
NF_INET_PRE_ROUTING, NF_INET_FORWARD, NF_INET_POST_ROUTING = 0, 2, 4
NF_IP_PRI_NAT_DST, NF_IP_PRI_FILTER, NF_IP_PRI_NAT_SRC = -100, 0, 100

Expression = tuple[str, Attributes]
"""An expression's name and its attributes; those of a rule are carried out in order until one fails."""


@attrs.frozen
class Chain:
    """A base chain: its kind, hook, priority and what becomes of packets that no rule decides about."""

    name: str
    kind: str
    hook: int
    priority: int
    policy: int = NF_ACCEPT


class Table:
    """Makes the requests of one table."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"Table({self._name!r})"

    def new(self, *chains: Chain) -> Iterator[Request]:
        """An empty table with its chains, in place of any table before."""
        name: Attributes = [(NFTA_TABLE_NAME, text(self._name))]
        # Deleting a table that is not there fails the transaction, so it is made first.
        yield _request(NFT_MSG_NEWTABLE, name, CREATE)
        yield _request(NFT_MSG_DELTABLE, name)
        yield _request(NFT_MSG_NEWTABLE, name, CREATE)
        for chain in chains:
            yield self._chain(chain)

    def _chain(self, chain: Chain) -> Request:
        hook: Attributes = [
            (NFTA_HOOK_HOOKNUM, be32(chain.hook)),
            (NFTA_HOOK_PRIORITY, be32(chain.priority)),
        ]
        attributes: Attributes = [
            (NFTA_CHAIN_TABLE, text(self._name)),
            (NFTA_CHAIN_NAME, text(chain.name)),
            (NFTA_CHAIN_HOOK, hook),
            (NFTA_CHAIN_POLICY, be32(chain.policy)),
            (NFTA_CHAIN_TYPE, text(chain.kind)),
        ]
        return _request(NFT_MSG_NEWCHAIN, attributes, CREATE)

    def rule(self, chain: str, expressions: Iterable[Expression]) -> Request:
        """A rule at the end of a chain."""
        elements: Attributes = [
            (NFTA_LIST_ELEM, [(NFTA_EXPR_NAME, text(name)), (NFTA_EXPR_DATA, attributes)])
            for name, attributes in expressions
        ]
        attributes: Attributes = [
            (NFTA_RULE_TABLE, text(self._name)),
            (NFTA_RULE_CHAIN, text(chain)),
            (NFTA_RULE_EXPRESSIONS, elements),
        ]
        return _request(NFT_MSG_NEWRULE, attributes, CREATE | NLM_F_APPEND)


def meta(key: int, value: bytes, operator: int = NFT_CMP_EQ) -> list[Expression]:
    """A metadatum of the packet equals a value (or not, with NFT_CMP_NEQ)."""
    load: Attributes = [(NFTA_META_DREG, be32(NFT_REG_1)), (NFTA_META_KEY, be32(key))]
    return [("meta", load), _compare(operator, value)]


def interface_name(name: str) -> bytes:
    """An interface's name as NFT_META_IIFNAME and NFT_META_OIFNAME have it."""
    return name.encode().ljust(IFNAMSIZ, b"\0")


def _compare(operator: int, value: bytes) -> Expression:
    """Compare the register with a value."""
    return "cmp", [
        (NFTA_CMP_SREG, be32(NFT_REG_1)),
        (NFTA_CMP_OP, be32(operator)),
        (NFTA_CMP_DATA, [(NFTA_DATA_VALUE, value)]),
    ]


def payload(base: int, offset: int, value: bytes) -> list[Expression]:
    """Bytes of a header equal a value."""
    load: Attributes = [
        (NFTA_PAYLOAD_DREG, be32(NFT_REG_1)),
        (NFTA_PAYLOAD_BASE, be32(base)),
        (NFTA_PAYLOAD_OFFSET, be32(offset)),
        (NFTA_PAYLOAD_LEN, be32(len(value))),
    ]
    return [("payload", load), _compare(NFT_CMP_EQ, value)]


def connection_has(key: int, bits: int) -> list[Expression]:
    """A datum of the packet's connection, such as NFT_CT_STATUS, has one of some bits."""
    load: Attributes = [(NFTA_CT_DREG, be32(NFT_REG_1)), (NFTA_CT_KEY, be32(key))]
    # register = (register & bits) ^ 0
    mask: Attributes = [
        (NFTA_BITWISE_SREG, be32(NFT_REG_1)),
        (NFTA_BITWISE_DREG, be32(NFT_REG_1)),
        (NFTA_BITWISE_LEN, be32(len(u32(0)))),
        (NFTA_BITWISE_MASK, [(NFTA_DATA_VALUE, u32(bits))]),
        (NFTA_BITWISE_XOR, [(NFTA_DATA_VALUE, u32(0))]),
    ]
    return [("ct", load), ("bitwise", mask), _compare(NFT_CMP_NEQ, u32(0))]


def accept() -> Expression:
    """Let the packet pass."""
    verdict: Attributes = [(NFTA_DATA_VERDICT, [(NFTA_VERDICT_CODE, be32(NF_ACCEPT))])]
    return "immediate", [
        (NFTA_IMMEDIATE_DREG, be32(NFT_REG_VERDICT)),
        (NFTA_IMMEDIATE_DATA, verdict),
    ]


def masquerade() -> Expression:
    """The packet's source becomes this machine's address on the interface that it leaves by."""
    return "masq", []


def _request(kind: int, attributes: Attributes, flags: int = 0) -> Request:
    # struct nfgenmsg: family, version, resource id.
    header = struct.pack("!BBH", socket.AF_INET, 0, 0)
    return Request(NFNL_SUBSYS_NFTABLES << 8 | kind, header, attributes, flags, "nf_tables")


def be32(value: int) -> bytes:
    """32 bits in network order, as nf_tables takes all numbers but those that packets are compared with."""
    return struct.pack("!i", value)
