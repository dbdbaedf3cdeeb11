"""Datagrams between ``wotemu record`` and its echo, each authenticated by a token that both know."""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import IntEnum

import attrs

from wotemu.errors import InputError

_HEAD = struct.Struct("!4sBBHQIIQQ")
_MAGIC = b"WTE1"
_MAC_BYTES = 16
HEAD_BYTES = _HEAD.size + _MAC_BYTES
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
        _MAGIC, message.kind, message.index, message.place, message.session, message.number, message.received,
        message.stamp_ns, message.sent_ns,
    )  # fmt: skip
    return (head + _mac(head, key)).ljust(size, b"\0")


def decode(datagram: bytes, key: bytes) -> Message | None:
    """Decode; None if it is no datagram of ours or the token is another one."""
    if not HEAD_BYTES <= len(datagram) <= MAX_BYTES:
        return None
    head, mac = datagram[: _HEAD.size], datagram[_HEAD.size : HEAD_BYTES]
    if not hmac.compare_digest(mac, _mac(head, key)):
        return None
    magic, kind, index, place, session, number, received, stamp_ns, sent_ns = _HEAD.unpack(head)
    if magic != _MAGIC or kind not in Kind._value2member_map_:
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


def _mac(head: bytes, key: bytes) -> bytes:
    return hmac.digest(key, head, "sha256")[:_MAC_BYTES]
