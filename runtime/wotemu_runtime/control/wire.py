"""Requests and replies as lines of JSON: one request a connection, then any number of replies.

A reply is ``{"reply": ...}``, an error ``{"error": ...}``; the end of the connection ends the replies.
"""

from __future__ import annotations

import json
from typing import Any

from wotemu import errors
from wotemu.errors import EmulationError, WotemuError

VERSION = 2
"""Of the protocol. A client and a run of different versions refuse each other."""
MAX_LINE = 1 << 20
"""Bytes; no request and no event is longer."""


def encode(message: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, default=str).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """What `encode` was given.

    Raises:
        ValueError: It is no such line.
    """
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError(f"{line[:80]!r} is no JSON object")  # noqa: TRY004  # what was sent, not a type here
    return found


def encode_error(error: WotemuError) -> dict[str, Any]:
    """An error as JSON holds it."""
    name, message = type(error).__name__, error.message
    return {"error": {"type": name, "message": message, "where": error.where, "hint": error.hint}}


def decode_error(data: dict[str, Any]) -> WotemuError:
    """The error that `encode_error` was given; one of an unknown type is an `EmulationError`."""
    kind = getattr(errors, str(data.get("type")), EmulationError)
    if not (isinstance(kind, type) and issubclass(kind, WotemuError)):
        kind = EmulationError
    return kind(str(data.get("message")), where=data.get("where"), hint=data.get("hint"))
