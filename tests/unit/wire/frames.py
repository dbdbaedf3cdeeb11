"""Frames as a node's interface passes them, and messages of CoAP."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

NODE, PEER = "10.0.0.1", "10.0.0.2"
TCP, UDP = 6, 17


def frame(
    source: tuple[str, int],
    target: tuple[str, int],
    data: bytes,
    *,
    protocol: int = TCP,
    seq: int = 0,
    ip_options: int = 0,
    tcp_options: int = 12,
    fragment: int = 0,
) -> bytes:
    """An Ethernet frame with IPv4; options are given by their sizes in bytes."""
    ports = struct.pack("!HH", source[1], target[1])
    if protocol == TCP:
        transport = ports + struct.pack("!IIBBHHH", seq, 0, (20 + tcp_options) // 4 << 4, 0x18, 1000, 0, 0)
        transport += bytes(tcp_options)
    else:
        transport = ports + struct.pack("!HH", 8 + len(data), 0)
    size = 20 + ip_options + len(transport) + len(data)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45 + ip_options // 4, 0, size, 1, fragment, 64, protocol, 0,
        IPv4Address(source[0]).packed, IPv4Address(target[0]).packed,
    )  # fmt: skip
    return bytes(12) + b"\x08\x00" + header + bytes(ip_options) + transport + data


def coap(
    code: str,
    message_id: int,
    token: bytes = b"\x01",
    path: Sequence[str] = (),
    *,
    kind: int = 0,
    observe: int | None = None,
    block1: tuple[int, bool] | None = None,
    block2: tuple[int, bool] | None = None,
    payload: bytes = b"",
) -> bytes:
    """A message of CoAP; `kind` is 0 for CON, 1 for NON, 2 for ACK."""
    numbers = [(6, b"" if not observe else bytes([observe]))] if observe is not None else []
    numbers += [(11, part.encode()) for part in path]
    for number, block in ((23, block2), (27, block1)):
        if block is not None:
            numbers.append((number, bytes([block[0] << 4 | block[1] << 3 | 2])))
    options, last = b"", 0
    for number, value in numbers:
        delta, last = number - last, number
        nibbles, more = (delta, b"") if delta < 13 else (13, bytes([delta - 13]))
        size, longer = (len(value), b"") if len(value) < 13 else (13, bytes([len(value) - 13]))
        options += bytes([nibbles << 4 | size]) + more + longer + value
    kind_of, detail = map(int, code.split("."))
    head = bytes([0x40 | kind << 4 | len(token), kind_of << 5 | detail]) + message_id.to_bytes(2, "big")
    return head + token + options + (b"\xff" + payload if payload else b"")
