"""TCP connections of a network namespace with their round trips and retransmissions, by sock_diag(7)."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator

import attrs

from wotemu.records import Connections

_NETLINK_SOCK_DIAG = 4
_TCPDIAG_GETSOCK = 18
"""The older request: its answer has IPv4 and IPv6. The kernel searches its one table of all namespaces."""
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_INFO = 2
_ESTABLISHED, _LISTEN = 1, 10
"""States of a TCP socket (net/tcp_states.h)."""
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=xxxB48xI4x")
"""struct inet_diag_req: the extensions and the states that are asked for."""
_MESSAGE = struct.Struct("=BBBB2s2s16s16sIQIIIII")
"""struct inet_diag_msg up to idiag_inode; the cookie of a socket as one number."""
_ATTRIBUTE = struct.Struct("=HH")
_RTT_US, _TOTAL_RETRANS, _SEGS_OUT, _MIN_RTT_US = 68, 100, 136, 148
"""Offsets in struct tcp_info (linux/tcp.h)."""
_CHUNK_BYTES = 1 << 16


@attrs.frozen
class Socket:
    """One TCP socket, listening or connected; `cookie` is its identity as long as it lives.

    `rtt` is the smoothed round trip and `rtt_min` the least of the last minutes, in seconds; `retransmitted`
    and `sent` count segments since the connection began.
    """

    cookie: int
    is_listening: bool
    local_port: int
    peer: str
    peer_port: int
    rtt: float = 0.0
    rtt_min: float = 0.0
    retransmitted: int = 0
    sent: int = 0


def sockets() -> list[Socket]:
    """The listening and connected TCP sockets of this thread's network namespace.

    Raises:
        OSError: The kernel has no sock_diag.
    """
    found: list[Socket] = []
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG) as diag:
        diag.sendto(request(), (0, 0))
        is_done = False
        while not is_done:  # the kernel has each part ready once the one before is received
            parsed, is_done = parse(diag.recv(_CHUNK_BYTES))
            found += parsed
    return found


def request() -> bytes:
    """The request for all listening and connected sockets."""
    body = _REQUEST.pack(1 << (_INET_DIAG_INFO - 1), 1 << _ESTABLISHED | 1 << _LISTEN)
    return _HEADER.pack(_HEADER.size + len(body), _TCPDIAG_GETSOCK, _NLM_F_REQUEST_DUMP, 0, 0) + body


def parse(data: bytes) -> tuple[list[Socket], bool]:
    """Read messages of the kernel.

    Returns:
        The sockets, and whether these were the last ones.

    Raises:
        OSError: The kernel refused the request.
    """
    found: list[Socket] = []
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        body = data[at + _HEADER.size : at + length]
        if kind == _NLMSG_DONE:
            return found, True
        if kind == _NLMSG_ERROR:
            number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
            raise OSError(number, os.strerror(number))
        found.append(_socket(body))
        at += (length + 3) & ~3
    return found, False


def _socket(body: bytes) -> Socket:
    family, state, _, _, sport, dport, _, destination, _, cookie, *_ = _MESSAGE.unpack_from(body)
    info = _info(body[_MESSAGE.size :])
    is_whole = len(info) >= _MIN_RTT_US + 4
    return Socket(
        cookie,
        state == _LISTEN,
        int.from_bytes(sport, "big"),
        _address(family, destination),
        int.from_bytes(dport, "big"),
        rtt=_number(info, _RTT_US) / 1e6 if is_whole else 0.0,
        rtt_min=_number(info, _MIN_RTT_US) / 1e6 if is_whole else 0.0,
        retransmitted=_number(info, _TOTAL_RETRANS) if is_whole else 0,
        sent=_number(info, _SEGS_OUT) if is_whole else 0,
    )


def _number(info: bytes, offset: int) -> int:
    return int.from_bytes(info[offset : offset + 4], sys.byteorder)


def _info(attributes: bytes) -> bytes:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _INET_DIAG_INFO:
            return attributes[at + _ATTRIBUTE.size : at + length]
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return b""


def _address(family: int, raw: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntop(family, raw[:4])
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)


class ConnectionMeter:
    """Turns successive looks at a node's sockets into rows, one for each peer and port of a server.

    Args:
        replica: The node's replica.
        name_of: The name of an address; None for one that is left out.
    """

    def __init__(self, replica: str, name_of: Callable[[str], str | None]) -> None:
        self._replica = replica
        self._name_of = name_of
        self._counted: dict[int, tuple[int, int]] = {}

    def rows(self, t: float, looked_at: Iterable[Socket]) -> Iterator[Connections]:
        """The rows of a look, stamped `t`."""
        seen = list(looked_at)
        served = {each.local_port for each in seen if each.is_listening}
        groups: dict[tuple[str, int], list[Socket]] = {}
        for each in seen:
            if each.is_listening or (peer := self._name_of(each.peer)) is None:
                continue
            port = each.local_port if each.local_port in served else each.peer_port
            groups.setdefault((peer, port), []).append(each)
        counted: dict[int, tuple[int, int]] = {}
        for (peer, port), members in groups.items():
            before = [self._counted.get(each.cookie, (0, 0)) for each in members]
            counted |= {each.cookie: (each.retransmitted, each.sent) for each in members}
            yield Connections(
                t,
                self._replica,
                peer,
                port,
                connections=len(members),
                rtt=sum(each.rtt for each in members) / len(members),
                rtt_min=min(each.rtt_min for each in members),
                sent=sum(each.sent for each in members) - sum(sent for _, sent in before),
                retransmitted=sum(each.retransmitted for each in members) - sum(lost for lost, _ in before),
            )
        self._counted = counted
