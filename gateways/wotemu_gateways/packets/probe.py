"""The format of probes: small UDP datagrams between the agents of two nodes. Pure."""

from __future__ import annotations

import struct

from wotemu.topology.reserved_ports import PROBE_PORT
from wotemu_gateways.packets.ethernet import IPV4_NO_OPTIONS, FlowId

PORT = PROBE_PORT
_PAYLOAD = struct.Struct("!4sQ")
_MAGIC = b"WoTp"
_UDP_HEADERS = 14 + 20 + 8
SIZE = _UDP_HEADERS + _PAYLOAD.size
"""A probe's Ethernet frame, in bytes."""

_UDP = 17
_PORTS = struct.pack("!HH", PORT, PORT)
_NO_FRAGMENT = (b"\0\0", b"\x40\0")
"""The flags and fragment offset of a whole packet, which may forbid fragments."""


def pack(number: int) -> bytes:
    """A probe's payload; `number` identifies it within its network."""
    return _PAYLOAD.pack(_MAGIC, number)


def unpack(payload: bytes) -> int | None:
    """The number of a probe; None if it is something else."""
    if len(payload) != _PAYLOAD.size:
        return None
    magic, number = _PAYLOAD.unpack(payload)
    return int(number) if magic == _MAGIC else None


def is_probe(frame: bytes) -> bool:
    """Whether an Ethernet frame is a probe."""
    return (
        frame[34:38] == _PORTS
        and frame[12:15] == IPV4_NO_OPTIONS
        and frame[23] == _UDP
        and frame[20:22] in _NO_FRAGMENT
    )


def is_probe_flow(flow: FlowId) -> bool:
    """Whether a flow is made of probes."""
    return flow.transport == "udp" and flow.sport == flow.dport == PORT
