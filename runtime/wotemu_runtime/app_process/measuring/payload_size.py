"""Sizes of payloads: bytes as WoTPy writes them, ASCII JSON."""

from __future__ import annotations

import json
from typing import Any

from wotemu_runtime.app_process.measuring.operations import READ, WRITE, Operation


def json_size(value: Any) -> int | None:
    """Bytes of a value as JSON; None where it can't be JSON."""
    try:
        return len(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return None


def item_size(item: Any) -> int | None:
    """Bytes of what a subscription delivered: an event's payload, or a property's new value."""
    data = getattr(item, "data", item)
    return json_size(data.value if hasattr(data, "name") and hasattr(data, "value") else data)


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
