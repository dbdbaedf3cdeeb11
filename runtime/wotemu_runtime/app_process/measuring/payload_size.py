"""Sizes and digests of payloads: bytes as WoTPy writes them, ASCII JSON."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from wotemu_runtime.app_process.measuring.operations import READ, WRITE, Operation

Measured = tuple[int | None, int | None]
"""A payload's size and digest; None for both where it can't be JSON."""


def json_size(value: Any) -> int | None:
    """Bytes of a value as JSON; None where it can't be JSON."""
    return measured(value)[0]


def measured(value: Any) -> Measured:
    """Bytes of a value as JSON, and their CRC-32."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None, None
    return len(text), crc32(text.encode())


def item_measured(item: Any) -> Measured:
    """Size and digest of what a subscription delivered: an event's payload, or a property's new value."""
    data = getattr(item, "data", item)
    return measured(data.value if hasattr(data, "name") and hasattr(data, "value") else data)


def request_size(operation: Operation, sent: Any, result: Any, *, answered: bool) -> int | None:
    """Bytes of a read or written value, or of an action's input and output.

    Args:
        operation: what was requested.
        sent: the written value or the action's input; None without one.
        result: what was returned.
        answered: false where the request raised instead.
    """
    if operation is READ:
        return json_size(result) if answered else None
    if operation is WRITE:
        return json_size(sent)
    sizes = [json_size(part) for part in (sent, result) if part is not None]
    return None if None in sizes else sum(filter(None, sizes))
