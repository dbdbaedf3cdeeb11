"""Masquerading: forwards what leaves by one interface under this machine's address, and the answers to it.

The ruleset is, in the words of nft(8), for the interface `out`::

    chain through { type filter hook forward priority filter; policy drop;
                    oifname out iifname != out accept
                    iifname out ct state established,related accept }
    chain leaving { type nat hook postrouting priority srcnat; oifname out masquerade }

Interfaces are matched by name, so that the rules are there before the interface is.
"""

from __future__ import annotations

from wotemu_gateways.netlink import nf_tables as nf
from wotemu_gateways.netlink.request_socket import Netlink

_TABLE = nf.Table("wotemu-uplink")
_CHAINS = (
    nf.Chain("through", "filter", nf.NF_INET_FORWARD, nf.NF_IP_PRI_FILTER, nf.NF_DROP),
    nf.Chain("leaving", "nat", nf.NF_INET_POST_ROUTING, nf.NF_IP_PRI_NAT_SRC),
)


def masquerade_behind(out: str) -> None:
    """Let connections lead out by an interface of this network namespace alone, from all other interfaces.

    Raises:
        OSError: This kernel has no NAT, or refused something else.
    """
    name = nf.interface_name(out)
    leaves = nf.meta(nf.NFT_META_OIFNAME, name)
    is_from_elsewhere = nf.meta(nf.NFT_META_IIFNAME, name, nf.NFT_CMP_NEQ)
    is_answer = nf.connection_has(nf.NFT_CT_STATE, nf.NF_CT_STATE_ESTABLISHED | nf.NF_CT_STATE_RELATED)
    rules = (
        _TABLE.rule("through", [*leaves, *is_from_elsewhere, nf.accept()]),
        _TABLE.rule("through", [*nf.meta(nf.NFT_META_IIFNAME, name), *is_answer, nf.accept()]),
        _TABLE.rule("leaving", [*leaves, nf.masquerade()]),
    )
    with Netlink(nf.NETLINK_NETFILTER) as netlink:
        netlink.transact(nf.NFNL_SUBSYS_NFTABLES, *_TABLE.new(*_CHAINS), *rules)


__all__ = ["masquerade_behind"]
