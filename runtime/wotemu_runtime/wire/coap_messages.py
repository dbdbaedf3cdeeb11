"""Messages of CoAP over UDP: RFC 7252, with Observe (RFC 7641) and Block1 and Block2 (RFC 7959). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wotemu_runtime.wire.exchange import MAX_PATH

METHODS = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 6: "PATCH", 7: "iPATCH"}
CONTINUE = "2.31"
"""The answer to a block of a request that is not its last one."""
_OBSERVE, _URI_PATH, _BLOCK2, _BLOCK1 = 6, 11, 23, 27
_PAYLOAD_MARKER = 0xFF
_MAX_TOKEN = 8


class Block(NamedTuple):
    """A block's number, and whether others follow."""

    number: int
    has_more: bool


class CoapMessage(NamedTuple):
    """A request or an answer.

    Attributes:
        method: "" for an answer.
        code: Of an answer, such as ``2.05``; "" for a request.
        message_id: By which copies are recognised.
        token: By which answers belong to requests.
        path: Of a request.
        observe: Of a request 0 to begin an observation and 1 to end it; an answer with one is a notification.
        block1: Of a request's payload.
        block2: Of an answer's.
    """

    method: str
    code: str
    message_id: int
    token: bytes
    path: str
    observe: int | None
    block1: Block | None
    block2: Block | None


def read_message(data: bytes, *, is_cut: bool = False) -> CoapMessage | None:
    """The message of a datagram; None where it is empty or none at all.

    Args:
        data: The datagram's payload.
        is_cut: Whether that is only its beginning: options that are missing then are left out.
    """
    if len(data) < 4 or data[0] >> 6 != 1:
        return None
    size, code = data[0] & 0x0F, data[1]
    kind, detail = code >> 5, code & 0x1F
    is_request = code in METHODS
    if size > _MAX_TOKEN or len(data) < 4 + size or not (is_request or kind in (2, 4, 5)):
        return None
    segments: list[str] = []
    numbers: dict[int, bytes] = {}
    try:
        for number, value in _options(data, 4 + size):
            if number == _URI_PATH:
                segments.append(_segment(value))
            else:
                numbers.setdefault(number, value)
    except ValueError:
        if not is_cut:
            return None
    observe = numbers.get(_OBSERVE)
    return CoapMessage(
        METHODS[code] if is_request else "",
        "" if is_request else f"{kind}.{detail:02}",
        int.from_bytes(data[2:4], "big"),
        data[4 : 4 + size],
        f"/{'/'.join(segments)}"[:MAX_PATH],
        None if observe is None else int.from_bytes(observe, "big"),
        _block(numbers.get(_BLOCK1)),
        _block(numbers.get(_BLOCK2)),
    )


def _options(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Number and value of each option. Raises ValueError where they end too early or are wrong."""
    number = 0
    while at < len(data) and data[at] != _PAYLOAD_MARKER:
        halves, at = data[at], at + 1
        delta, at = _extended(data, halves >> 4, at)
        size, at = _extended(data, halves & 0x0F, at)
        if at + size > len(data):
            raise ValueError("an option ends behind its message")
        number += delta
        yield number, data[at : at + size]
        at += size


def _extended(data: bytes, half: int, at: int) -> tuple[int, int]:
    """The number that half a byte stands for, with the one or two bytes that extend it, and what follows."""
    if half < 13:
        return half, at
    size = half - 12
    if size == 3 or at + size > len(data):
        raise ValueError("reserved, or the end of the message")
    return int.from_bytes(data[at : at + size], "big") + (13 if size == 1 else 269), at + size


def _segment(value: bytes) -> str:
    """A part of the path with what can't be printed escaped."""
    text = value.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _block(value: bytes | None) -> Block | None:
    if value is None:
        return None
    number = int.from_bytes(value, "big")
    return Block(number >> 4, bool(number & 0x08))
