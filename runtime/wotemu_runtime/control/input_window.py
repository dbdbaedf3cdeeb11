"""Credit for the standard input of a command in a node: bytes on their way, until it has read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

INPUT_WINDOW = 256 * 1024
"""Bytes that may be on their way: what a command that does not read costs the bus and its agent."""
INPUT_CHUNK = 32 * 1024
"""Bytes of a single entry or line."""


class InputWindow:
    """What a sender may send before the command has read more."""

    def __init__(self) -> None:
        self.room = INPUT_WINDOW
        """Bytes that may be sent now."""
        self._is_over = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"InputWindow(room={self.room}{', over' if self._is_over else ''})"

    def grant(self, read: int) -> None:
        """Take that the command has read so many bytes."""
        self.room += read
        self._changed.set()

    def close(self) -> None:
        """The command has ended: what it has not read is dropped."""
        self._is_over = True
        self._changed.set()

    async def parts(self, data: bytes) -> AsyncIterator[bytes]:
        """Parts of `data` in order, each once it may be sent; no more of them once the command has ended."""
        rest = memoryview(data)
        while rest and not self._is_over:
            if size := min(len(rest), self.room, INPUT_CHUNK):
                self.room -= size
                yield bytes(rest[:size])
                rest = rest[size:]
            else:
                self._changed.clear()
                await self._changed.wait()
