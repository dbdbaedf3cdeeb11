"""Keys of flower classifiers for protocols and ports. Pure.

The constants are those of linux/pkt_cls.h.
"""

from __future__ import annotations

import socket

from wotemu_gateways.netlink.request_socket import Attributes, u8
from wotemu_gateways.netlink.tc import TCA_FLOWER_KEY_IP_PROTO

TCA_FLOWER_KEY_TCP_SRC, TCA_FLOWER_KEY_TCP_DST = 18, 19
TCA_FLOWER_KEY_UDP_SRC, TCA_FLOWER_KEY_UDP_DST = 20, 21
_MASK_OF_PORT = 17
"""How far the key of a port's mask is from that of the port: TCA_FLOWER_KEY_TCP_SRC_MASK is 35."""


def of_protocol(protocol: str) -> Attributes:
    """Packets of ``tcp``, ``udp`` or ``icmp``."""
    return ((TCA_FLOWER_KEY_IP_PROTO, u8(_PROTOCOLS[protocol])),)


def of_port(protocol: str, port: int, *, is_source: bool) -> Attributes:
    """Packets of ``tcp`` or ``udp`` from or to a port. The kernel reads none of fragments."""
    source, destination = _PORT_KEYS[protocol]
    key = source if is_source else destination
    return (
        *of_protocol(protocol),
        (key, port.to_bytes(2, "big")),
        (key + _MASK_OF_PORT, b"\xff\xff"),
    )


_PROTOCOLS = {"icmp": socket.IPPROTO_ICMP, "tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_PORT_KEYS = {
    "tcp": (TCA_FLOWER_KEY_TCP_SRC, TCA_FLOWER_KEY_TCP_DST),
    "udp": (TCA_FLOWER_KEY_UDP_SRC, TCA_FLOWER_KEY_UDP_DST),
}
