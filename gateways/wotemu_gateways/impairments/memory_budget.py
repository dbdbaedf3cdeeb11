"""The bound on the memory that waiting packets take in one gateway. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MAX_HELD_BYTES = 256 << 20
"""Bytes that the packets waiting in one network's gateway may take.

A gigabit a second, delayed by two seconds, or 10 Mbit/s by 200 s: more than any network that is worth
emulating in user space holds, and little enough for a dozen networks on one machine.
"""

PACKET_BYTES = 250
"""CPython's memory for a packet beside the frame: its tuple, departure, places in lists, object headers."""


class MemoryBudget:
    """Bytes held by all queues of a gateway. A queue that finds `max_bytes` reached drops what comes."""

    __slots__ = ("held_bytes", "max_bytes")

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    def __repr__(self) -> str:
        return f"<MemoryBudget {self.held_bytes} of {self.max_bytes} bytes>"


def held_bytes(packets: Sequence[Any]) -> int:
    """The memory that packets take; their second field is their size."""
    sizes: list[int] = [packet[1] for packet in packets]
    return PACKET_BYTES * len(packets) + sum(sizes)
