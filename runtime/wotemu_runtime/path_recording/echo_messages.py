"""Datagrams between ``wotemu record`` and its echo, each authenticated by a token that both know.

A datagram begins with the version of its form and the MAC of all the rest, in every version, so that each end
can distinguish a stranger from a peer of another version that knows the token.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import IntEnum

import attrs

from wotemu.errors import InputError

VERSION = b"WTE2"
"""Of the form. Change it with `_HEAD`."""
_MAC_BYTES = 16
_START_BYTES = len(VERSION) + _MAC_BYTES
_HEAD = struct.Struct("!BBHQIIQQ")
HEAD_BYTES = _START_BYTES + _HEAD.size
MAX_BYTES = 1472
"""Payload of a full Ethernet packet over IPv4 and UDP."""


class Kind(IntEnum):
    """What a datagram is for."""

    PROBE = 1
    REPLY = 2
    TRAIN = 3
    BURST = 4


@attrs.frozen
class Message:
    """One datagram.

    Attributes:
        kind: What it is for.
        session: Of one recording, chosen at random by it.
        number: Of the probe or train.
        index: Of a packet in its train or burst.
        received: REPLY: probes of the session that the echo has received so far. TRAIN, BURST: its packets.
        stamp_ns: REPLY, BURST: when the echo received the packet of this number or index, by its clock.
        sent_ns: REPLY, BURST: when the echo sent this, by its clock.
        place: BURST: of the packet in the burst, which has no holes where the train lost packets.
    """

    kind: Kind
    session: int
    number: int
    index: int = 0
    received: int = 0
    stamp_ns: int = 0
    sent_ns: int = 0
    place: int = 0


def encode(message: Message, key: bytes, size: int) -> bytes:
    """Encode, with zeros up to `size` bytes."""
    head = _HEAD.pack(
        message.kind, message.index, message.place, message.session, message.number, message.received,
        message.stamp_ns, message.sent_ns,
    )  # fmt: skip
    rest = head.ljust(size - _START_BYTES, b"\0")
    return VERSION + _mac(VERSION, rest, key) + rest


def version_of(datagram: bytes, key: bytes) -> bytes | None:
    """The version of a datagram's form; None if its sender does not know the token."""
    version, mac = datagram[: len(VERSION)], datagram[len(VERSION) : _START_BYTES]
    if not _START_BYTES < len(datagram) <= MAX_BYTES:
        return None
    return version if hmac.compare_digest(mac, _mac(version, datagram[_START_BYTES:], key)) else None


def decode(datagram: bytes, key: bytes) -> Message | None:
    """Decode; None if it is of another version, or the token is another one."""
    if len(datagram) < HEAD_BYTES or version_of(datagram, key) != VERSION:
        return None
    head = _HEAD.unpack(datagram[_START_BYTES:HEAD_BYTES])
    kind, index, place, session, number, received, stamp_ns, sent_ns = head
    if kind not in Kind._value2member_map_:
        return None
    return Message(Kind(kind), session, number, index, received, stamp_ns, sent_ns, place)


def key_of(token: str) -> bytes:
    """The key of a token.

    Raises:
        InputError: The token is too short to keep strangers out.
    """
    if len(token) < 8:
        raise InputError("the token has fewer than 8 characters", where="--token")
    return hashlib.sha256(token.encode()).digest()


def _mac(version: bytes, rest: bytes, key: bytes) -> bytes:
    return hmac.digest(key, version + rest, "sha256")[:_MAC_BYTES]
